"""What identity forgets. Run again and again; when a table held more than one turn takes, the next goes on."""

from __future__ import annotations

from datetime import timedelta

from services.core import retention
from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.retention import delete
from services.core.work import UnitOfWork
from services.identity import rules, throttle

# A link that was followed once answers the same when it is followed again, so tokens outlive their expiry.
MAIL_TOKENS_KEPT = timedelta(days=30)
SIGN_UPS_KEPT = timedelta(days=30)  # of an address that nobody confirms
SIGN_INS_KEPT = timedelta(days=90)
ENROLMENT_KEPT = timedelta(days=1)  # of an authenticator app that was never confirmed
INVITATIONS_KEPT = timedelta(days=90)  # after they ended: the address in them is somebody's
SESSIONS_KEPT = timedelta(days=90)  # after they ended: people look up where they were signed in


async def forget_expired(on: Database | None = None, *, clock: Clock | None = None) -> int:
    """Delete what has expired, attempts, sessions and invitations of long ago, and accounts that nobody confirmed.

    Returns how many rows went, of an account its own only.
    """
    async with crossing(Reason.RETENTION, on=on, clock=clock) as uow:
        return (
            await delete(uow, "idempotency_record", "expires_at <= :now")
            + await delete(uow, "mail_token", "expires_at <= :now - :kept", kept=MAIL_TOKENS_KEPT)
            + await delete(
                uow,
                "throttle",
                "last_failed_at <= :now - :remembered and (blocked_until is null or blocked_until <= :now)",
                remembered=timedelta(seconds=max(door.forget_s for door in throttle.DOORS)),
            )
            + await delete(
                uow,
                "session",
                "least(ended_at, expires_at, last_seen_at + :idle) <= :now - :kept",
                idle=rules.SESSION_IDLE_MAX,
                kept=SESSIONS_KEPT,
            )
            + await delete(uow, "sign_in", "at <= :now - :kept", kept=SIGN_INS_KEPT)
            + await delete(uow, "sign_in_challenge", "expires_at <= :now")
            + await delete(
                uow,
                "authenticator",
                "confirmed_at is null and created_at <= :now - :kept",
                kept=ENROLMENT_KEPT,
            )
            + await delete(
                uow,
                "invitation",
                "least(accepted_at, revoked_at, expires_at) <= :now - :kept",
                kept=INVITATIONS_KEPT,
            )
            + await _forget_unconfirmed(uow)
        )


async def _forget_unconfirmed(uow: UnitOfWork) -> int:
    """Accounts without a sign-up of late, with what is left of earlier ones."""
    accounts = retention.batch(
        "account",
        "id",
        "verified_at is null and created_at <= :now - :kept and not exists"
        " (select from mail_token t where t.account_id = account.id and t.created_at > :now - :kept)",
    )
    gone = await uow.execute(
        f"with gone as materialized ({accounts}),"
        " sign_ups as (delete from mail_token where account_id in (select id from gone))"
        " delete from account where id in (select id from gone)",
        now=uow.wall_now,
        kept=SIGN_UPS_KEPT,
        most=retention.ROWS_PER_TURN_MAX,
    )
    return gone.rowcount
