"""The billing run's part for usage by the price list: which months are due, each billed by itself, or parked.

As with subscriptions: found across tenants, billed under `for update skip locked` in a transaction bound to the
organisation, by as many workers as there are. Source: docs/decisions/0030-billing-run.md.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import select

from models.types import OrganizationKind
from models.usage_billing import UsagePeriod
from services.billing import policies, usage_billing, usage_months, usage_unused
from services.billing.events import UsageParked, UsageRetryAsked
from services.billing.usage_rules import month_end
from services.billing_runs import parking
from services.core.actor import system
from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.errors import Busy, Conflict, MatrixError, Unavailable
from services.core.listing import Column, Kind, Listing, Operator
from services.core.logs import get_logger
from services.core.permissions import Capability
from services.core.work import UnitOfWork, unit_of_work

log = get_logger(__name__)

BATCH = 200  # periods that are looked up at once
NEWCOMERS_MAX = 1_000  # organisations whose first period is begun at once

_ON_THE_WALL = """
not exists (select from organization o join test_clock c on c.id = o.test_clock_id
  where o.id = {id} and not (c.follows_wall and c.now_at >= :now))
"""
_ON_A_CLOCK = "{id} in (select o.id from organization o where o.test_clock_id = :clock_id)"
_NEWCOMERS = """
select n.id, least(n.created_at, cast(:now as timestamptz)) as starts_at, n.timezone from organization n
where n.kind <> :operator and not exists (select from usage_period p where p.organization_id = n.id)
  and {whose} order by n.id limit :most
"""
_AHEAD = f"""
select p.id, o.timezone from usage_period p join organization o on o.id = p.organization_id
where {_ON_A_CLOCK.format(id="p.organization_id")} and p.state = 'open' and p.starts_at > :now and not exists (
  select from usage_period e where e.organization_id = p.organization_id and e.id <> p.id)
"""
_DUE = """
select p.id, p.organization_id, p.{moment} as at from usage_period p
where p.parked_at is {parked} null and p.{moment} <= :now and (p.{moment}, p.id) > (:after_at, :after_id) and {whose}
order by p.{moment}, p.id limit :most
"""
_LONG_AGO = datetime.fromisoformat("0001-01-02T00:00:00+00:00")


@dataclass(frozen=True, slots=True)
class _Due:
    id: str
    organization_id: str
    at: datetime


async def bill_due(
    on: Database | None = None, *, clock: Clock | None = None, clock_id: str | None = None
) -> int:
    """Bill what is due by now of all organisations whose time is the wall's, or of those on a test clock. Safe from
    many workers, to run twice and to be cut off. Returns how many months were looked at."""
    looked_at = 0
    async with crossing(Reason.BILLING, on=on, clock=clock) as uow:
        await begin_all(uow, clock_id)
    ended = usage_unused.BATCH
    while ended == usage_unused.BATCH:
        async with crossing(Reason.BILLING, on=on, clock=clock) as uow:
            whose, named = await _whose(uow, clock_id, "p.organization_id")
            ended = await usage_unused.end(uow, whose, named)
        looked_at += ended
    going = True
    while going:  # what is billed may be due again at once: months that nobody billed in time
        going = False
        async for due in _found(on, clock, clock_id):
            looked_at += 1
            going |= await _bill_one(due, on, clock)
    return looked_at


async def begin(uow: UnitOfWork, organization_id: str, *, at: datetime, zone: str) -> None:
    """Bill an organisation for what it uses from `at` on, unless that has begun before. In work that may write it."""
    await usage_unused.begin(uow, [(organization_id, at, zone)])


async def begin_all(uow: UnitOfWork, clock_id: str | None) -> None:
    """Begin for organisations that were founded since, and earlier for those whose clock was set back since."""
    whose, named = await _whose(uow, clock_id, "n.id")
    if clock_id is not None:
        await _set_back(uow, named)
    found = await uow.execute(
        _NEWCOMERS.format(whose=whose),
        {**named, "operator": OrganizationKind.OPERATOR.value, "most": NEWCOMERS_MAX},
    )
    await usage_unused.begin(uow, [(row.id, row.starts_at, row.timezone) for row in found])


async def _set_back(uow: UnitOfWork, named: dict[str, Any]) -> None:
    """Whoever is put on a clock has used nothing yet: what they use by it counts from what it shows on."""
    found = await uow.execute(_AHEAD, named)
    for row in found.all():
        starts_at = named["now"].replace(second=0, microsecond=0)
        await uow.execute(
            "update usage_period set starts_at = :starts_at, ends_at = :ends_at, next_at = :ends_at where id = :id",
            id=row.id,
            starts_at=starts_at,
            ends_at=month_end(starts_at, row.timezone),
        )


async def _whose(uow: UnitOfWork, clock_id: str | None, column: str) -> tuple[str, dict[str, Any]]:
    """The condition on an organisation's id, and what it names; `now` is what their clock shows."""
    if clock_id is None:
        return _ON_THE_WALL.format(id=column), {"now": uow.wall_now}
    shown = await uow.execute("select now_at from test_clock where id = :id", id=clock_id)
    return _ON_A_CLOCK.format(id=column), {"now": shown.scalar_one(), "clock_id": clock_id}


async def _found(on: Database | None, clock: Clock | None, clock_id: str | None) -> AsyncIterator[_Due]:
    """All that is due, once, in the order in which it came due; then what is parked and to be tried again."""
    for moment, parked in (("next_at", ""), ("retry_at", "not")):
        after = (_LONG_AGO, "")
        while True:
            async with crossing(Reason.BILLING, on=on, clock=clock) as uow:
                whose, named = await _whose(uow, clock_id, "p.organization_id")
                found = await uow.execute(
                    _DUE.format(moment=moment, parked=parked, whose=whose),
                    {**named, "after_at": after[0], "after_id": after[1], "most": BATCH},
                )
                batch = [_Due(row.id, row.organization_id, row.at) for row in found]
            for due in batch:
                yield due
            if len(batch) < BATCH:
                break
            after = (batch[-1].at, batch[-1].id)


async def _bill_one(due: _Due, on: Database | None, clock: Clock | None) -> bool:
    """Bill one, or park it. Returns whether it was billed. Raises Unavailable: a database that is away says nothing
    about an organisation."""
    try:
        async with unit_of_work(system(due.organization_id), on=on, clock=clock) as uow:
            row = await _taken(uow, due.id)
            if row is None:
                return False
            await usage_billing.act(uow, row)
            parking.release(row)
            uow.add(row)
        return True
    except Busy:
        return False  # the next run has it
    except Unavailable:
        raise
    except Exception as error:
        if not isinstance(error, MatrixError) or error.status >= 500:
            log.error("usage_period_failed", period_id=due.id, exc_info=error)
        await _park(due, error, on, clock)
        return False


async def _taken(uow: UnitOfWork, period_id: str) -> UsagePeriod | None:
    """The row, locked, if it is due still and nobody else has it."""
    found = await uow.session.exec(
        select(UsagePeriod)
        .where(UsagePeriod.id == period_id)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    row = found.one_or_none()
    if row is None:
        return None
    at = row.next_at if row.parked_at is None else row.retry_at
    return row if at is not None and at <= uow.now else None


async def _park(due: _Due, error: Exception, on: Database | None, clock: Clock | None) -> None:
    """Let it wait, longer each time, with the reason in words."""
    async with unit_of_work(system(due.organization_id), on=on, clock=clock) as uow:
        row = await _taken(uow, due.id)
        if row is None:
            return
        reason = parking.park(row, error, now=uow.now)
        if reason is not None:
            uow.record(UsageParked(aggregate_id=row.id, organization_id=row.organization_id, reason=reason))
        uow.add(row)


async def try_again(uow: UnitOfWork, usage_period_id: str) -> UsagePeriod:
    """Have one that is parked tried by the next run, and at the shortest wait after it. In work across tenants.

    Raises Forbidden, NotFound, and Conflict for one that is not parked.
    """
    uow.actor.require(Capability.STAFF_SUBSCRIPTIONS_WRITE)
    row = await policies.any_usage_period(uow, usage_period_id, lock=True)
    if row.parked_at is None:
        raise Conflict("This period is not parked.", next_step="It is billed when it is due.")
    row.retry_at, row.attempts = row.parked_at, 0
    uow.add(row)
    await uow.session.flush()
    uow.record(UsageRetryAsked(aggregate_id=row.id, organization_id=row.organization_id))
    return row


async def moments_on(uow: UnitOfWork, clock_id: str) -> tuple[datetime | None, datetime | None]:
    """When the next period on a test clock is due, and the next that is parked."""
    await begin_all(uow, clock_id)
    found = await uow.execute(
        "select min(p.next_at) filter (where p.parked_at is null) as next_at,"
        " min(p.retry_at) filter (where p.parked_at is not null) as retry_at"
        f" from usage_period p where {_ON_A_CLOCK.format(id='p.organization_id')}",
        clock_id=clock_id,
    )
    row = found.one()
    return row.next_at, row.retry_at


# -- what staff sees


@dataclass(frozen=True, slots=True)
class PeriodRow:
    """A month of an organisation's usage by the price list, and what keeps it from being billed."""

    id: str
    organization_id: str
    organization_name: str
    starts_at: datetime
    ends_at: datetime
    state: str
    parked_reason: str | None
    attempts: int
    parked_at: datetime | None
    retry_at: datetime | None


PERIODS: Listing[PeriodRow] = Listing(
    "staff.usage_periods",
    row=PeriodRow,
    needs=Capability.STAFF_SUBSCRIPTIONS_READ,
    source="usage_period p",
    alias="p",
    joins="join organization o on o.id = p.organization_id",
    columns=(
        Column("id", "p.id", Kind.ID, filterable=True),
        Column("organization_id", "p.organization_id", Kind.ID, operators=(Operator.EQ, Operator.IN)),
        Column("organization_name", "o.name", joined=True),
        Column("starts_at", "p.starts_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
        Column("ends_at", "p.ends_at", Kind.INSTANT),
        Column("state", usage_months.STATE, Kind.ENUM, values=usage_months.STATES, filterable=True),
        Column("parked_reason", "p.parked_reason", nullable=True),
        Column("attempts", "p.attempts", Kind.INTEGER),
        Column("parked_at", "p.parked_at", Kind.INSTANT, nullable=True),
        Column("retry_at", "p.retry_at", Kind.INSTANT, nullable=True),
    ),
    sort="-starts_at",
)
