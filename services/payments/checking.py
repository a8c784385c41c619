"""Rows of all organisations whose time has come, such as payments that their provider has to be asked about again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row

from services.core.work import UnitOfWork

BATCH = 100
_EARLIEST = datetime.min.replace(tzinfo=UTC)


def to_check(table: str) -> str:
    """The statement that finds the rows of `table` whose `check_at` has come, for `due`."""
    return (
        f"select id, organization_id, check_at as at from {table}"
        " where check_at <= :now and (check_at, id) > (:after_at, :after_id)"
        " order by check_at, id limit :most"
    )


async def due(
    across: Callable[[], AbstractAsyncContextManager[UnitOfWork]], statement: str, **named: Any
) -> AsyncIterator[Row[Any]]:
    """What `statement` finds as of `:now`: `id`, `organization_id` and `at`, in the order of `at` and `id`.

    A batch (`:most`, from behind `:after_at` and `:after_id`) is read in work of its own, so nothing is held while a
    row is dealt with; one that stays due is not met again.
    """
    after = (_EARLIEST, "")
    while True:
        async with across() as uow:
            found = await uow.execute(
                statement,
                named | {"now": uow.wall_now, "after_at": after[0], "after_id": after[1], "most": BATCH},
            )
            batch = found.all()
        for row in batch:
            yield row
        if len(batch) < BATCH:
            return
        after = (batch[-1].at, batch[-1].id)
