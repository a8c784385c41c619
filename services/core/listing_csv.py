"""Rows of a declared list as CSV (RFC 4180): columns and order as declared, values that lose nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

import orjson

from services.core.listing import Listing

R = TypeVar("R")

CONTENT_TYPE = "text/csv"
BYTE_ORDER_MARK = "\ufeff"  # by which some spreadsheets know that a file is UTF-8

# What a spreadsheet would work out instead of show: at the beginning, and behind whatever it may take for a separator.
# A number is none; full-width signs are read like the others in parts of the world.
_NUMBER = r"[+-]?[0-9]+(?:[.,][0-9]+)*(?:\Z|[;\t\r\n])"
_FORMULA = re.compile(rf'(\A|[;\t\r\n])(?!{_NUMBER})(?=[ "]*[-=+@\uff1d\uff0b\uff0d\uff20])|\A(?=[\t\r])')
_QUOTED = re.compile(r'[,;"\t\r\n]')


def header(listing: Listing[R], *, mark: bool = False) -> str:
    """The first line, after a byte order mark if that is wanted."""
    line = _lines([[column.name for column in listing.exported]])
    return BYTE_ORDER_MARK + line if mark else line


def lines(listing: Listing[R], rows: Iterable[R]) -> str:
    names = [column.name for column in listing.exported]
    return _lines([cell(getattr(row, name)) for name in names] for row in rows)


def _lines(rows: Iterable[list[str]]) -> str:
    return "".join(f"{','.join(_quoted(text) for text in row)}\r\n" for row in rows)


def _quoted(text: str) -> str:
    """In quotes where a reader with another separator would see several cells, too."""
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


def cell(value: Any) -> str:
    """Instants as ISO 8601 in UTC, decimals with all their digits, lists and objects as JSON; nothing for null.

    Text that a spreadsheet would take for a formula gets an apostrophe before it, also behind a semicolon, a tab or the
    end of a line within it; a number never does. JSON has no bare semicolon, which leaves what it says as it is.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, dict | list):
        return orjson.dumps(value).decode().replace(";", "\\u003b")
    return _FORMULA.sub(r"\1'", str(value))
