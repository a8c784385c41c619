"""The relay stamps committed events with positions; subscribers follow positions.

A reader that followed event ids would lose rows that commit late. So ids are drawn under the aggregate's
lock, and one relay - it holds an advisory lock - gives every committed row the next position, in id order.
Positions become visible in order because one session hands them out. See docs/decisions/0003-event-log.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, LiteralString

import psycopg
import sqlalchemy as sa

from services.core import metrics, tracing
from services.core.crossing import Reason, crossing
from services.core.database import CROSSING_ROLE, Database, libpq_url
from services.core.errors import Unavailable
from services.core.logs import get_logger
from services.core.wakeups import EVENTS_COMMITTED, EVENTS_POSITIONED, listen
from services.core.work import UnitOfWork

log = get_logger(__name__)

RELAY_LOCK = 4_101_001
STAMP_BATCH_EVENTS = 1_000
DELIVERY_BATCH_EVENTS = 200
POLL_S = 5.0
RETRY_S_MAX = 30.0

_STAMP: LiteralString = """
with batch as (
  select id, row_number() over (order by id) as n from (
    select id from event where position is null order by id limit %s
  ) as unstamped
)
update event set position = (select coalesce(max(position), 0) from event) + batch.n
  from batch where event.id = batch.id
"""


@dataclass(frozen=True, slots=True)
class Delivered:
    """One event as a subscriber gets it. `id` is unique and stable: handlers are idempotent by it."""

    id: int
    position: int
    type: str
    aggregate_id: str
    organization_id: str | None
    actor_id: str
    payload: dict[str, Any]
    happened_at: datetime
    trace_id: str


Handler = Callable[[UnitOfWork, Delivered], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Something done once per event: `handlers` by event type, and a cursor under `name`."""

    name: str
    handlers: dict[str, Handler] = field(default_factory=dict[str, Handler])


class Relay:
    """Stamps positions in one process; others with the same database stand by for its lock."""

    def __init__(self, on: Database) -> None:
        self._database = on

    async def run(self) -> None:
        """Until cancelled. Survives restarts of the database."""
        delay_s = 0.1
        while True:
            try:
                async with await self._database.unpooled() as connection:
                    await connection.execute(f"set role {CROSSING_ROLE}")
                    await connection.execute("select pg_advisory_lock(%s)", (RELAY_LOCK,))
                    delay_s = 0.1
                    async for _ in listen(libpq_url(self._database.url), EVENTS_COMMITTED, poll_s=POLL_S):
                        await stamp(connection)
            except psycopg.Error as error:
                log.warning("relay_reconnects", error=str(error), in_s=delay_s)
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, RETRY_S_MAX)


async def stamp(connection: psycopg.AsyncConnection[Any]) -> int:
    """Give all committed events their positions. The caller holds the relay's lock. Returns how many."""
    stamped = 0
    while True:
        count = (await connection.execute(_STAMP, (STAMP_BATCH_EVENTS,))).rowcount
        stamped += count
        if count:
            await connection.execute("select pg_notify(%s, '')", (EVENTS_POSITIONED,))
            metrics.EVENTS_STAMPED.inc(count)
        if count < STAMP_BATCH_EVENTS:
            return stamped


async def follow(subscribers: list[Subscriber], on: Database) -> None:
    """Deliver to all subscribers, each at its own pace, until cancelled."""
    wake = {subscriber.name: asyncio.Event() for subscriber in subscribers}
    async with asyncio.TaskGroup() as tasks:
        for subscriber in subscribers:
            tasks.create_task(
                _follow_one(subscriber, on, wake[subscriber.name]), name=f"subscriber {subscriber.name}"
            )
        async for _ in listen(libpq_url(on.url), EVENTS_POSITIONED, poll_s=POLL_S):
            for event in wake.values():
                event.set()


async def _follow_one(subscriber: Subscriber, on: Database, wake: asyncio.Event) -> None:
    delay_s, known = 0.2, False
    while True:
        await wake.wait()
        wake.clear()
        try:
            if not known:
                await _know(subscriber, on)
                known = True
            while await deliver(subscriber, on):
                pass
            delay_s = 0.2
        except Unavailable:
            pass  # the listener reconnects, and says "look again" when it has
        except Exception as error:
            # Order matters, so a failing event holds back those behind it, visibly, and is tried again.
            metrics.SUBSCRIBER_FAILURES.labels(subscriber.name).inc()
            log.error("subscriber_failed", subscriber=subscriber.name, exc_info=error, retry_in_s=delay_s)
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, RETRY_S_MAX)
            wake.set()


_CURSOR = sa.text(
    "insert into subscriber_cursor (name, position, updated_at) values (:name, 0, :now)"
    " on conflict (name) do update set updated_at = excluded.updated_at returning position"
)
_READ = sa.text(
    "select id, position, type, aggregate_id, organization_id, actor_id, payload, happened_at, trace_id"
    " from event where position > :after order by position limit :limit"
)
_KNOW = sa.text(
    "insert into subscriber_cursor (name, position, updated_at) values (:name, 0, :now) on conflict (name) do nothing"
)
_ADVANCE = sa.text("update subscriber_cursor set position = :position where name = :name")


async def _know(subscriber: Subscriber, on: Database) -> None:
    """Keep a cursor for it before anything is delivered: one that fails at its first event is seen to be behind."""
    async with crossing(Reason.SUBSCRIBER, on=on) as uow:
        await uow.execute(_KNOW, name=subscriber.name, now=uow.wall_now)


async def deliver(subscriber: Subscriber, on: Database, *, limit: int = DELIVERY_BATCH_EVENTS) -> int:
    """Hand over the next events and move the cursor in the same transaction. Returns how many were read.

    The cursor row is locked, so two processes never deliver to one subscriber at once.
    """
    async with crossing(Reason.SUBSCRIBER, on=on) as uow:
        after = (await uow.execute(_CURSOR, name=subscriber.name, now=uow.wall_now)).scalar_one()
        rows = (await uow.execute(_READ, after=after, limit=limit)).all()
        for row in rows:
            handler = subscriber.handlers.get(row.type)
            if handler is not None:
                event = Delivered(*row)
                with tracing.act(f"event {event.type}", continues=event.trace_id, subscriber=subscriber.name):
                    await handler(uow, event)
        if rows:
            await uow.execute(_ADVANCE, position=rows[-1].position, name=subscriber.name)
    return len(rows)
