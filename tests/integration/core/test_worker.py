"""The worker process: starts, works, stops when asked, and after kill -9 the next one goes on where it was."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from matrix_app.worker.registry import SCHEDULES, SUBSCRIBERS
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.identity.accounts import sign_up
from services.identity.clients import Client
from services.metering.rules import UsageEventIn
from services.metering.service import ensure_platform_meters, record
from services.notify.jobs import ACCOUNT_MAIL
from tests.world import World

ROOT = Path(__file__).parents[3]
TIMEOUT_S = 180.0
POLL_S = 0.05


class Workers:
    """Worker processes on the test's database; none outlives the test."""

    def __init__(self, owner_url: str, app_url: str, data_dir: Path) -> None:
        self._environment = {
            **os.environ,
            "MATRIX_DATABASE_URL": owner_url,
            "MATRIX_DATABASE_APP_URL": app_url,
            "MATRIX_DATA_DIR": str(data_dir),
            "MATRIX_LOG_FORMAT": "json",
        }
        self._running: list[asyncio.subprocess.Process] = []

    async def start(self) -> asyncio.subprocess.Process:
        """A worker that has said it works."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "matrix_app.cli", "worker",
            cwd=ROOT, env=self._environment, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        self._running.append(process)
        assert process.stderr is not None
        async with asyncio.timeout(TIMEOUT_S):
            while line := await process.stderr.readline():
                if b"worker_started" in line:
                    return process
        raise AssertionError(f"the worker ended with {await process.wait()}")

    async def end(self, process: asyncio.subprocess.Process, number: signal.Signals) -> int:
        process.send_signal(number)
        async with asyncio.timeout(TIMEOUT_S):
            _, status = await asyncio.gather(process.communicate(), process.wait())
        return status

    async def kill_all(self) -> None:
        for process in self._running:
            if process.returncode is None:
                await self.end(process, signal.SIGKILL)


@pytest.fixture
async def workers(owner_url: str, database: Database, tmp_path: Path) -> AsyncIterator[Workers]:
    workers = Workers(owner_url, database.url, tmp_path)  # where the fixture `database` keeps its keys, too
    yield workers
    await workers.kill_all()


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not await condition():  # noqa: ASYNC110 - the condition lies in the database
            await asyncio.sleep(POLL_S)


async def one(on: Database, statement: str) -> int:
    async with crossing(Reason.INVARIANTS, on=on) as uow:
        return (await uow.execute(statement)).scalar_one()


MAILS = "select count(*) from mail"
UNDELIVERED = (
    "select count(*) from event"
    " where position is null or position > (select min(position) from subscriber_cursor)"
)
WAITING = "select count(*) from usage_delta"


async def joins(email: str) -> None:
    await sign_up(email=email, password="a long enough one", name="Somebody", client=Client("192.0.2.1"))


async def test_a_worker_stops_when_asked_and_says_so(workers: Workers) -> None:
    worker = await workers.start()

    assert await workers.end(worker, signal.SIGTERM) == 0


async def test_a_worker_shows_signs_of_life(workers: Workers, database: Database) -> None:
    living = "select count(*) from heartbeat where clock_timestamp() - beaten_at < interval '15 seconds'"
    assert await one(database, living) == 0
    worker = await workers.start()

    await until(lambda: one(database, living))
    await one(database, "update heartbeat set beaten_at = '2026-01-01' returning 1")

    await until(lambda: one(database, living))
    assert await workers.end(worker, signal.SIGTERM) == 0


async def test_what_waits_when_a_worker_is_killed_is_done_by_the_next(
    workers: Workers, database: Database, world: World
) -> None:
    organization = await world.organization()
    killed = await workers.start()
    await joins("first@example.com")
    await until(lambda: one(database, MAILS))
    assert await workers.end(killed, signal.SIGKILL) == -signal.SIGKILL

    await joins("second@example.com")  # an event nobody delivers
    await _use(database, organization.id)
    assert await one(database, MAILS) == 1
    assert await one(database, UNDELIVERED) > 0
    assert await one(database, WAITING) > 0

    last = await workers.start()

    async def all_done() -> bool:
        return not await one(database, UNDELIVERED) and not await one(database, WAITING)

    await until(all_done)
    await until(lambda: one(database, "select (count(*) = 2)::int from mail"))
    assert await one(database, "select count(distinct recipient) from mail") == 2
    async with await database.unpooled() as connection:
        assert (
            await (await connection.execute("select from pgqueuer where status = 'failed'")).fetchall() == []
        )
    assert await workers.end(last, signal.SIGTERM) == 0


async def _use(on: Database, organization_id: str) -> None:
    async with crossing(Reason.CATALOG, on=on) as uow:
        await ensure_platform_meters(uow)
    event = UsageEventIn(
        "gateway", "req_1", "ai.request", datetime.now(UTC) - timedelta(minutes=1), {"prompt_tokens": 3},
        organization_id=organization_id,
    )  # fmt: skip
    async with crossing(Reason.GATEWAY_SETTLEMENT, on=on) as uow:
        await record(uow, [event])


def test_everything_the_worker_does_has_a_name_of_its_own() -> None:
    names = [subscriber.name for subscriber in SUBSCRIBERS] + [schedule.name for schedule in SCHEDULES]

    assert len(names) == len(set(names))
    assert all(schedule.every_s > 0 for schedule in SCHEDULES)
    assert ACCOUNT_MAIL == "notify.account_mail"  # waiting jobs know it by this name: do not rename it
