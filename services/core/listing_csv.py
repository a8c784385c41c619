"""Rows of a declared list as CSV (RFC 4180): columns and order as declared, values that lose nothing."""

from __future__ import annotations

import csv
import io
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

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would work out instead of show
_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)*")


def header(listing: Listing[R], *, mark: bool = False) -> str:
    """The first line, after a byte order mark if that is wanted."""
    line = _lines([[column.name for column in listing.exported]])
    return BYTE_ORDER_MARK + line if mark else line


def lines(listing: Listing[R], rows: Iterable[R]) -> str:
    names = [column.name for column in listing.exported]
    return _lines([cell(getattr(row, name)) for name in names] for row in rows)


def _lines(rows: Iterable[list[str]]) -> str:
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue()


def cell(value: Any) -> str:
    """Instants as ISO 8601 in UTC, decimals with all their digits, lists and objects as JSON; nothing for null.

    Text that a spreadsheet would take for a formula gets an apostrophe before it; a number never does.
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
        return orjson.dumps(value).decode()
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text
