"""Values as pages take them: text that loses nothing. Pages write them out in the reader's language.

A Decimal becomes all its digits without an exponent, an instant ISO 8601 with its offset.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal


def decimal_text(amount: Decimal | None) -> str:
    """All digits, no exponent, no trailing zeros; empty for what is not known. Equal amounts give equal text."""
    if amount is None:
        return ""
    text = f"{amount:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text


def instant_text(at: datetime | None) -> str:
    """ISO 8601 with offset; empty for never."""
    return at.isoformat() if at is not None else ""


def share(part: Decimal | int, whole: Decimal | int) -> float | None:
    """`part` of `whole` as 0..1 for a percentage; None when there is no whole. For display only."""
    return float(part / whole) if whole else None
