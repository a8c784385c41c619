"""What usage costs: pure arithmetic over prices, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from models.money import EXACT, exact

# Usage of these by a model has to have a price; a call that was served (the meter `requests`) may have one.
MUST_BE_PRICED = frozenset({"prompt_tokens", "completion_tokens"})
PRICEABLE = ("prompt_tokens", "completion_tokens", "requests")  # in the order of a price list

UNIT_AMOUNT_MAX = Decimal(1_000_000)  # of the currency's major unit, for `per_units`
PER_UNITS_MAX = 1_000_000_000
_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Terms:
    """`per_units` of a meter cost `unit_amount`, valid in [valid_from, valid_to)."""

    price_id: str
    unit_amount: Decimal
    per_units: int
    valid_from: datetime
    valid_to: datetime | None

    def amount_for(self, quantity: Decimal) -> Decimal:
        """Exact to 12 places, rounded half away from zero there: the only rounding before an invoice."""
        return exact(EXACT.divide(EXACT.multiply(quantity, self.unit_amount), Decimal(self.per_units)))


@dataclass(frozen=True, slots=True)
class CostLine:
    """Why part of a cost is what it is: amount = quantity * unit_amount / per_units."""

    meter: str
    quantity: Decimal
    unit_amount: Decimal
    per_units: int
    amount: Decimal
    price_id: str


@dataclass(frozen=True, slots=True)
class Rated:
    """`cost` is the sum of `lines`, or None when a meter of `unpriced` was used and had no valid price.

    `price_ids` are the prices that were there, also when another one was missing.
    """

    cost: Decimal | None
    lines: tuple[CostLine, ...]
    unpriced: tuple[str, ...] = ()
    price_ids: tuple[str, ...] = ()


NOT_RATED = Rated(_NOTHING, ())  # usage that no price is expected for


def rate(values: Mapping[str, Decimal], terms: Mapping[str, Terms]) -> Rated:
    """Cost of one event from what is charged of each meter (by slug) and the terms valid at its time.

    An event is priced wholly or not at all: with one price missing it has no cost and no lines.
    """
    lines: list[CostLine] = []
    unpriced: list[str] = []
    for meter, quantity in values.items():
        found = terms.get(meter)
        if found is not None:
            amount = found.amount_for(quantity)
            lines.append(
                CostLine(meter, quantity, found.unit_amount, found.per_units, amount, found.price_id)
            )
        elif meter in MUST_BE_PRICED and quantity:
            unpriced.append(meter)
    price_ids = tuple([line.price_id for line in lines])
    if unpriced:
        return Rated(None, (), tuple(unpriced), price_ids)
    return Rated(sum((line.amount for line in lines), _NOTHING), tuple(lines), (), price_ids)


@dataclass(slots=True)
class PriceBook:
    """The prices that a batch may need, by model, currency and meter."""

    _terms: dict[tuple[str, str], dict[str, list[Terms]]] = field(default_factory=dict)

    def add(self, model: str, currency: str, meter: str, terms: Terms) -> None:
        self._terms.setdefault((model, currency), {}).setdefault(meter, []).append(terms)

    def at(self, model: str, currency: str, time: datetime) -> dict[str, Terms]:
        """Terms by meter for usage at `time`. Prices never overlap, so there is at most one of each."""
        return {
            meter: terms
            for meter, candidates in self._terms.get((model, currency), {}).items()
            for terms in candidates
            if terms.valid_from <= time and (terms.valid_to is None or time < terms.valid_to)
        }
