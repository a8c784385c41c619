"""What a quantity costs by a charge: exact, and explained by steps that add up. Pure, no I/O.

Amounts are exact decimals in major units of the charge's currency: only sums and products, nothing is rounded
here. Rounding happens once, on the invoice line. Source: MONEY.md's row "tiers", docs/decisions/0022.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from models.money import EXACT
from services.catalog.charges import (
    EVENTS_MAX,
    LINE_AMOUNT_MAX,
    Charge,
    Flat,
    Graduated,
    OneOff,
    Package,
    Percentage,
    PerUnit,
    Tier,
    Volume,
    check_quantity,
)
from services.core.errors import Invalid

_ZERO = Decimal(0)
_ONE = Decimal(1)
_add, _subtract, _multiply = EXACT.add, EXACT.subtract, EXACT.multiply


class StepKind(StrEnum):
    FLAT = "flat"
    UNITS = "units"
    FREE_UNITS = "free_units"
    PACKAGES = "packages"
    TIER = "tier"
    RATE = "rate"  # quantity is the base, the unit amount is the rate
    FIXED_FEE = "fixed_fee"  # quantity is events, as in the next three
    FREE_EVENTS = "free_events"
    EVENT_MINIMUM = "event_minimum"
    EVENT_MAXIMUM = "event_maximum"
    MINIMUM = "minimum"  # what the amount was raised by
    MAXIMUM = "maximum"  # what it was lowered by


@dataclass(frozen=True, slots=True)
class Step:
    """amount = quantity * unit_amount + flat_amount, exact, in major units. Bounds are those of a tier."""

    kind: StepKind
    quantity: Decimal
    unit_amount: Decimal
    flat_amount: Decimal
    amount: Decimal
    above: Decimal | None = None
    up_to: Decimal | None = None


@dataclass(frozen=True, slots=True)
class RatedCharge:
    """`amount` in major units, exact and never negative: the sum of the amounts of `steps`."""

    amount: Decimal
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class EventTally:
    """What a percentage charge made of a period's events: of fixed size, and all that is needed to rate them again.

    Bases are in major units. An event is in exactly one of the five counts, its base in one or two of the four
    sums. `free`: among the first free events. `covered`: wholly within the free units. `charged`: at rate and fixed
    fee. `at_minimum` and `at_maximum` cost that bound; what of their base was not covered is `bounded_base`.
    """

    free_events: int = 0
    free_base: Decimal = _ZERO
    covered_events: int = 0
    covered_base: Decimal = _ZERO
    charged_events: int = 0
    charged_base: Decimal = _ZERO
    at_minimum: int = 0
    at_maximum: int = 0
    bounded_base: Decimal = _ZERO

    @property
    def events(self) -> int:
        return (
            self.free_events + self.covered_events + self.charged_events + self.at_minimum + self.at_maximum
        )

    @property
    def base(self) -> Decimal:
        """Of all events: the quantity of the line."""
        return _add(_add(self.free_base, self.covered_base), _add(self.charged_base, self.bounded_base))


NO_EVENTS = EventTally()


def tally(charge: Charge, bases: Iterable[Decimal], *, onto: EventTally = NO_EVENTS) -> EventTally:
    """Fold the bases of more events into what was tallied of earlier ones, in order of event time.

    The order decides which events are free; without free events and free units it does not matter. Batches may be
    of any size. An event that the free units cover wholly is free, too; one they cover in part pays the rate of the
    rest and the whole fixed fee. Raises Invalid for a base that is negative, and for more than EVENTS_MAX events.
    """
    model = charge.model
    if not isinstance(model, Percentage):
        raise Invalid("Only a percentage charge looks at single events.", field="model")
    free_events, free_base = onto.free_events, onto.free_base
    covered_events, covered_base = onto.covered_events, onto.covered_base
    charged_events, charged_base = onto.charged_events, onto.charged_base
    at_minimum, at_maximum, bounded_base = onto.at_minimum, onto.at_maximum, onto.bounded_base
    for base in bases:
        check_quantity(base, "events")
        if free_events < model.free_events:  # the first ones, so nothing else was counted before them
            free_events, free_base = free_events + 1, _add(free_base, base)
            continue
        covered = min(base, _subtract(charge.free_units, covered_base))
        rest = _subtract(base, covered)
        covered_base = _add(covered_base, covered)
        if covered and not rest:
            covered_events += 1
            continue
        fee = _add(_multiply(rest, model.rate), model.fixed_fee)
        if model.event_minimum is not None and fee < model.event_minimum:
            at_minimum, bounded_base = at_minimum + 1, _add(bounded_base, rest)
        elif model.event_maximum is not None and fee > model.event_maximum:
            at_maximum, bounded_base = at_maximum + 1, _add(bounded_base, rest)
        else:
            charged_events, charged_base = charged_events + 1, _add(charged_base, rest)
    result = EventTally(
        free_events=free_events,
        free_base=free_base,
        covered_events=covered_events,
        covered_base=covered_base,
        charged_events=charged_events,
        charged_base=charged_base,
        at_minimum=at_minimum,
        at_maximum=at_maximum,
        bounded_base=bounded_base,
    )
    if result.events > EVENTS_MAX:
        raise Invalid(f"A line counts at most {EVENTS_MAX:,} events.", field="events")
    return result


def rate(charge: Charge, quantity: Decimal, *, events: EventTally | None = None) -> RatedCharge:
    """What `quantity` units of one period cost by `charge`.

    `events` is needed where the charge says so, and must add up to the quantity. A flat charge does not look at the
    quantity. Raises Invalid for a quantity that is negative, above QUANTITY_MAX or finer than 12 places, for events
    that are missing or another sum, and for an amount above LINE_AMOUNT_MAX.
    """
    check_quantity(quantity, "quantity")
    if isinstance(charge.model, Percentage):
        steps = _percentage(charge, charge.model, _tally_of(charge, quantity, events))
    else:
        steps = _units(charge, quantity)
    amount = _ZERO
    for step in steps:
        amount = _add(amount, step.amount)
    if charge.minimum is not None and amount < charge.minimum:
        steps.append(_step(StepKind.MINIMUM, _ONE, _subtract(charge.minimum, amount)))
        amount = charge.minimum
    elif charge.maximum is not None and amount > charge.maximum:
        steps.append(_step(StepKind.MAXIMUM, _ONE, _subtract(charge.maximum, amount)))
        amount = charge.maximum
    if amount > LINE_AMOUNT_MAX:
        raise Invalid(
            f"{quantity:f} units would cost {amount:,f}, and a line is at most {LINE_AMOUNT_MAX:,f}.",
            field="quantity",
            next_step="Look for a slip in the quantity or in the price.",
        )
    return RatedCharge(amount, tuple(steps))


def _step(kind: StepKind, quantity: Decimal, unit_amount: Decimal) -> Step:
    return Step(kind, quantity, unit_amount, _ZERO, _multiply(quantity, unit_amount))


def _units(charge: Charge, quantity: Decimal) -> list[Step]:
    model = charge.model
    if isinstance(model, Flat):
        return [_step(StepKind.FLAT, _ONE, model.amount)]
    free = min(quantity, charge.free_units)
    billable = _subtract(quantity, free)
    steps = [_step(StepKind.FREE_UNITS, free, _ZERO)] if free else []
    if isinstance(model, PerUnit | OneOff):
        steps.append(_step(StepKind.UNITS, billable, model.unit_amount))
    elif isinstance(model, Package):
        whole, rest = EXACT.divmod(billable, model.size)
        steps.append(_step(StepKind.PACKAGES, _add(whole, _ONE) if rest else whole, model.amount))
    elif isinstance(model, Graduated):
        steps += _graduated(model, billable)
    elif isinstance(model, Volume):
        steps += _volume(model, billable)
    return steps


def _tier_step(tier: Tier, quantity: Decimal) -> Step:
    return Step(
        StepKind.TIER,
        quantity,
        tier.unit_amount,
        tier.flat_amount,
        _add(_multiply(quantity, tier.unit_amount), tier.flat_amount),
        tier.above,
        tier.up_to,
    )


def _graduated(model: Graduated, billable: Decimal) -> list[Step]:
    if not billable:
        return [_tier_step(model.tiers[0], _ZERO)] if model.first_flat_at_zero else []
    steps: list[Step] = []
    for tier in model.tiers:
        if billable <= tier.above:
            break
        end = billable if tier.up_to is None else min(billable, tier.up_to)
        steps.append(_tier_step(tier, _subtract(end, tier.above)))
    return steps


def _volume(model: Volume, billable: Decimal) -> list[Step]:
    if not billable and not model.first_flat_at_zero:
        return []
    # The last tier has no end, so one is always found.
    return [
        _tier_step(next(t for t in model.tiers if t.up_to is None or billable <= t.up_to), billable),
    ]


def _tally_of(charge: Charge, quantity: Decimal, events: EventTally | None) -> EventTally:
    if events is None:
        if charge.needs_events:
            raise Invalid(
                "This charge is rated by single events, and only their sum is there.", field="events"
            )
        covered = min(quantity, charge.free_units)
        return EventTally(covered_base=covered, charged_base=_subtract(quantity, covered))
    if events.base != quantity:
        raise Invalid(f"The events add up to {events.base:f} and not to {quantity:f}.", field="events")
    return events


def _percentage(charge: Charge, model: Percentage, made: EventTally) -> list[Step]:
    """Steps of a tally: the same facts give the same amount, however the events were batched."""
    steps: list[Step] = []
    if made.free_events:
        steps.append(_step(StepKind.FREE_EVENTS, Decimal(made.free_events), _ZERO))
    if made.covered_base:
        steps.append(_step(StepKind.FREE_UNITS, made.covered_base, _ZERO))
    if made.charged_base:
        steps.append(_step(StepKind.RATE, made.charged_base, model.rate))
    if made.charged_events and model.fixed_fee:
        steps.append(_step(StepKind.FIXED_FEE, Decimal(made.charged_events), model.fixed_fee))
    if made.at_minimum and model.event_minimum is not None:
        steps.append(_step(StepKind.EVENT_MINIMUM, Decimal(made.at_minimum), model.event_minimum))
    if made.at_maximum and model.event_maximum is not None:
        steps.append(_step(StepKind.EVENT_MAXIMUM, Decimal(made.at_maximum), model.event_maximum))
    return steps
