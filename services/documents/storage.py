"""Contents and styles as JSON, and back through every check they went through when they were made."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from services.documents.content import Content
from services.documents.style import Style
from services.documents.text import DocumentRefused

_T = TypeVar("_T")

JSON_BYTES_MAX = 32 * 1024 * 1024


@cache
def _contents() -> TypeAdapter[Content]:
    return TypeAdapter(Content)


@cache
def _styles() -> TypeAdapter[Style]:
    return TypeAdapter(Style)


def content_to_json(content: Content) -> bytes:
    return _contents().dump_json(content)


def content_from_json(stored: bytes) -> Content:
    """Raises DocumentRefused for what is no content, or none that this version can say."""
    return _read(_contents(), stored)


def style_to_json(style: Style) -> bytes:
    """With the logo in it."""
    return _styles().dump_json(style)


def style_from_json(stored: bytes) -> Style:
    """Raises DocumentRefused for what is no style, FileRefused for a logo that is none."""
    return _read(_styles(), stored)


def _read(adapter: TypeAdapter[_T], stored: bytes) -> _T:
    if len(stored) > JSON_BYTES_MAX:
        raise DocumentRefused("What was stored is too large.", field="content")
    try:
        return adapter.validate_json(stored)
    except ValidationError as error:
        first: Any = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DocumentRefused(f"What was stored cannot be read: {first['msg']}.", field=where) from None
