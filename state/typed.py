"""What somebody typed or picked, read. Each raises Invalid, naming the field."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal

from services.core.errors import Invalid

_AMOUNT = re.compile(r"\d{1,15}(\.\d{1,4})?", re.ASCII)
_SHOWN_CHARACTERS = 40  # of what was not understood


def instant(said: str, field: str) -> datetime:
    """ISO 8601, as a field for a date and a time sends it."""
    try:
        return datetime.fromisoformat(said)
    except ValueError:
        raise Invalid(f"{said[:_SHOWN_CHARACTERS]} is no date and time.", field=field) from None


def whole(said: str, field: str) -> int:
    if not (said.isascii() and said.isdigit() and len(said) <= _SHOWN_CHARACTERS):
        raise Invalid(f"{said[:_SHOWN_CHARACTERS]} is no whole number.", field=field)
    return int(said)


def amount(said: str, field: str) -> Decimal:
    """In major units, not below zero, as a field for money sends it."""
    if not _AMOUNT.fullmatch(said):
        raise Invalid(f"{said[:_SHOWN_CHARACTERS]} is no amount.", field=field)
    return Decimal(said)
