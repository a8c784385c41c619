"""What has expired, was deleted or never arrived: the row is marked first, then the content goes.

Cut off anywhere, the next turn finds by the rows what is left to do.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from pathlib import Path

from services.core import metrics
from services.core.clock import Clock, SystemClock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.errors import MatrixError
from services.core.logs import get_logger
from services.core.retention import batch
from services.core.settings import settings
from services.files.rules import ARRIVING_VALID
from services.files.stores import FilePlaces, Store, places

PURGED_PER_TURN_MAX = 500
STUCK_PER_TURN_MAX = 20  # a store that is away keeps each of them waiting for it

log = get_logger(__name__)


async def sweep_files(on: Database) -> None:
    """A turn of the schedule, over the store that settings name."""
    await sweep(places(settings()), on=on)


async def sweep(where: FilePlaces, *, on: Database | None = None, clock: Clock | None = None) -> int:
    """End what has had its time and remove the content of what has ended. Returns how many contents went."""
    try:
        await _end(on, clock)
        return await _purge(where, on, clock)
    finally:
        await asyncio.to_thread(_clear, where.incoming, (clock or SystemClock()).now().timestamp())


async def _end(on: Database | None, clock: Clock | None) -> None:
    async with crossing(Reason.RETENTION, on=on, clock=clock) as uow:
        for condition in (
            "expires_at <= :now and deleted_at is null",
            "stored_at is null and deleted_at is null and created_at <= :now - :valid",
        ):
            await uow.execute(
                f"update stored_file set deleted_at = :now where id in ({batch('stored_file', 'id', condition)})",
                now=uow.wall_now,
                valid=ARRIVING_VALID,
                most=PURGED_PER_TURN_MAX,
            )


async def _purge(where: FilePlaces, on: Database | None, clock: Clock | None) -> int:
    async with crossing(Reason.RETENTION, on=on, clock=clock) as uow:
        found = await uow.execute(
            "select id from stored_file where deleted_at is not null and purged_at is null"
            " order by purge_tried_at nulls first, deleted_at limit :most",
            most=PURGED_PER_TURN_MAX,
        )
        ended = list(found.scalars())
    gone, stuck = await _removed(where.store, ended)
    async with crossing(Reason.RETENTION, on=on, clock=clock) as uow:
        # A name may be somebody's, and there is nothing left that it would name.
        await uow.execute(
            "update stored_file set purged_at = :now, name = '' where id = any(:ids)",
            now=uow.wall_now,
            ids=gone,
        )
        await uow.execute(
            "update stored_file set purge_tried_at = :now where id = any(:ids)", now=uow.wall_now, ids=stuck
        )
    return len(gone)


async def _removed(store: Store, file_ids: list[str]) -> tuple[list[str], list[str]]:
    """Those whose content is gone, and those whose content would not go: the next turn begins with others."""
    gone: list[str] = []
    stuck: list[str] = []
    for file_id in file_ids:
        try:
            await store.remove(file_id)
            gone.append(file_id)
        except (MatrixError, OSError) as error:
            stuck.append(file_id)
            log.error("file_not_removed", file_id=file_id, exc_info=error)
            metrics.JOBS.labels("file removal", "failed").inc()
        if len(stuck) >= STUCK_PER_TURN_MAX:
            break
    return gone, stuck


def _clear(incoming: Path, now_s: float) -> None:
    """Remove what began to arrive on this machine and never did."""
    if not incoming.is_dir():
        return
    oldest = now_s - (ARRIVING_VALID + timedelta(hours=1)).total_seconds()
    for path in incoming.iterdir():
        with contextlib.suppress(FileNotFoundError):  # it may arrive this moment
            if path.is_file() and path.stat().st_mtime < oldest:
                path.unlink()
