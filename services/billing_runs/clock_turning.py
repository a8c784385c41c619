"""Turning a test clock: it stops at every moment at which something happens, so that what is made does not depend on
how far it was turned at once.

A verb says where the clock is to go; the worker takes it there. A stop is: all that is due is done, each subscription
in a transaction of its own, and then the clock is moved to the next moment. It is not moved while anything is due
still, so a worker that dies, or another at the same clock, changes nothing. Moments are: a subscription is billed, its
draft is collected, it is tried again, the end of its trial is told, a month of usage is over, a lot of a wallet ends,
an invoice is overdue, is charged or is asked for, revenue is earned.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from models.clock import TestClock
from models.types import BillingInterval
from services.billing import policies
from services.billing.periods import Calendar
from services.billing_runs import due_rows, overdue, running, trials_ending, usage_running
from services.collection import collecting
from services.core.actor import system
from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.errors import Invalid, not_found
from services.core.work import UnitOfWork, unit_of_work
from services.dunning import running as dunning
from services.identity import clocks
from services.identity.events import TestClockTurned
from services.ledger import recognition
from services.wallets import expiry

EVERY_S = 1
CLOCKS_MAX = 1_000  # that are turned at once
STOPS_PER_TURN_MAX = 50  # of one clock, before the next one has its turn


class Kind(StrEnum):
    """What happens at a stop."""

    EXPIRY = "expiry"  # of a wallet's lot
    TRIALS = "trials"  # that end soon, which is told
    BILLING = "billing"
    OVERDUE = "overdue"
    COLLECTION = "collection"  # of an invoice that is due, by a method that is kept
    DUNNING = "dunning"
    REVENUE = "revenue"


@dataclass(frozen=True, slots=True)
class Stop:
    """What is due where the clock stands, and whether it was moved there just now."""

    due: frozenset[Kind]
    moved: bool


async def turn(uow: UnitOfWork, clock_id: str, *, to: datetime) -> TestClock:
    """Have a clock go to `to`, in work across tenants. Where it stands already, what is due there is done.

    Raises Forbidden, NotFound, Invalid for a time that is past or too far, and Conflict for a clock that is being
    turned or has caught up with the wall.
    """
    clock = await clocks.turnable(uow, clock_id, to=to)
    since = clocks.shown_by(clock, uow.wall_now)
    clock.target_at = to
    uow.add(clock)
    await uow.session.flush()
    for organization_id in await _organizations(uow, clock.id):
        uow.record(
            TestClockTurned(aggregate_id=clock.id, organization_id=organization_id, to=to, since=since)
        )
    return clock


async def turn_by(
    uow: UnitOfWork,
    organization_id: str,
    *,
    by: BillingInterval | None = None,
    on: date | None = None,
    to: datetime | None = None,
) -> ClockShown:
    """Turn the clock of an organisation by a length of its calendar, to the beginning of a day of it, or to a moment;
    one of them is said. In work across tenants. Raises what `turn` does, and NotFound where there is no clock."""
    there = await standing(uow, organization_id)
    await turn(uow, there.id, to=moment(there, by=by, on=on, to=to))
    return await look(uow, organization_id) or there


async def standing(uow: UnitOfWork, organization_id: str) -> ClockShown:
    """The clock of an organisation, for whoever may turn it. Raises Forbidden and NotFound."""
    uow.actor.require(clocks.NEEDED)
    there = await look(uow, organization_id)
    if there is None:
        raise not_found("test clock of the organisation", organization_id)
    return there


def moment(
    there: ClockShown,
    *,
    by: BillingInterval | None = None,
    on: date | None = None,
    to: datetime | None = None,
) -> datetime:
    """Where a clock goes that is turned so. Raises Invalid where not one way is said."""
    if by is not None and on is None and to is None:
        return Calendar(there.shows, there.timezone, by, 1).period_at(there.shows).end
    if on is not None and by is None and to is None:
        return datetime(on.year, on.month, on.day, tzinfo=ZoneInfo(there.timezone)).astimezone(UTC)
    if to is None or by is not None or on is not None:
        raise Invalid("Say by how much, to which day, or to which moment.", field="to")
    return to


@dataclass(frozen=True, slots=True)
class ClockShown:
    """The clock of an organisation. `target_at` while it is being turned."""

    id: str
    name: str
    shows: datetime
    target_at: datetime | None
    follows_wall: bool
    timezone: str


async def look(uow: UnitOfWork, organization_id: str) -> ClockShown | None:
    """The test clock of an organisation, if it has one, for staff in work across tenants. Raises Forbidden and
    NotFound."""
    organization = await policies.any_organization(uow, organization_id)
    row = await uow.get(TestClock, organization.test_clock_id) if organization.test_clock_id else None
    if row is None:
        return None
    return ClockShown(
        row.id,
        row.name,
        clocks.shown_by(row, uow.wall_now),
        row.target_at,
        row.follows_wall,
        organization.timezone,
    )


async def turn_due(on: Database | None = None, *, clock: Clock | None = None) -> int:
    """Take every clock that is being turned some stops further. Returns how many stops that were. Safe from many
    workers, to run twice and to be cut off."""
    async with crossing(Reason.BILLING, on=on, clock=clock) as uow:
        found = await uow.execute(
            "select id from test_clock where target_at is not null order by id limit :most", most=CLOCKS_MAX
        )
        clock_ids = list(found.scalars())
    stops = 0
    for clock_id in clock_ids:
        stops += await go_on(clock_id, on, clock=clock)
    return stops


async def go_on(
    clock_id: str, on: Database | None = None, *, clock: Clock | None = None, stops: int = STOPS_PER_TURN_MAX
) -> int:
    """Take a clock at most `stops` stops further. Returns how many it went: fewer when it has arrived, or when
    somebody else is at work on it."""
    await expiry.expire_all(on, clock=clock, clock_id=clock_id)  # whoever moved it here may have died
    await overdue.mark_clock(clock_id, on, clock=clock)  # something may have been paid while it stood
    await dunning.remind_clock(clock_id, on, clock=clock)
    done, before = 0, frozenset[Kind]()
    while done < stops:
        async with crossing(Reason.BILLING, on=on, clock=clock) as uow:
            stop = await _next_stop(uow, clock_id)
        if stop is None:
            break
        if not stop.moved and stop.due == before:
            break  # what was due here is not done yet: somebody else is at it
        before = stop.due
        await _do(stop.due, clock_id, on, clock)
        done += 1
    return done


async def _do(due: frozenset[Kind], clock_id: str, on: Database | None, clock: Clock | None) -> None:
    """What is due by what the clock shows, always in the same order."""
    if Kind.EXPIRY in due:
        await expiry.expire_all(on, clock=clock, clock_id=clock_id)
    if Kind.TRIALS in due:
        await trials_ending.tell(on, clock=clock, clock_id=clock_id)
    if Kind.BILLING in due:
        await running.bill_clock(clock_id, on, clock=clock)
    if Kind.OVERDUE in due:
        await overdue.mark_clock(clock_id, on, clock=clock)
    if Kind.COLLECTION in due:
        await _collect(clock_id, on, clock)
    if Kind.DUNNING in due:
        await dunning.remind_clock(clock_id, on, clock=clock)
    if Kind.REVENUE in due:
        async with crossing(Reason.BILLING, on=on, clock=clock) as uow:
            ids = await _organizations(uow, clock_id)
        for organization_id in ids:
            going = True
            while going:
                async with unit_of_work(system(organization_id), on=on, clock=clock) as uow:
                    going = bool(await recognition.recognize(uow, until=uow.now))


async def _collect(clock_id: str, on: Database | None, clock: Clock | None) -> None:
    if on is not None and on.rehearsal is not None:
        await collecting.take_as_paid(clock_id, on, clock=clock)
    elif (collector := collecting.collector(on, clock)) is not None:
        await collector.collect_clock(clock_id)


async def _next_stop(uow: UnitOfWork, clock_id: str) -> Stop | None:
    """Move the clock to its next stop, but not while anything is due where it stands. None when it has arrived."""
    row = await uow.get(TestClock, clock_id, lock=True)
    if row is None or row.target_at is None:
        return None
    shown = clocks.shown_by(row, uow.wall_now)
    moments = await _moments(uow, clock_id)
    if due := frozenset(kind for kind, moment in moments if moment <= shown):
        return Stop(due, moved=False)
    if shown >= row.target_at:
        row.target_at = None
        await clocks.move(uow, row, to=shown)
        return None
    to = min([row.target_at, *(moment for _, moment in moments)])
    if row.follows_wall and to >= uow.wall_now:
        row.target_at = None  # it is wall time from now on, and what comes is the billing run's
    await clocks.move(uow, row, to=to, tell=row.target_at is None)
    return Stop(frozenset(kind for kind, moment in moments if moment <= to), moved=True)


async def _moments(uow: UnitOfWork, clock_id: str) -> list[tuple[Kind, datetime]]:
    """When something of each kind happens next."""
    found = [
        (Kind.BILLING, moment) for moment in await due_rows.moments_on(running.SUBSCRIPTIONS, uow, clock_id)
    ]
    found += [(Kind.BILLING, moment) for moment in await usage_running.moments_on(uow, clock_id)]
    found.append((Kind.EXPIRY, await expiry.next_on(uow, clock_id)))
    found.append((Kind.OVERDUE, await overdue.next_on(uow, clock_id)))
    if uow.undoes or collecting.collector() is not None:
        found.append((Kind.COLLECTION, await collecting.next_on(uow, clock_id)))
    found.append((Kind.DUNNING, await dunning.next_on(uow, clock_id)))
    if not uow.undoes:  # nothing is billed of what is told or earned
        found.append((Kind.TRIALS, await trials_ending.next_on(uow, clock_id)))
        found.append((Kind.REVENUE, await recognition.next_due_on(uow, clock_id)))
    return [(kind, moment) for kind, moment in found if moment is not None]


async def _organizations(uow: UnitOfWork, clock_id: str) -> list[str]:
    found = await uow.execute(
        "select id from organization where test_clock_id = :id order by id", id=clock_id
    )
    return list(found.scalars())
