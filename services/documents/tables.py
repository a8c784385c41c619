"""A PDF of tables below one title, set by typst from data. From a page call services/documents/press.py instead."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import typst

from services.documents.fonts import FOLDER, drawable, families
from services.documents.style import Font
from services.documents.text import breakable

TEMPLATE = Path(__file__).with_name("tables_template") / "tables.typ"
ROWS_MAX = 1_000  # of all tables

Table = tuple[str, Sequence[str], Sequence[Sequence[str]]]  # title, head, rows


def told(title: str, about: str, tables: Sequence[Table], *, at: datetime) -> bytes:
    """What `set_pdf` sets. Tables without rows are left out; `at` is the date of the document."""
    sections = [
        {"title": name, "head": list(head), "rows": [list(row) for row in rows[:ROWS_MAX]]}
        for name, head, rows in tables
        if rows
    ]
    return orjson.dumps({"title": title, "about": about, "sections": sections, "at": at.isoformat()})


def set_pdf(content: bytes) -> bytes:
    """The same content gives the same bytes."""
    data: dict[str, Any] = orjson.loads(content)
    at = datetime.fromisoformat(data.pop("at")).replace(microsecond=0)  # typst takes whole seconds
    shown = _fitted(data) | {"families": families(Font.SANS)}
    made = typst.Compiler(
        TEMPLATE,
        root=TEMPLATE.parent,
        font_paths=typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[FOLDER]),
        ignore_system_fonts=True,
    ).compile(format="pdf", sys_inputs={"data": orjson.dumps(shown).decode()}, timestamp=at)
    if not isinstance(made, bytes):
        raise TypeError("typst answered with something else than one file.")
    return made


def _fitted(part: Any) -> Any:
    """What a typeface lacks becomes a box, and long words break."""
    if isinstance(part, str):
        return breakable(drawable(part))
    if isinstance(part, dict):
        return {name: _fitted(value) for name, value in part.items()}  # pyright: ignore[reportUnknownVariableType]
    return [_fitted(value) for value in part]
