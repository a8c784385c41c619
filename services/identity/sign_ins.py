"""The history of signing in to an account, for its owner.

An attempt is noted as failed before it is judged, as it is counted (throttle.py); success corrects the note. So
the work is the same for an address that has no account, and no crash hides a guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from services.core.ids import new_id
from services.core.work import UnitOfWork
from services.identity import rules
from services.identity.clients import Client
from services.identity.policies import account_of

Failure = Literal["wrong_password", "wrong_code"]
Outcome = Literal["signed_in", "recovery_code", "password_only"]


@dataclass(frozen=True, slots=True)
class SignInRow:
    """One attempt. `outcome` as in models/identity.py."""

    id: str
    at: datetime
    outcome: str
    address: str
    user_agent: str


async def note_attempt(uow: UnitOfWork, email_key: str, *, client: Client, failure: Failure) -> str:
    """Note an attempt at the account of this address as failed; nothing if there is none. Returns the note's id."""
    noted = new_id("sgn")
    await uow.execute(
        "insert into sign_in (id, account_id, at, outcome, address, user_agent)"
        " select :id, a.id, :now, :outcome, :address, :user_agent from account a"
        " where a.email_key = :key and a.verified_at is not null",
        id=noted,
        now=uow.wall_now,
        outcome=failure,
        address=rules.shown_address(client.address),
        user_agent=rules.shown_user_agent(client.user_agent),
        key=email_key,
    )
    return noted


async def correct(
    uow: UnitOfWork, noted: str, outcome: Outcome | Failure, *, session_id: str | None = None
) -> None:
    """Say how a noted attempt ended after all."""
    await uow.execute(
        "update sign_in set outcome = :outcome, session_id = :session_id where id = :id",
        outcome=outcome,
        session_id=session_id,
        id=noted,
    )


async def forget(uow: UnitOfWork, noted: str) -> None:
    """Take back a note that another one stands for."""
    await uow.execute("delete from sign_in where id = :id", id=noted)


async def own_sign_ins(
    uow: UnitOfWork, *, before: tuple[datetime, str] | None = None, limit: int = 50
) -> list[SignInRow]:
    """Attempts at the actor's own account, newest first, from behind `before` = (at, id) of the last one seen."""
    rows = await uow.execute(
        "select id, at, outcome, address, user_agent from sign_in where account_id = :account_id"
        " and (cast(:at as timestamptz) is null or at < :at or (at = :at and id > :id))"
        " order by at desc, id limit :limit",
        account_id=account_of(uow),
        at=before[0] if before else None,
        id=before[1] if before else "",
        limit=limit,
    )
    return [SignInRow(**row) for row in rows.mappings()]
