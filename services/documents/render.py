"""A document's files, made in this process. From a page or a job call services/documents/press.py instead."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version

from services.documents import electronic, typeset
from services.documents.cii import cii
from services.documents.content import Content
from services.documents.finishing import finished
from services.documents.style import Style
from services.documents.text import DocumentRefused
from services.documents.ubl import ubl

PREVIEW_LINES_MAX = 200
PDF_BYTES_MAX = 64 * 1024 * 1024


@cache
def edition() -> str:
    """Which layout and which typesetter make documents here: another one may make other bytes of the same content."""
    layout = hashlib.sha256()
    for path in sorted(typeset.TEMPLATE.parent.iterdir()):
        layout.update(path.read_bytes())
    return f"{layout.hexdigest()[:12]}-typst-{version('typst')}"


@dataclass(frozen=True, slots=True)
class Made:
    """`sha256` is that of the bytes, in hex. `missing` says why no file for machines is in the PDF, if so."""

    pdf: bytes
    sha256: str
    missing: tuple[str, ...] = ()

    @property
    def is_electronic(self) -> bool:
        return not self.missing


def pdf(content: Content, style: Style) -> Made:
    """PDF/A-3a and PDF/UA-1, with Factur-X in it whenever the content allows. Equal inputs give equal bytes."""
    missing = electronic.missing(content)
    set_already = typeset.set_pdf(content, style, None if missing else cii(content))
    made = finished(set_already, is_electronic=not missing)
    if len(made) > PDF_BYTES_MAX:
        raise DocumentRefused(
            f"The PDF has {len(made):,} bytes; {PDF_BYTES_MAX:,} is the most.", field="content"
        )
    return Made(made, hashlib.sha256(made).hexdigest(), missing)


def pictures(content: Content, style: Style) -> list[bytes]:
    """Each page as PNG, for a preview of few lines."""
    if len(content.lines) > PREVIEW_LINES_MAX:
        raise DocumentRefused(
            f"A preview has {PREVIEW_LINES_MAX:,} lines at most.",
            field="lines",
            next_step="Make the PDF instead.",
        )
    return typeset.set_pictures(content, style)


def electronic_invoice(content: Content) -> bytes:
    """UBL by EN 16931. Raises DocumentRefused with what is missing."""
    missing = electronic.missing(content)
    if missing:
        raise DocumentRefused(missing[0], field="content", next_step=" ".join(missing[1:]))
    return ubl(content)
