"""Jobs on the same database, by PgQueuer: at least once, retried, held visibly when they fail for good."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
import psycopg
from pgqueuer import PgQueuer
from pgqueuer.db import PsycopgDriver
from pgqueuer.errors import DuplicateJobError, RetryRequested
from pgqueuer.models import Job
from pgqueuer.queries import Queries
from pgqueuer.types import JobId

from services.core import metrics, tracing
from services.core.database import Database
from services.core.logs import get_logger

log = get_logger(__name__)

ATTEMPTS_MAX = 8
RETRY = timedelta(seconds=5)  # doubled each time: the last of 8 tries comes ten minutes after the first
HEARTBEAT_TIMEOUT = timedelta(seconds=30)
POLL = timedelta(
    seconds=2
)  # only new jobs notify: retries, and jobs of a killed worker, are found by looking

JobHandler = Callable[[dict[str, Any]], Awaitable[None]]
_handlers: dict[str, JobHandler] = {}


def job(name: str) -> Callable[[JobHandler], JobHandler]:
    """Declare what runs when a job called `name` comes up. It may run twice: make it idempotent."""

    def register(handler: JobHandler) -> JobHandler:
        if name in _handlers:
            raise ValueError(f"There are two jobs called {name!r}.")
        _handlers[name] = handler
        return handler

    return register


async def enqueue(
    on: Database, name: str, payload: dict[str, Any], *, dedupe_key: str, after: timedelta = timedelta()
) -> None:
    """Have `name` run with `payload`, once per `dedupe_key` while such a job waits or runs.

    Its insert notifies, so never call this inside a business transaction: call it from a subscriber or
    after commit.
    """
    if name not in _handlers:
        raise KeyError(f"There is no job called {name!r}.")
    async with await on.unpooled() as connection:
        try:
            await Queries(PsycopgDriver(connection)).enqueue(
                name,
                orjson.dumps(payload),
                execute_after=after,
                dedupe_key=dedupe_key,
                headers={"trace_id": tracing.current_trace_id()},
            )
        except DuplicateJobError:
            log.debug("job_already_waiting", job=name)


async def work(on: Database) -> None:
    """Run jobs until cancelled; reconnects when the database comes back."""
    delay_s = 0.5
    while True:
        try:
            async with await on.unpooled() as asking, await on.unpooled() as listening:
                queuer = PgQueuer(_Driver(asking, listening))
                for name, handler in _handlers.items():
                    _register(queuer, name, handler)
                delay_s = 0.5
                await queuer.run(dequeue_timeout=POLL, heartbeat_timeout=HEARTBEAT_TIMEOUT)
                return
        except (psycopg.Error, OSError) as error:
            log.warning("jobs_reconnect", error=str(error), in_s=delay_s)
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, 10)


class _Driver(PsycopgDriver):
    """PgQueuer's driver, with a connection of its own for notifications.

    On a shared one every query waits until the listener lets go of it, which it does once a second.
    """

    def __init__(self, asking: psycopg.AsyncConnection[Any], listening: psycopg.AsyncConnection[Any]) -> None:
        super().__init__(listening)
        self._asking = PsycopgDriver(asking)

    async def fetch(self, query: str, *args: object) -> list[dict[str, object]]:
        return await self._asking.fetch(query, *args)

    async def execute(self, query: str, *args: object) -> str:
        return await self._asking.execute(query, *args)


def _register(queuer: PgQueuer, name: str, handler: JobHandler) -> None:
    @queuer.entrypoint(name, on_failure="hold")
    async def run(job: Job) -> None:
        with tracing.act(f"job {name}", continues=str((job.headers or {}).get("trace_id", ""))):
            try:
                await handler(orjson.loads(job.payload or b"{}"))
            except Exception as error:
                last = job.attempts + 1 >= ATTEMPTS_MAX
                metrics.JOBS.labels(name, "held" if last else "retried").inc()
                log.error(
                    "job_failed", job=name, job_id=int(job.id), attempt=job.attempts + 1, exc_info=error
                )
                if last:
                    raise
                raise RetryRequested(delay=RETRY * 2**job.attempts, reason=type(error).__name__) from error
            metrics.JOBS.labels(name, "done").inc()


# -- held jobs, which services/operations/held_jobs.py lists


@dataclass(frozen=True, slots=True)
class Retried:
    """How many jobs are sent `again`. The rest stay as they are: the same work is `waiting_already` under the
    key of a held job, or the job is `not_held` (any more)."""

    again: int = 0
    waiting_already: int = 0
    not_held: int = 0


async def retry(on: Database, ids: Iterable[int]) -> Retried:
    """Have held jobs run again from their first try, as soon as a worker looks.

    One by one: where the same work was enqueued again meanwhile, the held job stays and the others go on.
    """
    outcomes: Counter[str] = Counter()
    async with await on.unpooled() as connection:
        queries = Queries(PsycopgDriver(connection))
        for job_id in map(JobId, ids):
            job = await queries.queue_job_by_id(job_id)
            if job is None or job.status != "failed":
                outcomes["not_held"] += 1
                continue
            try:
                await queries.requeue_jobs([job_id])
                outcomes["again"] += 1
            except psycopg.errors.UniqueViolation:
                outcomes["waiting_already"] += 1
    return Retried(**outcomes)
