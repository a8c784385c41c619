"""Signing in, working in an organisation, signing out.

A session is a random token of which only the hash is stored. `sign_in` opens its own units of work, as
explained in accounts.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from models.identity import Session
from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.core.crypto import vault
from services.core.database import Database
from services.core.errors import Forbidden, Unauthenticated, not_found
from services.core.ids import new_id, new_secret
from services.core.work import UnitOfWork
from services.identity import devices, passwords, policies, rules, throttle
from services.identity.accounts import Client
from services.identity.events import SessionEnded, SessionStarted, SessionSwitched
from services.identity.throttle import (
    SIGN_IN_ACCOUNT,
    SIGN_IN_DEVICE,
    SIGN_IN_NETWORK,
    SIGN_IN_STRANGER,
    Subject,
)

USER_AGENT_CHARACTERS_MAX = 300


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """`token` goes into the cookie and nowhere else."""

    token: str
    session_id: str
    account_id: str
    organization_id: str | None
    expires_at: datetime


async def sign_in(*, email: str, password: str, client: Client, clock: Clock | None = None) -> OpenedSession:
    """Raises Unauthenticated (`wrong_credentials`), RateLimited, or, once the password was right, Forbidden.

    The work is the same for an unknown address.
    """
    address = rules.parse_email(email)
    rules.require_hashable(password)
    async with crossing(Reason.SIGN_IN, clock=clock) as uow:
        account = await _account_of(uow, address)
        subjects = _attempts(address, account.id if account else "", client)
        await throttle.count(uow, subjects)

    right = await passwords.matches(password, account.password_hash if account else None)
    if account is None or not right:
        raise Unauthenticated(
            "The address or the password is wrong.",
            next_step="Check both. If you have just signed up, follow the link in the mail first.",
            code="wrong_credentials",
        )
    renewed = await passwords.hashed(password) if passwords.is_outdated(account.password_hash) else None
    who = policies.person(account.id).at(client.address)
    async with crossing(Reason.SIGN_IN, actor=who, clock=clock) as uow:
        await throttle.forgive(uow, subjects)
        await _require_unchanged(uow, account, renewed_hash=renewed)
        _require_admissible(account)
        return await _open(uow, account.id, client)


async def open_session(account_id: str, *, client: Client, clock: Clock | None = None) -> OpenedSession:
    """For somebody whose password was checked just now, by confirming an address. Raises Forbidden."""
    async with crossing(Reason.SIGN_IN, clock=clock) as uow:
        found = await uow.execute("select suspended_at from account where id = :id", id=account_id)
        _require_admissible(found.one())
        return await _open(uow, account_id, client)


async def _account_of(uow: UnitOfWork, email: rules.Email) -> Row[Any] | None:
    found = await uow.execute(
        "select id, password_hash, suspended_at from account where email_key = :key",
        key=email.key,
    )
    return found.one_or_none()


def _attempts(address: rules.Email, account_id: str, client: Client) -> list[Subject]:
    """As what an attempt counts: as its device's, if the account knows it, else as a stranger's."""
    device = devices.known(client.device, account_id)
    if device is not None:
        return [Subject(SIGN_IN_DEVICE, f"{account_id}|{device}")]
    return [
        Subject(SIGN_IN_STRANGER, f"{address.key}|{client.network}"),
        Subject(SIGN_IN_ACCOUNT, address.key),
        Subject(SIGN_IN_NETWORK, client.network),
    ]


async def _require_unchanged(uow: UnitOfWork, account: Row[Any], *, renewed_hash: str | None) -> None:
    """The password was checked without a lock: it must still be the account's for a session to open."""
    kept = await uow.execute(
        "update account set password_hash = :renewed where id = :id and password_hash = :checked"
        if renewed_hash
        else "select from account where id = :id and password_hash = :checked for update",
        {"id": account.id, "checked": account.password_hash}
        | ({"renewed": renewed_hash} if renewed_hash else {}),
    )
    if kept.rowcount != 1:
        raise Unauthenticated(
            "The password was changed meanwhile.", next_step="Sign in again.", code="wrong_credentials"
        )


def _require_admissible(account: Row[Any]) -> None:
    if account.suspended_at is not None:
        raise Forbidden(
            "This account is suspended.",
            next_step="Write to whoever runs this installation.",
            code="account_suspended",
        )


async def _open(uow: UnitOfWork, account_id: str, client: Client) -> OpenedSession:
    token = new_secret()
    row = Session(
        id=new_id("ses"),
        token_hash=vault().lookup_hash(token),
        account_id=account_id,
        organization_id=await _organization_to_start_in(uow, account_id),
        user_agent="".join(c for c in client.user_agent if c.isprintable())[:USER_AGENT_CHARACTERS_MAX],
        address=client.address[:64],
        created_at=uow.wall_now,
        last_seen_at=uow.wall_now,
        expires_at=uow.wall_now + rules.SESSION_AGE_MAX,
        proved_at=uow.wall_now,
    )
    uow.add(row)
    uow.record(
        SessionStarted(aggregate_id=row.id, organization_id=row.organization_id, account_id=account_id)
    )
    return OpenedSession(token, row.id, account_id, row.organization_id, row.expires_at)


async def _organization_to_start_in(uow: UnitOfWork, account_id: str) -> str | None:
    """Where the person worked last, if still a member, else the organisation joined first."""
    found = await uow.execute(
        "select m.organization_id from membership m left join lateral"
        " (select max(s.last_seen_at) as at from session s"
        "   where s.account_id = m.account_id and s.organization_id = m.organization_id) as worked on true"
        " where m.account_id = :id order by m.suspended_at is not null, worked.at desc nulls last,"
        " m.created_at, m.id limit 1",
        id=account_id,
    )
    return found.scalar_one_or_none()


async def sign_out(token: str, *, address: str = "", clock: Clock | None = None) -> None:
    """End the token's session. Signing out twice, or with a token that is nobody's, changes nothing."""
    if not token.isascii():
        return
    async with crossing(Reason.SIGN_IN, clock=clock) as uow:
        ended = (
            await uow.execute(
                "update session set ended_at = :now where token_hash = :hash and ended_at is null"
                " returning id, account_id, organization_id",
                now=uow.wall_now,
                hash=vault().lookup_hash(token),
            )
        ).one_or_none()
        if ended is not None:
            # Only now is it known who acts: an expired session may be ended, too.
            uow.actor = policies.person(ended.account_id, session_id=ended.id).at(address)
            uow.record(
                SessionEnded(
                    aggregate_id=ended.id,
                    organization_id=ended.organization_id,
                    account_id=ended.account_id,
                    reason="signed_out",
                )
            )


_SWITCH = """
update session s set token_hash = :new_hash, organization_id = :organization_id, last_seen_at = :now
where s.token_hash = :old_hash and s.ended_at is null
  and exists (
    select from membership m where m.account_id = s.account_id and m.organization_id = :organization_id)
returning s.id, s.account_id, s.expires_at
"""


async def switch_organization(
    token: str,
    organization_id: str,
    *,
    address: str = "",
    on: Database | None = None,
    clock: Clock | None = None,
) -> OpenedSession:
    """Work in another of one's organisations, under a new token; the old one stops working.

    Raises NotFound for an organisation one is not a member of. The caller has checked the session with
    `actor_for_token`, so a session that ended since then is not told apart.
    """
    new_token = new_secret()
    async with crossing(Reason.SIGN_IN, on=on, clock=clock) as uow:
        row = (
            await uow.execute(
                _SWITCH,
                new_hash=vault().lookup_hash(new_token),
                old_hash=vault().lookup_hash(token),
                organization_id=organization_id,
                now=uow.wall_now,
            )
        ).one_or_none()
        if row is None:
            raise not_found("organisation", organization_id)
        uow.actor = policies.person(row.account_id, session_id=row.id).at(address)
        uow.record(
            SessionSwitched(aggregate_id=row.id, organization_id=organization_id, account_id=row.account_id)
        )
    return OpenedSession(new_token, row.id, row.account_id, organization_id, row.expires_at)
