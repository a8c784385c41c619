"""Values as pages take them: text that loses nothing. Pages write them out in the reader's language.

A Decimal becomes all its digits without an exponent, an instant ISO 8601 with its offset.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from models import money


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


def figure_text(amount: Decimal, currency: str = "") -> str:
    """A figure inside an English sentence: grouped digits, as many places as the currency has, and of a sum below one
    unit the first four digits that count. Raises UnknownCurrency."""
    fewest = places = money.currency(currency).exponent if currency else 0
    if currency and 0 < abs(amount) < 1:
        places = min(money.EXACT_PLACES, max(fewest, 3 - amount.adjusted()))
    rounded = amount.quantize(Decimal(1).scaleb(-places), context=money.EXACT)
    while places > fewest and rounded == round(rounded, places - 1):
        places -= 1
    shown = f"{rounded:,.{places}f}".replace("-", "\u2212")
    return f"{shown}\u00a0{currency}" if currency else shown
