"""Where one is signed in: looking at one's own sessions and ending them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.core.errors import not_found
from services.core.listing import Column, Kind, Listing
from services.core.work import UnitOfWork
from services.identity import rules
from services.identity.events import SessionEnded
from services.identity.policies import account_of
from services.identity.proof import require_recent_proof
from services.identity.user_agents import device_words


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session that is open now. `current` is the one that asks."""

    id: str
    user_agent: str
    address: str
    created_at: datetime
    last_seen_at: datetime
    second_factor: bool
    current: bool

    @property
    def device(self) -> str:
        """The browser in words its owner knows; empty for one that nobody knows."""
        return device_words(self.user_agent)


SESSIONS = Listing(
    "sessions",
    row=SessionRow,
    needs=None,  # one's own
    source="session",
    where="account_id = :actor_id and ended_at is null and expires_at > :now"
    f" and last_seen_at + interval '{rules.SESSION_IDLE_MAX.days} days' > :now",
    columns=(
        Column("id", "id", Kind.ID),
        Column("user_agent", "user_agent"),
        Column("address", "address", filterable=True),
        Column("created_at", "created_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
        Column("last_seen_at", "last_seen_at", Kind.INSTANT, sortable=True, filterable=True),
        Column("second_factor", "second_factor", Kind.FLAG, filterable=True),
        Column("current", "id = :session_id", Kind.FLAG),
    ),
    sort="-created_at",
)


async def end_own_session(uow: UnitOfWork, session_id: str) -> None:
    """End one of the actor's own sessions; one that has ended stays so. Raises NotFound, for others' too."""
    account_id = account_of(uow)
    known = await uow.execute(
        "select from session where id = :id and account_id = :account_id",
        id=session_id,
        account_id=account_id,
    )
    if known.first() is None:
        raise not_found("session", session_id)
    await _end(uow, "id = :chosen", chosen=session_id, account_id=account_id, reason="ended_by_owner")


async def end_other_sessions(uow: UnitOfWork) -> int:
    """Sign out everywhere but here. Raises ProofNeeded. Returns how many sessions that ended."""
    require_recent_proof(uow)
    return await end_all(uow, account_of(uow), reason="ended_by_owner", but=uow.actor.session_id)


async def end_all(uow: UnitOfWork, account_id: str, *, reason: str, but: str | None = None) -> int:
    """End the account's sessions, all or all but one. `uow` crosses tenants. Returns how many."""
    return await _end(uow, "id <> :chosen", chosen=but or "", account_id=account_id, reason=reason)


async def _end(uow: UnitOfWork, condition: str, *, account_id: str, reason: str, chosen: str) -> int:
    ended = await uow.execute(
        f"update session set ended_at = :now where account_id = :account_id and ended_at is null and {condition}"
        " returning id, organization_id",
        now=uow.wall_now,
        account_id=account_id,
        chosen=chosen,
    )
    rows = ended.all()
    for row in rows:
        uow.record(
            SessionEnded(
                aggregate_id=row.id, organization_id=row.organization_id, account_id=account_id, reason=reason
            )
        )
    return len(rows)
