"""What a meter counts is billed by one subscription of an organisation at a time.

Meters count what the whole organisation uses. Two subscriptions with a price for one meter would each bill all of it.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from services.core.errors import Conflict
from services.core.work import UnitOfWork

# Lines of usage begin and end at whole minutes, so what ended within the minute has nothing in common with what begins.
_TAKEN = """
select c.meter, p.name from subscription s
cross join lateral (
  select i.price_id from subscription_item i where i.subscription_id = s.id
    and date_trunc('minute', coalesce(i.ended_at, 'infinity')) > date_trunc('minute', cast(:since as timestamptz))
  union all
  select choice ->> 'price_id' from jsonb_array_elements(s.scheduled -> 'choices') choice
) taken
join plan_charge c on c.id = taken.price_id
join plan p on p.id = s.plan_id
where s.organization_id = :organization_id and s.id <> :subscription_id and c.meter = any(:meters)
  and date_trunc('minute', coalesce(s.ended_at, 'infinity')) > date_trunc('minute', cast(:since as timestamptz))
order by s.id, c.meter limit 1
"""


class MeterTaken(Conflict):
    """Another subscription bills what this one would bill, too."""

    code = "meter_taken"
    title = "Another subscription bills this usage already"


async def require_free(
    uow: UnitOfWork, subscription_id: str, meters: Collection[str], *, since: datetime
) -> None:
    """Nobody else may bill these meters from `since` on. One that is paused, or a change that waits, counts, too.

    Raises MeterTaken.
    """
    if not meters:
        return
    await uow.execute(
        "select pg_advisory_xact_lock(hashtextextended(:organization_id, 61))",
        organization_id=uow.organization_id,
    )
    found = await uow.execute(
        _TAKEN,
        organization_id=uow.organization_id,
        subscription_id=subscription_id,
        meters=sorted(meters),
        since=since,
    )
    taken = found.one_or_none()
    if taken is not None:
        raise MeterTaken(
            f"Your subscription to {taken.name} bills {taken.meter.replace('_', ' ')} already.",
            next_step="Change that subscription instead, or end it first.",
            meter=taken.meter,
        )
