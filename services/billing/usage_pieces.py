"""What a metered price counts of one period, in pieces where it was paused or another price stood between. Pure.

A price gives its free units, tiers and maximum once a period, so a piece is rated with all that came before it, and
what those were billed for comes off. A minimum is owed for the time that the price stood.
Source: docs/decisions/0053-usage-in-pieces.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from models.money import EXACT, exact
from services.billing.periods import Span
from services.billing.proration import Portion, Ruler
from services.catalog.charges import Charge

LATE_MARK = ".late"  # in the key of a line, between that of what it is late for and how often that was


@dataclass(frozen=True, slots=True)
class Pieces:
    """The pieces of a period so far. `portion` is the part of the period that they are."""

    price_id: str
    period_start: datetime
    spans: tuple[Span, ...]
    portion: Portion

    def charge(self, whole: Charge) -> Charge:
        """What a price for a whole period asks for these pieces of it."""
        if whole.minimum is None:
            return whole
        by_time = EXACT.multiply(whole.minimum, Decimal(self.portion.numerator))
        return replace(whole, minimum=exact(EXACT.divide(by_time, Decimal(self.portion.denominator))))

    def to_json(self) -> dict[str, Any]:
        return {
            "price": self.price_id,
            "period_start": self.period_start.isoformat(),
            "spans": [[span.start.isoformat(), span.end.isoformat()] for span in self.spans],
            "portion": [self.portion.numerator, self.portion.denominator],
        }


def pieces_of(price_id: str, ruler: Ruler, spans: tuple[Span, ...]) -> Pieces:
    """Of the period that a ruler measures."""
    units = sum(ruler.units(span) for span in spans)
    return Pieces(price_id, ruler.period.start, spans, Portion(units, ruler.whole))


def spans_of(facts: Mapping[str, Any], period: Span) -> tuple[Span, ...]:
    """The pieces that a line counts; of one that was made before there were pieces, its `period`."""
    kept = facts.get("pieces")
    return tuple(Span(*map(datetime.fromisoformat, span)) for span in kept["spans"]) if kept else (period,)


def part_of(facts: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Equal for lines of which the last says the whole: of a price in a period, and what came in late of it."""
    kept = facts.get("pieces")
    return (kept["price"], kept["period_start"]) if kept else (key.partition(LATE_MARK)[0],)
