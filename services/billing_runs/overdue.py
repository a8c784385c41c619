"""Subscriptions with an invoice that is overdue are past due, and active again once nothing is.

services/billing/due_dates.py says when one is. Nothing of what is billed depends on it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

from models.subscriptions import SubscriptionState
from services.billing import policies
from services.billing.due_dates import DAY, OVERDUE, UNPAID, passes_at
from services.billing.events import SubscriptionStateChanged
from services.billing_runs import due_rows, running
from services.core.actor import system
from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.permissions import Capability
from services.core.work import UnitOfWork, unit_of_work
from services.subscriptions import states as subscription_states

EVERY_S = 300
BATCH = 500
S = SubscriptionState

# A day more or less than it may be somewhere on earth: whoever is found is looked at by the day of its documents.
_LATE = f"""
select distinct s.id, s.organization_id from invoice i join subscription s on s.id = i.subscription_id
where {UNPAID} and i.due_date <= :today and s.state = 'active' and s.id > :after and {{whose}}
order by s.id limit :most
"""
_PAID = f"""
select s.id, s.organization_id from subscription s
where s.state = 'past_due' and s.id > :after and {{whose}}
  and not exists (select from invoice i where i.subscription_id = s.id and {UNPAID} and i.due_date < :yesterday)
order by s.id limit :most
"""
_IS_LATE = f"select exists(select from invoice i where i.subscription_id = :id and {OVERDUE})"
_FIRST = f"""
select min(i.due_date) as due_date, i.policy->>'timezone' as zone
from subscription s join invoice i on i.subscription_id = s.id
where s.state = 'active' and {UNPAID} and {running.ON_A_CLOCK} group by zone
"""


async def mark_due(on: Database | None = None, *, clock: Clock | None = None) -> int:
    """Of all organisations whose time is the wall's. Returns how many changed. Safe to run twice."""
    return await _mark(None, on, clock)


async def mark_clock(clock_id: str, on: Database | None = None, *, clock: Clock | None = None) -> int:
    """Of the organisations on a test clock, by what it shows. Returns how many changed."""
    return await _mark(clock_id, on, clock)


async def _mark(clock_id: str | None, on: Database | None, clock: Clock | None) -> int:
    changed = 0
    async for found in _found(clock_id, on, clock):
        for subscription_id, organization_id in found:
            async with unit_of_work(system(organization_id), on=on, clock=clock) as uow:
                changed += await mark(uow, subscription_id)
    return changed


async def _found(
    clock_id: str | None, on: Database | None, clock: Clock | None
) -> AsyncIterator[list[tuple[str, str]]]:
    whose = running.ON_THE_WALL if clock_id is None else running.ON_A_CLOCK
    for statement in (_LATE, _PAID):
        after = ""
        while True:
            async with crossing(Reason.BILLING, on=on, clock=clock) as uow:
                now = uow.wall_now if clock_id is None else await due_rows.shown(uow, clock_id)
                named = {"now": now} if clock_id is None else {"clock_id": clock_id}
                edge = {"today": now.date()} if statement is _LATE else {"yesterday": (now - DAY).date()}
                rows = await uow.execute(
                    statement.format(whose=whose), {**named, **edge, "after": after, "most": BATCH}
                )
                found = [(row.id, row.organization_id) for row in rows]
            if found:
                after = found[-1][0]
                yield found
            if len(found) < BATCH:
                break


async def mark(uow: UnitOfWork, subscription_id: str) -> bool:
    """Have the state of one say whether it is past due. Returns whether it changed."""
    row = await policies.subscription_for(uow, subscription_id, Capability.SUBSCRIPTIONS_WRITE)
    late = await uow.execute(_IS_LATE, id=row.id, now=uow.wall_now)
    before, after = S(row.state), S.PAST_DUE if late.scalar_one() else S.ACTIVE
    if before not in (S.ACTIVE, S.PAST_DUE) or before is after:
        return False
    subscription_states.require_transition(before, after)
    row.state = after.value
    row.version += 1
    uow.add(row)
    uow.record(
        SubscriptionStateChanged(
            aggregate_id=row.id, organization_id=row.organization_id, before=before.value, after=after.value
        )
    )
    return True


async def next_on(uow: UnitOfWork, clock_id: str) -> datetime | None:
    """When the next subscription on a test clock becomes past due."""
    found = await uow.execute(_FIRST, clock_id=clock_id)
    return min((passes_at(row.due_date, row.zone) for row in found), default=None)
