"""A worker's part in jobs, for as long as a test needs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from services.core import jobs
from services.core.database import Database

TIMEOUT_S = 180.0
POLL_S = 0.02


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
