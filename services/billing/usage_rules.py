"""What is used by the price list: months, the time that no plan meters, and what a line of it costs. Pure.

Source: docs/decisions/0034-who-pays-usage.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from models.money import Money
from services.billing.periods import Span

_CLOSE = timedelta(days=2)  # a month that ends so soon after another was cut by a change of timezone
_CALLS = "requests"  # what is said of a model only if no tokens of it are charged


@dataclass(frozen=True, slots=True)
class Part:
    """So much of a meter at one price: quantity * unit_amount / per_units, exact, in major units."""

    meter: str
    price_id: str
    quantity: Decimal
    unit_amount: Decimal
    per_units: int

    @property
    def exact(self) -> Fraction:
        return Fraction(self.quantity) * Fraction(self.unit_amount) / self.per_units


def month_end(at: datetime, zone: str) -> datetime:
    """When the calendar month ends that `at` falls in, in UTC."""
    place = ZoneInfo(zone)
    first = at.astimezone(place).date().replace(day=1)
    after = (first + timedelta(days=32)).replace(day=1)
    return datetime(after.year, after.month, after.day, tzinfo=place).astimezone(UTC)


def next_month_end(ended: datetime, zone: str) -> datetime:
    """When the month ends that begins at `ended`, also where the timezone was changed on the way."""
    return month_end(ended + _CLOSE, zone)


def uncovered(span: Span, covered: Sequence[Span]) -> tuple[Span, ...]:
    """What of `span` is in none of `covered`, in order."""
    left: list[Span] = []
    at = span.start
    for one in sorted(covered, key=lambda one: one.start):
        if one.start > at:
            left.append(Span(at, min(one.start, span.end)))
        at = max(at, one.end)
        if at >= span.end:
            break
    if at < span.end:
        left.append(Span(at, span.end))
    return tuple(one for one in left if one.start < one.end)


def quantity_of(parts: Sequence[Part]) -> Decimal:
    """What a line says was used: tokens, or calls where only these are charged."""
    tokens = [part.quantity for part in parts if part.meter != _CALLS]
    return sum(tokens or [part.quantity for part in parts], Decimal(0))


def amount_of(parts: Sequence[Part], currency: str) -> Money:
    """What a model's use costs: added up exactly, rounded once, half away from zero."""
    return Money.of(sum((part.exact for part in parts), Fraction(0)), currency)


def facts_of(
    model: str, parts: Sequence[Part], currency: str, spans: Mapping[str, Sequence[Span]]
) -> dict[str, Any]:
    """What gives the amount again: prices and quantities, and the times of each meter that they are of."""
    return {
        "made_by": "price_list",
        "currency": currency,
        "model": model,
        "parts": [
            {
                "meter": part.meter,
                "price_id": part.price_id,
                "quantity": f"{part.quantity:f}",
                "unit_amount": f"{part.unit_amount:f}",
                "per_units": part.per_units,
            }
            for part in parts
        ],
        "spans": {
            meter: [[one.start.isoformat(), one.end.isoformat()] for one in spans[meter]]
            for meter in sorted({part.meter for part in parts})
        },
    }


def parts_from(facts: Mapping[str, Any]) -> tuple[Part, ...]:
    """Of the facts of a line."""
    return tuple(
        Part(
            one["meter"],
            one["price_id"],
            Decimal(one["quantity"]),
            Decimal(one["unit_amount"]),
            one["per_units"],
        )
        for one in facts["parts"]
    )
