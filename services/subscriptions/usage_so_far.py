"""What the metered prices of a subscription come to in the period that passes, counted as its end bills them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from services.billing import explaining, policies, usage_lines, usage_pieces
from services.billing.explaining import Step
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.subscriptions import charges
from services.subscriptions import rows as subscription_rows

READ, STAFF_READ = Capability.SUBSCRIPTIONS_READ, Capability.STAFF_SUBSCRIPTIONS_READ


@dataclass(frozen=True, slots=True)
class UsedSoFar:
    """Of one metered price, in the pieces of the period that lie in [since, until): before coupons and tax. `steps`
    give `amount_minor`, rounded once; what earlier pieces were billed for is in it. `bills_at` is when the period
    ends."""

    key: str
    name: str
    meter: str
    currency: str
    since: datetime
    until: datetime
    bills_at: datetime | None
    quantity: Decimal
    amount_minor: int
    billed_before_minor: int
    steps: tuple[Step, ...]


async def used_so_far(uow: UnitOfWork, subscription_id: str, *, staff: bool = False) -> list[UsedSoFar]:
    """Of a subscription of the organisation that the work is bound to; nothing in a trial, a pause or after its end,
    which are not metered. What came in late of periods that were billed is not in it. Raises Forbidden and
    NotFound."""
    row = await policies.subscription_for(uow, subscription_id, STAFF_READ if staff else READ, lock=False)
    _, now = await subscription_rows.load(uow, row, lines=False)
    found: list[UsedSoFar] = []
    for item in now.running:
        meter = item.price.charge.meter
        if meter is None:
            continue
        _, made = charges.bill_until(now, item, uow.now)
        for one in made:
            if one.span is None:
                continue
            line = await usage_lines.usage_line(uow, row.id, one, item.price.charge.name, {})
            _, steps = explaining.replay_amount(line.facts)
            found.append(
                UsedSoFar(
                    key=item.price.charge.key,
                    name=line.description,
                    meter=meter,
                    currency=line.amount.currency,
                    since=usage_pieces.spans_of(line.facts, one.span)[0].start,
                    until=one.span.end,
                    bills_at=charges.due(now, item),
                    quantity=line.quantity,
                    amount_minor=line.amount.minor,
                    billed_before_minor=line.billed_before.minor if line.billed_before else 0,
                    steps=steps,
                )
            )
    return found
