"""Jobs run at least once, once per key, again after failures, and in another worker when theirs is killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pgqueuer.db import PsycopgDriver
from pgqueuer.queries import Queries

from services.core import jobs
from services.core.database import Database

ROOT = Path(__file__).parents[3]
TIMEOUT_S = 30.0
POLL_S = 0.02
RETRY_S = 0.05

_ran: list[dict[str, Any]] = []
_ran_at: list[float] = []
_failures_left = 0


@jobs.job("test.note")
async def _note(payload: dict[str, Any]) -> None:
    global _failures_left
    _ran.append(payload)
    _ran_at.append(asyncio.get_running_loop().time())
    if _failures_left:
        _failures_left -= 1
        raise RuntimeError("not yet")


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    global _failures_left
    _ran.clear()
    _ran_at.clear()
    _failures_left = 0
    monkeypatch.setattr(jobs, "RETRY", timedelta(seconds=RETRY_S))
    monkeypatch.setattr(jobs, "POLL", timedelta(seconds=0.1))


@asynccontextmanager
async def working(on: Database) -> AsyncIterator[None]:
    task = asyncio.create_task(jobs.work(on))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not await condition():  # noqa: ASYNC110 - the condition lies in the database
            await asyncio.sleep(POLL_S)


async def statuses(on: Database) -> list[str]:
    """Of the jobs that are not done, oldest first."""
    async with await on.unpooled() as connection:
        rows = await connection.execute("select status::text from pgqueuer order by id")
        return [status for (status,) in await rows.fetchall()]


async def no_jobs(on: Database) -> bool:
    return await statuses(on) == []


async def test_a_waiting_job_is_not_enqueued_twice_and_a_done_one_may_be(database: Database) -> None:
    await jobs.enqueue(database, "test.note", {"n": 1}, dedupe_key="a")
    await jobs.enqueue(database, "test.note", {"n": 2}, dedupe_key="a")
    await jobs.enqueue(database, "test.note", {"n": 3}, dedupe_key="b")

    async with working(database):
        await until(lambda: no_jobs(database))
        assert sorted(one["n"] for one in _ran) == [1, 3]

        await jobs.enqueue(database, "test.note", {"n": 4}, dedupe_key="a")
        await until(lambda: no_jobs(database))

    assert sorted(one["n"] for one in _ran) == [1, 3, 4]


async def test_a_job_nobody_declared_is_refused_before_it_waits_for_ever(database: Database) -> None:
    with pytest.raises(KeyError, match="no such"):
        await jobs.enqueue(database, "no such", {}, dedupe_key="a")

    assert await no_jobs(database)


async def test_a_failed_job_is_tried_again_after_twice_as_long_each_time(database: Database) -> None:
    global _failures_left
    _failures_left = 3
    await jobs.enqueue(database, "test.note", {"n": 1}, dedupe_key="a")

    async with working(database):
        await until(lambda: no_jobs(database))

    assert _ran == [{"n": 1}] * 4
    gaps = [later - earlier for earlier, later in pairwise(_ran_at)]
    assert all(gap >= RETRY_S * 2**n for n, gap in enumerate(gaps)), gaps  # longer on a busy machine


async def test_a_job_that_fails_for_good_is_held_and_can_be_sent_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    global _failures_left
    monkeypatch.setattr(jobs, "ATTEMPTS_MAX", 2)
    _failures_left = 2
    await jobs.enqueue(database, "test.note", {"n": 1}, dedupe_key="a")

    async with working(database), await database.unpooled() as connection:

        async def held() -> bool:
            return await statuses(database) == ["failed"]

        await until(held)
        assert len(_ran) == 2
        queries = Queries(PsycopgDriver(connection))
        failed = await queries.list_failed_jobs()
        assert [job.entrypoint for job in failed] == ["test.note"]

        await queries.requeue_jobs([job.id for job in failed])
        await until(lambda: no_jobs(database))

    assert len(_ran) == 3


_STUCK_WORKER = """
import asyncio, sys
from services.core import database, jobs

@jobs.job("test.note")
async def stuck(payload):
    await asyncio.Event().wait()

asyncio.run(jobs.work(database.connect(sys.argv[1], pool_size=2)))
"""


async def test_another_worker_takes_over_from_one_that_was_killed(database: Database) -> None:
    await jobs.enqueue(database, "test.note", {"n": 1}, dedupe_key="a")
    killed = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _STUCK_WORKER, database.url, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    try:

        async def picked() -> bool:
            return await statuses(database) == ["picked"]

        await until(picked)
    finally:
        with contextlib.suppress(ProcessLookupError):
            killed.send_signal(signal.SIGKILL)
        await killed.wait()

    assert await statuses(database) == ["picked"]
    assert _ran == []
    async with await database.unpooled() as connection:  # as if that time had passed
        await connection.execute("update pgqueuer set heartbeat = now() - %s", (jobs.HEARTBEAT_TIMEOUT,))
    async with working(database):
        await until(lambda: no_jobs(database))

    assert _ran == [{"n": 1}]
