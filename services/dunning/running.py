"""What is due of dunning: overdue invoices are taken up, steps are done, and what was paid is let go.

Each case is worked on in a transaction of its own; one that fails is tried again later and holds up no other.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

from services.billing import contested, due_dates
from services.billing import policies as of_billing
from services.billing_runs import due_rows, running
from services.core.actor import system
from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.errors import Busy, Unavailable
from services.core.logs import get_logger
from services.core.permissions import Capability
from services.core.work import UnitOfWork, unit_of_work
from services.dunning import cases, crediting, holding, looking, policies, segments

log = get_logger(__name__)

EVERY_S = 30
BATCH = 200
TRY_AGAIN = timedelta(hours=1)
DAY = timedelta(days=1)

_OWED = "s.state = 'finalized' and s.due_minor > 0"
_UNTAKEN = "not exists (select from dunning_case c where c.invoice_id = s.id and c.reopened_at is null)"
# `s` is what the billing run calls that whose organisation is asked for.
_OVERDUE = f"""
select s.id, s.organization_id from invoice s
where {_OWED} and s.due_date <= :today and s.id > :after and {{whose}} and {segments.FITS_ONE}
  and {_UNTAKEN} and not {holding.on_hold("s.organization_id")} and not {holding.ended_under("s")}
order by s.id limit :most
"""
_DUE = f"""
select s.id, s.organization_id from dunning_case s
where s.next_at <= :now and not {holding.on_hold("s.organization_id")}
  and s.id > :after and {{whose}} order by s.id limit :most
"""
# Cases whose invoice is owed no more, whose customer has cancelled, or which restrict and should not, or the reverse.
_LIFTED = (
    f"(i.due_minor <= {contested.WAITS} or {holding.on_hold('s.organization_id', lifting=' and h.lifts')})"
)
_CHANGED = f"""
select s.id, s.organization_id from dunning_case s join invoice i on i.id = s.invoice_id
where (s.state <> 'ended' or s.restricts or s.paused_subscription) and s.id > :after and {{whose}}
  and (((i.due_minor = 0 or i.state <> 'finalized') and s.outcome is distinct from 'written_off')
    or (s.state = 'ended' and s.paused_subscription and s.outcome in ('recovered', 'not_owed', 'skipped', 'canceled'))
    or ((s.state <> 'ended' or s.restricts) and {holding.canceled("i")})
    or (s.restricts and i.state = 'finalized' and i.due_minor > 0
      and s.lifted <> {_LIFTED}))
order by s.id limit :most
"""
_FIRST = f"""
select min(s.due_date) as due_date, s.policy->>'timezone' as zone from invoice s
where {running.ON_A_CLOCK} and {_OWED} and {segments.FITS_ONE} and s.due_date >= :yesterday
  and {_UNTAKEN} and not {holding.on_hold("s.organization_id")} and not {holding.ended_under("s")} group by zone
"""
_NEXT = f"""
select min(s.next_at) from dunning_case s
where {running.ON_A_CLOCK} and not {holding.on_hold("s.organization_id")}
"""
_RELEASED = f"""
select min(s.until) from dunning_hold s where {running.ON_A_CLOCK} and s.ended_at is null and s.until > :now
"""


# Whose calls were refused, and are not any more: what was paid for that time is looked for.
_BLOCKED = """
select distinct s.organization_id as id, s.organization_id from dunning_block s
where s.due and s.organization_id > :after and {whose} order by s.organization_id limit :most
"""


async def remind_due(on: Database | None = None, *, clock: Clock | None = None) -> int:
    """Of all organisations whose time is the wall's. Returns how much was done. Safe to run twice, from many workers,
    and to be cut off."""
    return await _remind(None, on, clock)


async def remind_clock(clock_id: str, on: Database | None = None, *, clock: Clock | None = None) -> int:
    """Of the organisations on a test clock, by what it shows."""
    return await _remind(clock_id, on, clock)


async def _remind(clock_id: str | None, on: Database | None, clock: Clock | None) -> int:
    done = 0
    for statement, act in ((_CHANGED, looking.look), (_OVERDUE, take_up), (_DUE, cases.go_on)):
        async for row_id, organization_id in _found(statement, clock_id, on, clock):
            try:
                async with unit_of_work(system(organization_id), on=on, clock=clock) as uow:
                    done += await act(uow, row_id)
            except Busy:
                continue  # somebody else is at it
            except Unavailable:
                raise
            except Exception as error:
                log.error("dunning_failed", subject=row_id, exc_info=error)
                if statement is _DUE:
                    await _later(row_id, organization_id, on, clock)
    async for organization_id, _ in _found(_BLOCKED, clock_id, on, clock):
        done += await crediting.credit_blocked(organization_id, on, clock=clock)
    return done


async def _found(
    statement: str, clock_id: str | None, on: Database | None, clock: Clock | None
) -> AsyncIterator[tuple[str, str]]:
    whose = running.ON_THE_WALL if clock_id is None else running.ON_A_CLOCK
    after = ""
    while True:
        async with crossing(Reason.BILLING, on=on, clock=clock) as uow:
            now = uow.wall_now if clock_id is None else await due_rows.shown(uow, clock_id)
            named: dict[str, Any] = {} if clock_id is None else {"clock_id": clock_id}
            if statement is _OVERDUE:
                named["today"] = now.date()
            rows = await uow.execute(
                statement.format(whose=whose), {**named, "now": now, "after": after, "most": BATCH}
            )
            batch = [(row.id, row.organization_id) for row in rows]
        for one in batch:
            yield one
        if len(batch) < BATCH:
            return
        after = batch[-1][0]


async def look_at(organization_id: str, on: Database | None = None, *, clock: Clock | None = None) -> int:
    """Bring the cases of one organisation in line at once: something happened that may change them. Returns how many
    were changed; what is held by somebody else meanwhile, or is more than BATCH, waits for the schedule."""
    async with unit_of_work(system(organization_id), on=on, clock=clock) as uow:
        named = {"organization_id": organization_id, "now": uow.now, "after": "", "most": BATCH}
        rows = await uow.execute(_CHANGED.format(whose="s.organization_id = :organization_id"), named)
        ids = [row.id for row in rows]
    done = 0
    for case_id in ids:
        try:
            async with unit_of_work(system(organization_id), on=on, clock=clock) as uow:
                done += await looking.look(uow, case_id)
        except Busy:
            continue
    return done + await crediting.credit_blocked(organization_id, on, clock=clock)


async def take_up(uow: UnitOfWork, invoice_id: str) -> bool:
    """Have a campaign take up an invoice that is overdue where it was issued. Returns whether one did."""
    invoice = await of_billing.invoice_for(uow, invoice_id, Capability.STAFF_INVOICES_WRITE)
    zone = (invoice.policy or {}).get("timezone", "UTC")
    if (
        not cases.is_owed(invoice)
        or invoice.due_date is None
        or not due_dates.is_past(invoice.due_date, zone, uow.now)
    ):
        return False
    if await policies.case_of(uow, invoice.id) is not None or not await cases.is_to_be_paid(uow, invoice):
        return False
    if await holding.is_held(uow, invoice):
        return False
    campaign = await segments.campaign_of(uow, invoice)
    if campaign is None:
        return False
    await cases.begin(uow, invoice, campaign)
    return True


async def _later(case_id: str, organization_id: str, on: Database | None, clock: Clock | None) -> None:
    async with unit_of_work(system(organization_id), on=on, clock=clock) as uow:
        case = await policies.case_for(uow, case_id, cases.WRITE, lock=True)
        if case.next_at is not None and case.next_at <= uow.now:
            cases.put_off(uow, case, uow.now + TRY_AGAIN)


async def next_on(uow: UnitOfWork, clock_id: str) -> datetime | None:
    """When something is due on a test clock, in work across tenants."""
    shown = await due_rows.shown(uow, clock_id)
    named: dict[str, Any] = {"clock_id": clock_id, "now": shown}
    moments: list[datetime | None] = [
        (await uow.execute(statement, named)).scalar_one() for statement in (_NEXT, _RELEASED)
    ]
    for row in await uow.execute(_FIRST, {**named, "yesterday": (shown - DAY).date()}):
        # What is overdue already is taken up whenever its clock is turned, and holds up no clock.
        overdue = due_dates.passes_at(row.due_date, row.zone)
        moments.append(overdue if overdue > shown else None)
    return min((moment for moment in moments if moment is not None), default=None)
