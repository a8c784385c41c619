"""Where a page of a list begins: a place between rows, and how an address says it."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

import orjson

from services.core.errors import Invalid
from services.core.listing import Kind
from services.core.listing_grammar import Query

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Position:
    """A place between rows: behind the row with these values, or `before` it. `value` is None where that is empty."""

    value: Any
    key: Any
    before: bool = False

    @property
    def text(self) -> str:
        """For an address. Whoever changes it gets other rows of the same list, and no others."""
        said = [_said(self.value), _said(self.key), int(self.before)]
        return base64.urlsafe_b64encode(orjson.dumps(said)).rstrip(b"=").decode()


def position_of(query: Query[R], text: str, *, field: str = "") -> Position:
    """What `Position.text` said. Raises Invalid, which names the `field`, for what says nothing of this kind."""
    try:
        raw = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        value, key, before = orjson.loads(raw)
        return Position(
            None if value is None else _read(query.sort.sorted_kind, value),
            _read(query.listing.column(query.listing.key).kind, key),
            before=before == 1,
        )
    except (ValueError, TypeError, InvalidOperation, OverflowError, binascii.Error):
        raise Invalid(
            "This place in the list does not exist.", field=field, next_step="Start from the beginning."
        ) from None


def _said(value: Any) -> str | None:
    return value.isoformat() if isinstance(value, datetime) else None if value is None else str(value)


def _read(kind: Kind, text: str) -> Any:
    """Raises ValueError, TypeError, InvalidOperation or OverflowError."""
    if "\0" in text:
        raise ValueError(text)
    match kind:
        case Kind.INSTANT:
            at = datetime.fromisoformat(text)
            if at.tzinfo is None or not 1 < at.year < 9999:
                raise ValueError(text)
            return at
        case Kind.INTEGER:
            return _within_bigint(int(text))
        case Kind.DECIMAL:
            number = Decimal(text)
            if not number.is_finite() or len(text) > 60:
                raise ValueError(text)
            return number
        case Kind.FLAG:
            return {"True": True, "False": False}.get(text, False)
        case _:
            return text


def _within_bigint(number: int) -> int:
    if not -(2**63) <= number < 2**63:
        raise ValueError(number)
    return number
