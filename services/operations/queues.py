"""How long work waits: events for their position and their subscribers, jobs for a worker, usage for its sums."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.work import UnitOfWork, unit_of_work

QUEUES_MAX = 100


class Kind(StrEnum):
    RELAY = "relay"
    SUBSCRIBER = "subscriber"
    USAGE = "usage"
    JOB = "job"


@dataclass(frozen=True, slots=True)
class Queue:
    """`age` is how long the oldest has been due; None when nothing waits. `held` wait for a person."""

    kind: Kind
    name: str
    waiting: int
    age: timedelta | None
    held: int = 0


# What lies behind a cursor is counted up to a bound, as are jobs: an exact figure of a million helps nobody.
_EVENTS = """
select 'relay' as kind, 'relay' as name, count(*) as waiting, min(recorded_at) as since
from (select recorded_at from event where position is null limit 10000) as unstamped
union all
select * from (
  select 'subscriber', c.name, count(behind.recorded_at), min(behind.recorded_at)
  from subscriber_cursor c left join lateral (
    select recorded_at from event where position > c.position order by position limit 10000
  ) as behind on true
  group by c.name order by c.name limit :most
) as cursors
"""
_USAGE = "select count(*) as waiting from (select from usage_delta limit 100000) as deltas"
_JOBS = """
select entrypoint as name, count(*) filter (where status in ('queued', 'picked')) as waiting,
  min(execute_after) filter (where status = 'queued' and execute_after <= :now) as since,
  count(*) filter (where status = 'failed') as held
from (select entrypoint, status, execute_after from pgqueuer order by id limit 100000) as jobs
group by entrypoint order by entrypoint limit :most
"""


async def queues(on: Database | None = None) -> list[Queue]:
    """Everything that waits. Raises Unavailable."""
    return [*await event_queues(on), *await job_queues(on)]


async def event_queues(on: Database | None = None) -> list[Queue]:
    """The relay, each subscriber, and usage that is not in the roll-ups yet, which has no age."""
    async with crossing(Reason.INVARIANTS, on=on) as uow:
        rows = (await uow.execute(_EVENTS, most=QUEUES_MAX)).all()
        deltas = (await uow.execute(_USAGE)).scalar_one()
        found = [Queue(Kind(row.kind), row.name, row.waiting, _age(uow, row.since)) for row in rows]
        return [*found, Queue(Kind.USAGE, "usage roll-ups", deltas, None)]


async def job_queues(on: Database | None = None) -> list[Queue]:
    """Jobs by what they do. They are under no tenant, and the application's own role reads them."""
    async with unit_of_work(system(), on=on) as uow:
        rows = await uow.execute(_JOBS, now=uow.wall_now, most=QUEUES_MAX)
        return [Queue(Kind.JOB, row.name, row.waiting, _age(uow, row.since), row.held) for row in rows]


def _age(uow: UnitOfWork, since: datetime | None) -> timedelta | None:
    return max(uow.wall_now - since, timedelta()) if since is not None else None
