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
from datetime import timedelta

from models.subscriptions import Subscription
from services.billing import policies
from services.billing.events import SubscriptionParked, SubscriptionRetryAsked
from services.billing_runs import due_rows, run_records, set_billing, set_running, usage_running
from services.billing_runs.due_rows import Done, Due, DueRows
from services.billing_runs.set_billing import Together
from services.core.clock import Clock
from services.core.database import Database
from services.core.errors import Conflict
from services.core.logs import get_logger
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.subscriptions import billing as subscription_billing
from services.subscriptions import rows as subscription_rows
from services.subscriptions.billing import MOMENTS_MAX
from services.subscriptions.rules import next_moment

log = get_logger(__name__)

EVERY_S = 60
BATCH = 500  # subscriptions that are looked up at once, and billed in one transaction where they are plain
LINES_PER_DAY_MAX = 5_000  # of one subscription, by its own clock: more is a fault, and is not billed
LINES_PER_ITEM_MAX = 4  # that one moment makes of one item
_WRITE = Capability.SUBSCRIPTIONS_WRITE

ON_THE_WALL, ON_A_CLOCK = due_rows.on_the_wall("s.organization_id"), due_rows.on_a_clock("s.organization_id")
_LINES = """
select count(*) from (
  select from invoice i join invoice_line l on l.invoice_id = i.id
  where i.subscription_id = :id and l.created_at > :since limit :most
) made
"""


class TooMuchAtOnce(Conflict):
    """A subscription makes more lines than any should: something is wrong with it."""

    code = "too_much_at_once"
    title = "The subscription makes too many lines in a day"


class DoesNotRest(Conflict):
    """All was done, and the same moment is due again."""

    code = "subscription_does_not_rest"
    title = "The subscription does not come to rest"


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
    async for batch in due_rows.batches(SUBSCRIPTIONS, on, clock, moment="retry_at"):
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
            async for batch in due_rows.batches(SUBSCRIPTIONS, self.on, self.clock, moment="next_at"):
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
    for moment in due_rows.MOMENTS:
        async for batch in due_rows.batches(SUBSCRIPTIONS, on, clock, clock_id=clock_id, moment=moment):
            counts.due += len(batch)
            for due in batch:
                _count(counts, await bill_one(due, on, clock=clock))
    await usage_running.bill_due(on, clock=clock, clock_id=clock_id)
    return counts


def _count(counts: Counts, done: Done) -> None:
    counts.billed += done is Done.BILLED
    counts.parked += done is Done.PARKED


async def bill_one(due: Due, on: Database | None = None, *, clock: Clock | None = None) -> Done:
    """Bill one, or park it. Raises Unavailable."""
    return await due_rows.bill_one(SUBSCRIPTIONS, due, on, clock)


async def _act(uow: UnitOfWork, row: Subscription) -> bool:
    """Do what is due of one that is locked, as far as one transaction goes. Returns whether all is done. Raises what
    billing raises, TooMuchAtOnce and DoesNotRest."""
    most = await _moments(uow, row)
    done = await subscription_billing.catch_up(uow, row, _WRITE, most=most)
    if done == most and row.next_at is not None and row.next_at <= uow.now:
        return False
    await _settle(uow, row)
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


SUBSCRIPTIONS = DueRows(
    Subscription,
    "subscription",
    act=_act,
    find=policies.any_subscription,
    parked=SubscriptionParked,
    retry_asked=SubscriptionRetryAsked,
    batch=BATCH,
)


async def try_again(uow: UnitOfWork, subscription_id: str) -> Subscription:
    """Have one that is parked tried by the next run. Raises Forbidden, NotFound and Conflict."""
    return await due_rows.try_again(SUBSCRIPTIONS, uow, subscription_id)
