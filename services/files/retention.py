"""What has expired, was deleted or never arrived: the row is marked first, then the content goes.

Cut off anywhere, the next turn finds by the rows what is left to do.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from services.core.clock import Clock, SystemClock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.retention import batch
from services.core.settings import settings
from services.files.rules import ARRIVING_VALID
from services.files.stores import FilePlaces, places

PURGED_PER_TURN_MAX = 500


async def sweep_files(on: Database) -> None:
    """A turn of the schedule, over the store that settings name."""
    await sweep(places(settings()), on=on)


async def sweep(where: FilePlaces, *, on: Database | None = None, clock: Clock | None = None) -> int:
    """End what has had its time and remove the content of what has ended. Returns how many contents went."""
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
    async with crossing(Reason.RETENTION, on=on, clock=clock) as uow:
        found = await uow.execute(
            "select id from stored_file where deleted_at is not null and purged_at is null"
            " order by deleted_at limit :most",
            most=PURGED_PER_TURN_MAX,
        )
        ended = list(found.scalars())
    for file_id in ended:
        await where.store.remove(file_id)
    if ended:
        async with crossing(Reason.RETENTION, on=on, clock=clock) as uow:
            # A name may be somebody's, and there is nothing left that it would name.
            await uow.execute(
                "update stored_file set purged_at = :now, name = '' where id = any(:ids)",
                now=uow.wall_now,
                ids=ended,
            )
    await asyncio.to_thread(_clear, where.incoming, (clock or SystemClock()).now().timestamp())
    return len(ended)


def _clear(incoming: Path, now_s: float) -> None:
    """Remove what began to arrive on this machine and never did."""
    if not incoming.is_dir():
        return
    oldest = now_s - (ARRIVING_VALID + timedelta(hours=1)).total_seconds()
    for path in incoming.iterdir():
        if path.is_file() and path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)
