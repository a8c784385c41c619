"""Deleting what has served its purpose, in turns: each is bounded, waits for nobody and may be cut off."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from services.core.actor import system
from services.core.clock import Clock
from services.core.database import Database
from services.core.work import UnitOfWork, unit_of_work

ROWS_PER_TURN_MAX = 10_000  # of each table, in one transaction
JOB_LOG_KEPT = timedelta(days=30)


async def delete(uow: UnitOfWork, table: str, condition: str, **named: Any) -> int:
    """Delete rows that meet `condition`, which may name `:now` and the `named`. Returns how many went.

    Rows that somebody holds are left for the next turn. `table` and `condition` are source text, never input.
    """
    gone = await uow.execute(
        f"delete from {table} where ctid = any(array({batch(table, 'ctid', condition)}))",
        now=uow.wall_now,
        most=ROWS_PER_TURN_MAX,
        **named,
    )
    return gone.rowcount


def batch(table: str, column: str, condition: str) -> str:
    """The query for one turn's rows, locked. It takes `:now` and `:most`."""
    condition = condition.replace(":now", "cast(:now as timestamptz)")
    return f"select {column} from {table} where {condition} limit :most for update skip locked"


async def forget_job_log(on: Database | None = None, *, clock: Clock | None = None) -> int:
    """Delete what PgQueuer noted on jobs that ended long ago. Returns how many rows went."""
    async with unit_of_work(system(), on=on, clock=clock) as uow:
        return await delete(uow, "pgqueuer_log", "created <= :now - :kept", kept=JOB_LOG_KEPT)
