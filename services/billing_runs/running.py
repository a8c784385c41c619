"""The billing run: what is due is billed, by as many workers as there are.

What is plain is billed in sets (set_billing.py), the rest one by one, each in a transaction bound to its organisation.
A worker that dies leaves what it had as it was, others pass it by while it is held, and one that cannot be billed is
parked with the reason and tried again later, alone. Source of the choices: docs/decisions/0030-billing-run.md and
0031-billing-in-sets.md.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlmodel import select

from models.subscriptions import Subscription
from services.billing import policies
from services.billing.events import SubscriptionParked, SubscriptionRetryAsked
from services.billing_runs import parking, run_records, set_billing, set_running, usage_running
from services.billing_runs.set_billing import Together
from services.core.actor import system
from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.errors import Busy, Conflict, MatrixError, Unavailable
from services.core.logs import get_logger
from services.core.permissions import Capability
from services.core.work import UnitOfWork, unit_of_work
from services.subscriptions import billing as subscription_billing
from services.subscriptions import rows as subscription_rows
from services.subscriptions.billing import MOMENTS_MAX
from services.subscriptions.rules import next_moment

log = get_logger(__name__)

EVERY_S = 60
BATCH = 500  # subscriptions that are looked up at once, and billed in one transaction where they are plain
LINES_PER_DAY_MAX = 5_000  # of one subscription, by its own clock: more is a fault, and is not billed
LINES_PER_ITEM_MAX = 4  # that one moment makes of one item
TURNS_MAX = 20  # of one subscription in one run, each MOMENTS_MAX at most
_WRITE = Capability.SUBSCRIPTIONS_WRITE

# Whose time has come by a clock. An organisation on a clock that stands, or is behind the wall, is due by that clock.
ON_THE_WALL = """
not exists (select from organization o join test_clock c on c.id = o.test_clock_id
  where o.id = s.organization_id and not (c.follows_wall and c.now_at >= :now))
"""
ON_A_CLOCK = "s.organization_id in (select o.id from organization o where o.test_clock_id = :clock_id)"
_DUE = """
select s.id, s.organization_id, s.{moment} as at from subscription s
where s.parked_at is {parked} null and s.{moment} <= :now and (s.{moment}, s.id) > (:after_at, :after_id) and {whose}
order by s.{moment}, s.id limit :most
"""
_LINES = """
select count(*) from (
  select from invoice i join invoice_line l on l.invoice_id = i.id
  where i.subscription_id = :id and l.created_at > :since limit :most
) made
"""
_LONG_AGO = datetime.fromisoformat("0001-01-02T00:00:00+00:00")


class TooMuchAtOnce(Conflict):
    """A subscription makes more lines than any should: something is wrong with it."""

    code = "too_much_at_once"
    title = "The subscription makes too many lines in a day"


class DoesNotRest(Conflict):
    """All was done, and the same moment is due again."""

    code = "subscription_does_not_rest"
    title = "The subscription does not come to rest"


@dataclass(frozen=True, slots=True)
class Due:
    id: str
    organization_id: str
    at: datetime


class Done(StrEnum):
    BILLED = "billed"
    PARKED = "parked"
    PASSED = "passed"  # somebody else is at it, or was


@dataclass(slots=True)
class Counts:
    """Of one run. `due` were found, and what is neither billed nor parked was somebody else's."""

    due: int = 0
    billed: int = 0
    parked: int = 0


async def bill_due(on: Database | None = None, *, clock: Clock | None = None) -> Counts:
    """Bill what is due by now of all organisations whose time is the wall's. Safe from many workers, to run twice and
    to be cut off. A run that finds nothing leaves no trace."""
    counts = Counts()
    run = _Run(on, clock, counts)
    async with aclosing(run.together()) as made_together:
        async for batch, made in made_together:
            counts.billed += made.billed
            left = set(made.left)
            await run.one_by_one([due for due in batch if due.id in left])
    async for batch in _batches(on, clock, moment="retry_at"):
        await run.found(batch)
        await run.one_by_one(batch)
    await run.end()
    await usage_running.bill_due(on, clock=clock)
    return counts


@dataclass(slots=True)
class _Run:
    """A pass over what is due, and the record of it, which begins with what is found first."""

    on: Database | None
    clock: Clock | None
    counts: Counts
    id: str | None = None

    async def together(self) -> AsyncGenerator[tuple[list[Due], Together]]:
        """Bill what is plain of all that is due. Each batch comes with what is left of it."""
        batches: deque[list[Due]] = deque()

        async def ids() -> AsyncIterator[Sequence[str]]:
            async for batch in _batches(self.on, self.clock, moment="next_at"):
                await self.found(batch)
                batches.append(batch)
                yield [due.id for due in batch]

        async with aclosing(set_running.one_after_the_other(ids(), self._bill)) as sets:
            async for _, made in sets:
                yield batches.popleft(), made

    async def _bill(self, ids: Sequence[str], before_writing: set_running.BeforeWriting) -> Together:
        return await set_billing.bill(
            ids,
            self.on,
            self.clock,
            lines_per_day_max=LINES_PER_DAY_MAX,
            lines_per_item=LINES_PER_ITEM_MAX,
            before_writing=before_writing,
        )

    async def found(self, batch: list[Due]) -> None:
        self.counts.due += len(batch)
        self.id = self.id or await run_records.begin(self.on, self.clock)

    async def one_by_one(self, batch: list[Due]) -> None:
        for due in batch:
            _count(self.counts, await bill_one(due, self.on, clock=self.clock))
        if self.id is not None:
            counts = self.counts
            await run_records.note(
                self.on, self.clock, self.id, due=counts.due, billed=counts.billed, parked=counts.parked
            )

    async def end(self) -> None:
        if self.id is not None:
            await run_records.end(self.on, self.clock, self.id)


async def bill_clock(clock_id: str, on: Database | None = None, *, clock: Clock | None = None) -> Counts:
    """Bill what is due of the organisations on a test clock, by what it shows."""
    counts = Counts()
    for moment in ("next_at", "retry_at"):
        async for batch in _batches(on, clock, clock_id=clock_id, moment=moment):
            counts.due += len(batch)
            for due in batch:
                _count(counts, await bill_one(due, on, clock=clock))
    await usage_running.bill_due(on, clock=clock, clock_id=clock_id)
    return counts


def _count(counts: Counts, done: Done) -> None:
    counts.billed += done is Done.BILLED
    counts.parked += done is Done.PARKED


async def _batches(
    on: Database | None, clock: Clock | None, *, moment: str, clock_id: str | None = None
) -> AsyncIterator[list[Due]]:
    """All that is due at its `moment`, once, in the order in which it came due: `next_at`, or `retry_at` of what is
    parked."""
    whose = ON_THE_WALL if clock_id is None else ON_A_CLOCK
    statement = _DUE.format(moment=moment, parked="" if moment == "next_at" else "not", whose=whose)
    after = (_LONG_AGO, "")
    while True:
        async with crossing(Reason.BILLING, on=on, clock=clock) as uow:
            now = uow.wall_now if clock_id is None else await shown(uow, clock_id)
            named = {} if clock_id is None else {"clock_id": clock_id}
            found = await uow.execute(
                statement,
                {**named, "now": now, "after_at": after[0], "after_id": after[1], "most": BATCH},
            )
            batch = [Due(row.id, row.organization_id, row.at) for row in found]
        if batch:
            after = (batch[-1].at, batch[-1].id)
            yield batch
        if len(batch) < BATCH:
            break


async def shown(uow: UnitOfWork, clock_id: str) -> datetime:
    """What a test clock shows, in work across tenants."""
    found = await uow.execute("select now_at from test_clock where id = :id", id=clock_id)
    shown: datetime = found.scalar_one()
    return shown


async def bill_one(due: Due, on: Database | None = None, *, clock: Clock | None = None) -> Done:
    """Bill one, or park it. Raises Unavailable: a database that is away says nothing about a subscription."""
    try:
        for _ in range(TURNS_MAX):
            async with unit_of_work(system(due.organization_id), on=on, clock=clock) as uow:
                row = await _taken(uow, due.id)
                if row is None:
                    return Done.PASSED
                rests = await bill(uow, row)
            if rests:
                break
        return Done.BILLED
    except Busy:
        return Done.PASSED  # the next run has it
    except Unavailable:
        raise
    except Exception as error:
        if not isinstance(error, MatrixError) or error.status >= 500:
            log.error("subscription_failed", subscription_id=due.id, exc_info=error)
        return await _park(due, error, on, clock)


async def _taken(uow: UnitOfWork, subscription_id: str) -> Subscription | None:
    """The row, locked, if it is due still and nobody else has it."""
    found = await uow.session.exec(
        select(Subscription)
        .where(Subscription.id == subscription_id)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    row = found.one_or_none()
    if row is None:
        return None
    at = row.next_at if row.parked_at is None else row.retry_at
    return row if at is not None and at <= uow.now else None


async def bill(uow: UnitOfWork, row: Subscription) -> bool:
    """Do what is due of one that is locked, as far as one transaction goes. Returns whether all is done; then it is
    parked no more. Raises what billing raises, TooMuchAtOnce and DoesNotRest."""
    most = await _moments(uow, row)
    done = await subscription_billing.catch_up(uow, row, _WRITE, most=most)
    if done == most and row.next_at is not None and row.next_at <= uow.now:
        return False
    await _settle(uow, row)
    parking.release(row)
    uow.add(row)
    return True


async def _moments(uow: UnitOfWork, row: Subscription) -> int:
    """How many may be done with what the day has room for. Raises TooMuchAtOnce."""
    made = await uow.execute(_LINES, id=row.id, since=uow.now - timedelta(days=1), most=LINES_PER_DAY_MAX)
    items = await uow.execute(
        "select count(*) from subscription_item where subscription_id = :id and ended_at is null", id=row.id
    )
    each = LINES_PER_ITEM_MAX * max(items.scalar_one(), 1)
    room = (LINES_PER_DAY_MAX - made.scalar_one()) // each
    if room < 1:
        raise TooMuchAtOnce(
            f"It made almost {LINES_PER_DAY_MAX:,} lines within a day.",
            next_step="See whether its prices and its start are meant; it goes on tomorrow.",
        )
    return min(room, MOMENTS_MAX)


async def _settle(uow: UnitOfWork, row: Subscription) -> None:
    """Somebody may have finalised or given up the draft that it waited for. Raises DoesNotRest."""
    if row.next_at is None or row.next_at > uow.now:
        return
    _, now = await subscription_rows.load(uow, row)
    draft = await policies.draft_of(uow, row)
    coming = next_moment(now) or subscription_billing.last_look(now)
    moments = [coming, draft.collect_until if draft is not None else None]
    row.next_at = min((one for one in moments if one is not None), default=None)
    if row.next_at is not None and row.next_at <= uow.now:
        raise DoesNotRest(
            f"What it has to do at {row.next_at.isoformat()} is done and due again.",
            next_step="Cancel it, or tell whoever looks after this installation.",
        )


# -- what cannot be billed


async def _park(due: Due, error: Exception, on: Database | None, clock: Clock | None) -> Done:
    """Let it wait, longer each time, with the reason in words."""
    async with unit_of_work(system(due.organization_id), on=on, clock=clock) as uow:
        row = await _taken(uow, due.id)
        if row is None:
            return Done.PASSED
        reason = parking.park(row, error, now=uow.now)
        if reason is not None:
            uow.record(
                SubscriptionParked(aggregate_id=row.id, organization_id=row.organization_id, reason=reason)
            )
        uow.add(row)
    return Done.PARKED


async def try_again(uow: UnitOfWork, subscription_id: str) -> Subscription:
    """Have one that is parked tried by the next run, and at the shortest wait after it. In work across tenants.

    Raises Forbidden, NotFound, and Conflict for one that is not parked.
    """
    uow.actor.require(Capability.STAFF_SUBSCRIPTIONS_WRITE)
    row = await policies.any_subscription(uow, subscription_id, lock=True)
    if row.parked_at is None:
        raise Conflict("This subscription is not parked.", next_step="It is billed when it is due.")
    row.retry_at, row.attempts = row.parked_at, 0
    uow.add(row)
    await uow.session.flush()
    uow.record(SubscriptionRetryAsked(aggregate_id=row.id, organization_id=row.organization_id))
    return row


async def moments_on(uow: UnitOfWork, clock_id: str) -> Sequence[datetime | None]:
    """When the next subscription on a test clock is due, and the next that is parked."""
    found = await uow.execute(
        "select min(s.next_at) filter (where s.parked_at is null) as next_at,"
        " min(s.retry_at) filter (where s.parked_at is not null) as retry_at"
        f" from subscription s where {ON_A_CLOCK}",
        clock_id=clock_id,
    )
    row = found.one()
    return (row.next_at, row.retry_at)
