"""Customers who are left alone for a while: nothing is charged by itself and no campaign goes on until a hold is over.

What holds heed is services/dunning/holding.py's.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from models.dunning import DunningHold
from services.billing.periods import in_utc
from services.core.errors import Conflict, Invalid
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.dunning import policies
from services.dunning.events import DunningHeld, DunningReleased
from services.identity.rules import clean_text

WRITE = Capability.STAFF_PAYMENTS_WRITE
REASON_CHARACTERS_MAX = 500
HOLD_MAX = timedelta(days=366)
_OPEN = "select id from dunning_hold where organization_id = :organization_id and ended_at is null for update"


class CustomerHeld(Conflict):
    code = "customer_held"
    title = "The customer is held already"


async def place(
    uow: UnitOfWork, *, reason: str, until: datetime | None = None, lifts: bool = False
) -> DunningHold:
    """Leave the organisation that the work is bound to alone until `until`, or until it is released. With `lifts` what
    was restricted works meanwhile. Raises Forbidden, CustomerHeld, and Invalid without a reason and for a time that is
    past or more than HOLD_MAX away."""
    uow.actor.require(WRITE)
    reason = clean_text(reason, field="reason", what="The reason", characters_max=REASON_CHARACTERS_MAX)
    ends = None if until is None else in_utc(until, "until")
    if ends is not None and not uow.now < ends <= uow.now + HOLD_MAX:
        raise Invalid(f"A hold ends within {HOLD_MAX.days} days from now.", field="until")
    there = (await uow.execute(_OPEN, organization_id=uow.organization_id)).scalar_one_or_none()
    if there is not None:
        await _require_over(uow, there)
    row = DunningHold(
        id=new_id("dhld"),
        organization_id=uow.organization_id,
        reason=reason,
        lifts=lifts,
        until=ends,
        placed_by=uow.actor.id,
        created_at=uow.now,
    )
    uow.add(row)
    await uow.session.flush()
    uow.record(
        DunningHeld(
            aggregate_id=row.organization_id,
            organization_id=row.organization_id,
            hold_id=row.id,
            until=ends.isoformat() if ends else "",
            lifts=lifts,
        )
    )
    return row


async def release(uow: UnitOfWork, hold_id: str) -> DunningHold:
    """Go on. One that is over already changes nothing. Raises Forbidden and NotFound."""
    row = await policies.hold_for(uow, hold_id, WRITE, lock=True)
    if row.ended_at is None:
        _end(uow, row, uow.now, by=uow.actor.id)
        uow.record(
            DunningReleased(
                aggregate_id=row.organization_id, organization_id=row.organization_id, hold_id=row.id
            )
        )
        await uow.session.flush()
    return row


async def _require_over(uow: UnitOfWork, hold_id: str) -> None:
    row = await policies.hold_for(uow, hold_id, WRITE, lock=True)
    if row.until is None or row.until > uow.now:
        raise CustomerHeld(
            "This customer is held already.", next_step="Release that hold first.", hold_id=row.id
        )
    _end(uow, row, row.until, by=None)
    await uow.session.flush()


def _end(uow: UnitOfWork, row: DunningHold, at: datetime, *, by: str | None) -> None:
    row.ended_at, row.ended_by = at, by
    row.version += 1
    uow.add(row)
