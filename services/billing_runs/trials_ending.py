"""Whose trial ends soon is told what comes then, and what is missing for it: a week before, and again the day before.

On a test clock, too, by what it shows: a turned clock stops where somebody is told, as at all else that time brings.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row

from services.billing import policies
from services.billing.events import SubscriptionTrialEnding
from services.billing_runs import due_rows
from services.core.actor import system
from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.permissions import Capability
from services.core.work import UnitOfWork, unit_of_work
from services.payments.providers import registry

EVERY_S = 900
BATCH = 200
FIRST, LAST = timedelta(days=7), timedelta(days=1)  # before the end
SETTLED = timedelta(days=1)  # of which only the last is told: they have just read when it ends
# A trial ends no sooner than the next thing that is to be done, which there is an index of.
_ENDING = f"""
select s.id, s.organization_id, s.trial_end <= :last as last from subscription s
where s.next_at is not null and s.parked_at is null and s.next_at <= :first and s.state = 'trialing'
  and s.trial_end > :now and (s.trial_end <= :last or s.trial_end <= :first and s.started_at <= :settled)
  and s.cancel_at is null and s.id > :after and {{whose}}
  and not exists (select from event e where e.aggregate_id = s.id and e.type = '{SubscriptionTrialEnding.type}'
    and cast(e.payload ->> 'trial_end' as timestamptz) = s.trial_end
    and (cast(e.payload ->> 'last' as boolean) or s.trial_end > :last))
order by s.id limit :most
"""
# As `_ENDING` finds them: the first is told before the last only.
_NEXT = f"""
select min(case when t.first or t.first_at >= t.last_at then t.last_at else t.first_at end)
from subscription s cross join lateral (
  select s.trial_end - :last as last_at, greatest(s.trial_end - :first, s.started_at + :settled) as first_at,
    count(*) > 0 as first, coalesce(bool_or(cast(e.payload ->> 'last' as boolean)), false) as last
  from event e where e.aggregate_id = s.id and e.type = '{SubscriptionTrialEnding.type}'
    and cast(e.payload ->> 'trial_end' as timestamptz) = s.trial_end) t
where s.next_at is not null and s.parked_at is null and s.state = 'trialing' and s.trial_end > :now
  and s.cancel_at is null and not t.last and {due_rows.on_a_clock("s.organization_id")}
"""
_MISSING = """
select array_remove(array[
  case when not exists (select from billing_profile where organization_id = :id) then 'profile' end,
  case when not exists (select from payment_method where organization_id = :id and removed_at is null)
    and exists (select from provider_account where enabled and provider = any(:keep)) then 'method' end], null)
"""
_KEEP = sorted(name for name, one in registry.KINDS.items() if one.capabilities.keeps_methods)


async def tell(on: Database | None = None, *, clock: Clock | None = None, clock_id: str | None = None) -> int:
    """Of all whose time is the wall's, or of those on a test clock. Returns how many end. Safe to run twice and from
    many workers."""
    told, after = 0, ""
    while True:
        async with crossing(Reason.BILLING, on=on, clock=clock) as uow:
            condition, named = await due_rows.whose(uow, clock_id, "s.organization_id")
            now = named["now"]
            named |= {"first": now + FIRST, "last": now + LAST, "settled": now - SETTLED}
            found = await uow.execute(
                _ENDING.format(whose=condition), {**named, "after": after, "most": BATCH}
            )
            batch = found.all()
        for row in batch:
            async with unit_of_work(system(row.organization_id), on=on, clock=clock) as uow:
                told += await _tell(uow, row)
        if len(batch) < BATCH:
            return told
        after = batch[-1].id


async def next_on(uow: UnitOfWork, clock_id: str) -> datetime | None:
    """When somebody on a test clock is told next, in work across tenants."""
    shown = await due_rows.shown(uow, clock_id)
    found = await uow.execute(_NEXT, clock_id=clock_id, now=shown, first=FIRST, last=LAST, settled=SETTLED)
    return found.scalar_one()


async def _tell(uow: UnitOfWork, found: Row[Any]) -> bool:
    """Under its lock, unless somebody else has told it, or it is tried no more."""
    row = await policies.subscription_for(uow, found.id, Capability.SUBSCRIPTIONS_WRITE)
    end = row.trial_end.isoformat() if row.trial_end else ""
    known = await uow.execute(
        "select from event where aggregate_id = :id and type = :type and payload ->> 'trial_end' = :end"
        " and payload ->> 'last' = :last",
        id=row.id,
        type=SubscriptionTrialEnding.type,
        end=end,
        last=str(found.last).lower(),
    )
    if row.state != "trialing" or known.first() is not None:
        return False
    missing = await uow.execute(_MISSING, id=row.organization_id, keep=_KEEP)
    uow.record(
        SubscriptionTrialEnding(
            aggregate_id=row.id,
            organization_id=row.organization_id,
            trial_end=end,
            last=found.last,
            missing=missing.scalar_one(),
        )
    )
    return True
