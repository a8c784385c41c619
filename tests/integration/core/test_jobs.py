"""Jobs run at least once, once per key, again after failures, and in another worker when theirs is killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from services.core import jobs
from services.core.database import Database
from tests.integration.core.job_runs import no_jobs, statuses, until, working

ROOT = Path(__file__).parents[3]
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
