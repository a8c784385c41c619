"""Showing again who one is, in an open session: by the password, and a code where the account asks for one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.core.crypto import vault
from services.core.errors import Invalid, Unauthenticated
from services.core.ids import new_secret
from services.core.work import UnitOfWork
from services.identity import authenticators, passwords, policies, rules, sessions, sign_ins, throttle
from services.identity.clients import Client
from services.identity.events import SessionProved
from services.identity.sessions import OpenedSession


@dataclass(frozen=True, slots=True)
class ProofState:
    """What a proof takes, and until when the last one counts."""

    needs_code: bool
    valid_until: datetime | None


@dataclass(frozen=True, slots=True)
class Proved:
    """The session under its new token, and until when the proof counts."""

    session: OpenedSession
    valid_until: datetime


async def state(uow: UnitOfWork) -> ProofState:
    """Of the actor's own session. `uow` crosses tenants (Reason.ACCOUNT)."""
    enabled = await authenticators.is_enabled(uow, policies.account_of(uow))
    proved_at = uow.actor.proved_at
    return ProofState(enabled, proved_at + rules.PROOF_VALID if proved_at else None)


async def prove(
    token: str, *, password: str, code: str = "", client: Client, clock: Clock | None = None
) -> Proved:
    """Note that the session's person has just shown who they are; it goes on under a new token.

    A token that was stolen before opens nothing that needs a proof. Raises Invalid (`wrong_password`, `code_needed`,
    `wrong_code`), TooLarge, RateLimited, or Unauthenticated when the session has ended.
    """
    rules.require_hashable(password)
    async with crossing(Reason.SIGN_IN, clock=clock) as uow:
        account = await _account_of(uow, token)
        subjects = sessions.attempts_by_password(account.email_key, account.id, client)
        if account.asks_for_code and code:
            subjects += sessions.attempts_by_code(account.id, code, client)
        await throttle.count(uow, subjects)
        noted = await sign_ins.note_attempt(uow, account.email_key, client=client, failure="wrong_password")
    if not await passwords.matches(password, account.password_hash):
        raise Invalid(
            "This is not your password.", field="password", next_step="Enter it again.", code="wrong_password"
        )
    who = policies.person(account.id, session_id=account.session_id).at(client.address)
    async with crossing(Reason.SIGN_IN, actor=who, clock=clock) as uow:
        await sessions.require_unchanged(uow, account)
        refused = await _take_code(uow, account.id, code) if account.asks_for_code else None
        if refused is None:
            await throttle.forgive(uow, subjects)
            await sign_ins.forget(uow, noted)  # signing in is in the history already
            return await _proved(uow, token)
        await sign_ins.correct(uow, noted, "wrong_code" if code else "password_only")
    raise refused


async def _proved(uow: UnitOfWork, token: str) -> Proved:
    proved = await renew(uow, token)
    session = proved.session
    uow.record(
        SessionProved(
            aggregate_id=session.session_id,
            organization_id=session.organization_id,
            account_id=session.account_id,
        )
    )
    return proved


_ACCOUNT = """
select a.id, a.email_key, a.password_hash, s.id as session_id,
  exists (select from authenticator where account_id = a.id and confirmed_at is not null) as asks_for_code
from session s join account a on a.id = s.account_id
where s.token_hash = :hash and s.ended_at is null
"""


async def _account_of(uow: UnitOfWork, token: str) -> Row[Any]:
    row = None
    if token.isascii():
        found = await uow.execute(_ACCOUNT, hash=vault().lookup_hash(token))
        row = found.one_or_none()
    if row is None:
        raise _ended()
    return row


async def _take_code(uow: UnitOfWork, account_id: str, code: str) -> Invalid | None:
    """Why the code will not do, which is noted before it is said; None for a right one, which is used up."""
    if not code:
        return Invalid(
            "Your account asks for a code, too.",
            field="code",
            next_step="Enter the code of your authenticator app, or a recovery code.",
            code="code_needed",
        )
    taken = await authenticators.take_code(uow, account_id, code)
    return None if taken else authenticators.wrong_code()


async def renew(uow: UnitOfWork, token: str) -> Proved:
    """Put a new token in place of the session's and note a proof. Raises Unauthenticated if it has ended."""
    new_token = new_secret()
    found = await uow.execute(
        "update session set token_hash = :new_hash, proved_at = :now where token_hash = :old_hash"
        " and ended_at is null returning id, account_id, organization_id, expires_at",
        new_hash=vault().lookup_hash(new_token),
        old_hash=vault().lookup_hash(token),
        now=uow.wall_now,
    )
    row = found.one_or_none()
    if row is None:
        raise _ended()
    opened = OpenedSession(new_token, row.id, row.account_id, row.organization_id, row.expires_at)
    return Proved(opened, uow.wall_now + rules.PROOF_VALID)


def _ended() -> Unauthenticated:
    return Unauthenticated("The session has ended.", next_step="Sign in again.", code="session_ended")
