"""Rows that are due, one by one, whatever they are: subscriptions, and months of usage.

They are found across tenants, and each is billed under `for update skip locked` in transactions bound to its
organisation, by as many workers as there are. One that cannot be billed is parked with the reason, never in the way of
others, and tried again. Source: docs/decisions/0030-billing-run.md.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from sqlmodel import select

from models.subscriptions import Subscription
from models.usage_billing import UsagePeriod
from services.billing_runs import parking
from services.core.actor import system
from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.errors import Busy, Conflict, MatrixError, Unavailable
from services.core.events import DomainEvent
from services.core.logs import get_logger
from services.core.permissions import Capability
from services.core.work import UnitOfWork, unit_of_work

log = get_logger(__name__)

R = TypeVar("R", Subscription, UsagePeriod)
TURNS_MAX = 20  # transactions for one row in one run
MOMENTS = ("next_at", "retry_at")  # when it is due; when it is parked, and due again

_DUE = """
select d.id, d.organization_id, d.{moment} as at from {table} d
where d.parked_at is {parked} null and d.{moment} <= :now and (d.{moment}, d.id) > (:after_at, :after_id) and {whose}
order by d.{moment}, d.id limit :most
"""
_NEXT = """
select min(d.next_at) filter (where d.parked_at is null) as next_at,
  min(d.retry_at) filter (where d.parked_at is not null) as retry_at
from {table} d where {whose}
"""
_LONG_AGO = datetime.fromisoformat("0001-01-02T00:00:00+00:00")


@dataclass(frozen=True, slots=True)
class Due:
    id: str
    organization_id: str
    at: datetime


class Done(StrEnum):
    BILLED = "billed"
    PARKED = "parked"
    PASSED = "passed"  # somebody else is at it, or was


@dataclass(frozen=True, slots=True)
class DueRows(Generic[R]):
    """One kind of rows. `act` does what is due of one that is locked, as far as one transaction goes, and says whether
    all is done; `find` is the policy by which staff reaches any of them."""

    model: type[R]
    called: str  # in words
    act: Callable[[UnitOfWork, R], Awaitable[bool]]
    find: Callable[..., Awaitable[R]]
    parked: Callable[..., DomainEvent]
    retry_asked: Callable[..., DomainEvent]
    batch: int  # that are looked up at once

    @property
    def table(self) -> str:
        return str(self.model.__tablename__)


def on_the_wall(column: str) -> str:
    """Whose time is the wall's, by the id of an organisation: on no clock, or on one that has caught up with `:now`.
    Whoever is on a clock that stands, or is behind the wall, is due by that clock."""
    return f"""not exists (select from organization o join test_clock c on c.id = o.test_clock_id
  where o.id = {column} and not (c.follows_wall and c.now_at >= :now))"""


def on_a_clock(column: str) -> str:
    """Who is on the test clock `:clock_id`, by the id of an organisation."""
    return f"{column} in (select o.id from organization o where o.test_clock_id = :clock_id)"


async def whose(uow: UnitOfWork, clock_id: str | None, column: str) -> tuple[str, dict[str, Any]]:
    """The condition on the id of an organisation, and what it names; `now` is what their clock shows."""
    if clock_id is None:
        return on_the_wall(column), {"now": uow.wall_now}
    return on_a_clock(column), {"now": await shown(uow, clock_id), "clock_id": clock_id}


async def shown(uow: UnitOfWork, clock_id: str) -> datetime:
    """What a test clock shows, in work across tenants."""
    found = await uow.execute("select now_at from test_clock where id = :id", id=clock_id)
    shown: datetime = found.scalar_one()
    return shown


async def batches(
    what: DueRows[R], on: Database | None, clock: Clock | None, *, moment: str, clock_id: str | None = None
) -> AsyncIterator[list[Due]]:
    """All that is due at its `moment`, once, in the order in which it came due."""
    after = (_LONG_AGO, "")
    while True:
        async with crossing(Reason.BILLING, on=on, clock=clock) as uow:
            condition, named = await whose(uow, clock_id, "d.organization_id")
            statement = _DUE.format(
                table=what.table,
                moment=moment,
                parked="" if moment == "next_at" else "not",
                whose=condition,
            )
            found = await uow.execute(
                statement, {**named, "after_at": after[0], "after_id": after[1], "most": what.batch}
            )
            batch = [Due(row.id, row.organization_id, row.at) for row in found]
        if batch:
            after = (batch[-1].at, batch[-1].id)
            yield batch
        if len(batch) < what.batch:
            return


async def bill_one(what: DueRows[R], due: Due, on: Database | None, clock: Clock | None) -> Done:
    """Bill one, or park it. Raises Unavailable: a database that is away says nothing about a row."""
    try:
        for _ in range(TURNS_MAX):
            async with unit_of_work(system(due.organization_id), on=on, clock=clock) as uow:
                row = await _taken(what, uow, due.id)
                if row is None:
                    return Done.PASSED
                rests = await what.act(uow, row)
                if rests:
                    parking.release(row)
                    uow.add(row)
            if rests:
                break
        return Done.BILLED
    except Busy:
        return Done.PASSED  # the next run has it
    except Unavailable:
        raise
    except Exception as error:
        if not isinstance(error, MatrixError) or error.status >= 500:
            log.error(f"{what.table}_failed", subject=due.id, exc_info=error)
        return await _park(what, due, error, on, clock)


async def _taken(what: DueRows[R], uow: UnitOfWork, row_id: str) -> R | None:
    """The row, locked, if it is due still and nobody else has it."""
    found = await uow.session.exec(
        select(what.model)
        .where(what.model.id == row_id)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    row = found.one_or_none()
    if row is None:
        return None
    at = row.next_at if row.parked_at is None else row.retry_at
    return row if at is not None and at <= uow.now else None


async def _park(
    what: DueRows[R], due: Due, error: Exception, on: Database | None, clock: Clock | None
) -> Done:
    """Let it wait, longer each time, with the reason in words."""
    async with unit_of_work(system(due.organization_id), on=on, clock=clock) as uow:
        row = await _taken(what, uow, due.id)
        if row is None:
            return Done.PASSED
        reason = parking.park(row, error, now=uow.now)
        if reason is not None:
            uow.record(what.parked(aggregate_id=row.id, organization_id=row.organization_id, reason=reason))
        uow.add(row)
    return Done.PARKED


async def try_again(what: DueRows[R], uow: UnitOfWork, row_id: str) -> R:
    """Have one that is parked tried by the next run, and at the shortest wait after it. In work across tenants.

    Raises Forbidden, NotFound, and Conflict for one that is not parked.
    """
    uow.actor.require(Capability.STAFF_SUBSCRIPTIONS_WRITE)
    row = await what.find(uow, row_id, lock=True)
    if row.parked_at is None:
        raise Conflict(f"This {what.called} is not parked.", next_step="It is billed when it is due.")
    row.retry_at, row.attempts = row.parked_at, 0
    uow.add(row)
    await uow.session.flush()
    uow.record(what.retry_asked(aggregate_id=row.id, organization_id=row.organization_id))
    return row


async def moments_on(what: DueRows[R], uow: UnitOfWork, clock_id: str) -> Sequence[datetime | None]:
    """When the next of them on a test clock is due, and the next that is parked."""
    statement = _NEXT.format(table=what.table, whose=on_a_clock("d.organization_id"))
    row = (await uow.execute(statement, clock_id=clock_id)).one()
    return (row.next_at, row.retry_at)
