"""Forgetting what has served its purpose. Run again and again; each turn is bounded and may be cut off."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.work import UnitOfWork
from services.identity import throttle

ROWS_PER_TURN_MAX = 10_000  # of each table, in one transaction
# A link that was followed once answers the same when it is followed again, so tokens outlive their expiry.
MAIL_TOKENS_KEPT = timedelta(days=30)


async def forget_expired(on: Database | None = None, *, clock: Clock | None = None) -> int:
    """Delete expired answers of repeatable requests, old mail tokens and forgotten attempts.

    Returns how many rows went; when a table held more than one turn takes, the next turn goes on.
    """
    async with crossing(Reason.RETENTION, on=on, clock=clock) as uow:
        return (
            await _delete(uow, "idempotency_record", "expires_at <= :now")
            + await _delete(uow, "mail_token", "expires_at <= :now - :kept", kept=MAIL_TOKENS_KEPT)
            + await _delete(
                uow,
                "throttle",
                "last_failed_at <= :now - :remembered and (blocked_until is null or blocked_until <= :now)",
                remembered=timedelta(seconds=max(door.forget_s for door in throttle.DOORS)),
            )
        )


async def _delete(uow: UnitOfWork, table: str, condition: str, **named: Any) -> int:
    condition = condition.replace(":now", "cast(:now as timestamptz)")
    gone = await uow.execute(
        f"delete from {table} where ctid = any(array("
        f" select ctid from {table} where {condition} limit :most for update skip locked))",
        now=uow.wall_now,
        most=ROWS_PER_TURN_MAX,
        **named,
    )
    return gone.rowcount
