"""PDF of a document: typst sets it from data, as PDF/A-3a and PDF/UA-1.

The same content, style and version of typst give the same bytes: the only date in them is the document's own.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, time
from functools import cache
from pathlib import Path
from typing import Any, cast

import orjson
import typst

from services.documents.content import Content
from services.documents.fonts import FOLDER, drawable, families
from services.documents.style import Style
from services.documents.text import DocumentRefused, breakable
from services.documents.view import view

TEMPLATE = Path(__file__).with_name("template") / "document.typ"
STANDARDS: list[typst.PDFStandard] = ["a-3a", "ua-1"]
PREVIEW_PPI = 110
_PAGE = re.compile(r"(\{pages?\})")
_SHORT = 60


@cache
def _fonts() -> typst.Fonts:
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[FOLDER])


def _compiler() -> typst.Compiler:
    return typst.Compiler(TEMPLATE, root=TEMPLATE.parent, font_paths=_fonts(), ignore_system_fonts=True)


def set_pdf(content: Content, style: Style, electronic: bytes | None) -> bytes:
    """`electronic` is attached as factur-x.xml."""
    data = {"data": _data(content, style, electronic)}
    issued = datetime.combine(content.issued_on, time(), UTC)
    with _logo_refused(style):
        return _one(
            _compiler().compile(format="pdf", sys_inputs=data, pdf_standards=STANDARDS, timestamp=issued)
        )


def set_pictures(content: Content, style: Style) -> list[bytes]:
    """Each page as PNG, to look at before anything is made for good."""
    with _logo_refused(style):
        data = {"data": _data(content, style, None)}
        made = _compiler().compile(format="png", ppi=PREVIEW_PPI, sys_inputs=data)
    return made if isinstance(made, list) else [_one(made)]


@contextmanager
def _logo_refused(style: Style) -> Generator[None]:
    """The logo is all that people can make the typesetter stumble over: whatever is text it takes."""
    try:
        yield
    except typst.TypstError as error:
        if style.logo is None or "image" not in error.message:
            raise
        raise DocumentRefused(
            "The logo cannot be drawn.", field="logo", next_step="Save it anew in a plain form."
        ) from error


def _one(made: bytes | list[bytes] | None) -> bytes:
    if not isinstance(made, bytes):
        raise TypeError("typst answered with something else than one file.")
    return made


def _data(content: Content, style: Style, electronic: bytes | None) -> str:
    seen = view(content, style)
    # What a typeface lacks becomes a box, and long words break: of what is shown, not of addresses behind links.
    links = [payment.link for payment in seen.payments]
    data: dict[str, Any] = _fitted(asdict(seen))
    for payment, link in zip(data["payments"], links, strict=True):
        payment["link"] = link
    data |= {
        "accent": style.accent,
        "accent_is_readable": style.accent_is_readable,
        "families": families(style.font),
        "paper": style.paper.value,
        "document_title": f"{seen.title} {seen.number} – {seen.seller}",
        "page_parts": _PAGE.split(seen.page_of),
        "footer": drawable(f"{seen.title} {seen.number}"),
        "seller_short": drawable(seen.seller[:_SHORT]),
        "logo_format": style.logo_format,
        "logo": list(style.logo or b""),
    }
    if electronic is not None:
        data["electronic"] = electronic.decode()
    return orjson.dumps(data).decode()


def _fitted(part: Any) -> Any:
    if isinstance(part, str):
        return breakable(drawable(part))
    if isinstance(part, dict):
        return {name: _fitted(value) for name, value in cast("dict[str, Any]", part).items()}
    if isinstance(part, tuple):
        return [_fitted(value) for value in cast("tuple[Any, ...]", part)]
    return part
