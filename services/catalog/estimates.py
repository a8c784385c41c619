"""What a quantity would cost by a charge of a plan: pure, before anybody is billed. Nothing is stored.

For a whole billing period, without tax and coupons. Source: docs/billing.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from models.money import EXACT, EXACT_PLACES, Money
from models.plans import ChargeKind
from services.catalog.charges import check_quantity
from services.catalog.plan_rules import PlannedCharge
from services.catalog.rating import EventTally, RatedCharge, rate, tally
from services.core.errors import Invalid

ESTIMATED_EVENTS_MAX = 10_000
_STEP = Decimal(1).scaleb(-EXACT_PLACES)


@dataclass(frozen=True, slots=True)
class Estimate:
    """`rated` is exact, `total` what an invoice line would say of it: rounded once, half away from zero."""

    quantity: Decimal
    rated: RatedCharge
    total: Money


def estimate(planned: PlannedCharge, quantity: Decimal, *, events: int = 1) -> Estimate:
    """What `quantity` units of one period cost. A flat charge does not look at the quantity.

    A percentage of single events is worked out as if `events` of equal size made up the quantity. Raises Invalid
    for a quantity outside the limits of the charge, negative, above 10^15 or finer than 12 places.
    """
    check_quantity(quantity, "quantity")
    if planned.kind in (ChargeKind.SEAT, ChargeKind.ONE_OFF):
        require_allowed(planned, quantity)
    if type(events) is not int or not 1 <= events <= ESTIMATED_EVENTS_MAX:
        raise Invalid(f"An estimate is of 1 to {ESTIMATED_EVENTS_MAX:,} events.", field="events")
    made = _tally(planned, quantity, events) if planned.charge.needs_events else None
    rated = rate(planned.charge, quantity, events=made)
    return Estimate(quantity, rated, Money.of(rated.amount, planned.currency))


def require_allowed(planned: PlannedCharge, quantity: Decimal, field: str = "quantity") -> None:
    """Raises Invalid at `field` for what cannot be bought of seats and one-offs."""
    if quantity != quantity.to_integral_value():
        raise Invalid(f"'{planned.key}' is bought in whole numbers, not {quantity:f}.", field=field)
    if quantity < planned.quantity_min:
        raise Invalid(
            f"At least {planned.quantity_min.normalize():f} of '{planned.key}' are bought.", field=field
        )
    if planned.quantity_max is not None and quantity > planned.quantity_max:
        raise Invalid(
            f"At most {planned.quantity_max.normalize():f} of '{planned.key}' are sold.", field=field
        )
    try:
        rate(planned.charge, quantity)
    except (
        Invalid
    ) as error:  # more than a line may come to, which nobody bills whole: say so where it was asked for
        error.field = field
        raise


def _tally(planned: PlannedCharge, quantity: Decimal, events: int) -> EventTally:
    """Of equal events, the last of which has the rest: together they are the quantity to the last digit."""
    if not quantity:
        return EventTally()
    each = EXACT.divide(quantity, Decimal(events)).quantize(_STEP, rounding=ROUND_DOWN, context=EXACT)
    last = EXACT.subtract(quantity, EXACT.multiply(each, Decimal(events - 1)))
    return tally(planned.charge, [each] * (events - 1) + [last])
