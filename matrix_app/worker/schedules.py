"""What the worker does again and again, and how often."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from services.core import metrics, tracing
from services.core.database import Database
from services.core.errors import Unavailable
from services.core.logs import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Schedule:
    """`run` is safe to run twice, from many workers, and to be cut off anywhere."""

    name: str
    every_s: float
    run: Callable[[Database], Awaitable[object]]


async def repeat(schedule: Schedule, on: Database) -> None:
    """Until cancelled. A failure is logged and counted, and the next turn comes all the same."""
    while True:
        try:
            with tracing.act(f"schedule {schedule.name}"):
                await schedule.run(on)
        except Unavailable as error:
            log.warning("schedule_waits", schedule=schedule.name, error=error.message)
        except Exception as error:
            metrics.JOBS.labels(schedule.name, "failed").inc()
            log.error("schedule_failed", schedule=schedule.name, exc_info=error)
        await asyncio.sleep(schedule.every_s)
