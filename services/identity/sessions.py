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
from services.identity import (
    authenticators,
    challenges,
    devices,
    passwords,
    policies,
    rules,
    sign_ins,
    throttle,
)
from services.identity.accounts import Confirmed
from services.identity.clients import Client
from services.identity.events import SessionEnded, SessionStarted, SessionSwitched
from services.identity.throttle import (
    CODE_ACCOUNT,
    CODE_DEVICE,
    CODE_STRANGER,
    SIGN_IN_ACCOUNT,
    SIGN_IN_DEVICE,
    SIGN_IN_NETWORK,
    SIGN_IN_STRANGER,
    Subject,
)


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """`token` goes into the cookie and nowhere else."""

    token: str
    session_id: str
    account_id: str
    organization_id: str | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class CodeNeeded:
    """The password was right and the account asks for a code, too. `challenge` goes into a cookie."""

    challenge: str
    account_id: str


async def sign_in(
    *, email: str, password: str, client: Client, clock: Clock | None = None
) -> OpenedSession | CodeNeeded:
    """Raises Unauthenticated (`wrong_credentials`), RateLimited, or, once the password was right, Forbidden.

    The work is the same for an unknown address.
    """
    address = rules.parse_email(email)
    rules.require_hashable(password)
    async with crossing(Reason.SIGN_IN, clock=clock) as uow:
        account = await _account_of(uow, address)
        subjects = attempts_by_password(address.key, account.id if account else "", client)
        await throttle.count(uow, subjects)
        noted = await sign_ins.note_attempt(uow, address.key, client=client, failure="wrong_password")

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
        await require_unchanged(uow, account, renewed_hash=renewed)
        return await _admit(uow, account, client, noted=noted)


async def open_session(
    confirmed: Confirmed, *, client: Client, clock: Clock | None = None
) -> OpenedSession | CodeNeeded:
    """For somebody whose password was checked just now, by confirming an address.

    Raises Forbidden, or Unauthenticated when the password was changed meanwhile.
    """
    async with crossing(Reason.SIGN_IN, clock=clock) as uow:
        found = await uow.execute(
            "select id, email_key, suspended_at from account where id = :id and password_hash = :checked"
            " for update",
            id=confirmed.account_id,
            checked=confirmed.password_hash,
        )
        account = found.one_or_none()
        if account is None:
            raise _changed_meanwhile()
        noted = await sign_ins.note_attempt(uow, account.email_key, client=client, failure="wrong_password")
        return await _admit(uow, account, client, noted=noted)


async def open_first_session(account_id: str, *, client: Client, clock: Clock | None = None) -> OpenedSession:
    """For an account that was made just now, and asks for no code yet."""
    async with crossing(Reason.SIGN_IN, clock=clock) as uow:
        opened = await _open(uow, account_id, client, second_factor=False)
        found = await uow.execute("select email_key from account where id = :id", id=account_id)
        noted = await sign_ins.note_attempt(uow, found.scalar_one(), client=client, failure="wrong_password")
        await sign_ins.correct(uow, noted, "signed_in", session_id=opened.session_id)
        return opened


async def _admit(
    uow: UnitOfWork, account: Row[Any], client: Client, *, noted: str
) -> OpenedSession | CodeNeeded:
    """Open a session after a right password, or ask for a code."""
    _require_admissible(account)
    if await authenticators.is_enabled(uow, account.id):
        await sign_ins.correct(uow, noted, "password_only")
        return CodeNeeded(await challenges.issue(uow, account.id, sign_in_id=noted), account.id)
    opened = await _open(uow, account.id, client, second_factor=False)
    await sign_ins.correct(uow, noted, "signed_in", session_id=opened.session_id)
    return opened


async def answer_code(
    challenge: str, *, code: str, client: Client, clock: Clock | None = None
) -> OpenedSession:
    """Open the session that a right password waits for, by a code of the app or a recovery code.

    Raises Unauthenticated (`challenge_ended`), Invalid (`wrong_code`), RateLimited or Forbidden.
    """
    async with crossing(Reason.SIGN_IN, clock=clock) as uow:
        asked = await challenges.require(uow, challenge)
        subjects = attempts_by_code(asked.account_id, code, client)
        await throttle.count(uow, subjects)
        noted = await sign_ins.note_attempt(uow, asked.email_key, client=client, failure="wrong_code")
    who = policies.person(asked.account_id).at(client.address)
    async with crossing(Reason.SIGN_IN, actor=who, clock=clock) as uow:
        asked = await challenges.require(uow, challenge, lock=True)
        how = await authenticators.take_code(uow, asked.account_id, code)
        if how is None:
            raise authenticators.wrong_code()
        await throttle.forgive(uow, subjects)
        await challenges.use_up(uow, asked)
        _require_admissible(asked)
        opened = await _open(uow, asked.account_id, client, second_factor=True)
        await sign_ins.forget(uow, noted)
        outcome = "signed_in" if how == "code" else "recovery_code"
        await sign_ins.correct(uow, asked.sign_in_id, outcome, session_id=opened.session_id)
        return opened


async def _account_of(uow: UnitOfWork, email: rules.Email) -> Row[Any] | None:
    found = await uow.execute(
        "select id, password_hash, suspended_at from account where email_key = :key",
        key=email.key,
    )
    return found.one_or_none()


def attempts_by_password(email_key: str, account_id: str, client: Client) -> list[Subject]:
    """As what an attempt counts: as its device's, if the account knows it, else as a stranger's."""
    device = devices.known(client.device, account_id)
    if device is not None:
        return [Subject(SIGN_IN_DEVICE, f"{account_id}|{device}")]
    return [
        Subject(SIGN_IN_STRANGER, f"{email_key}|{client.network}"),
        Subject(SIGN_IN_ACCOUNT, email_key),
        Subject(SIGN_IN_NETWORK, client.network),
    ]


def attempts_by_code(account_id: str, code: str, client: Client) -> list[Subject]:
    """The same for a code. Who guesses at codes cannot keep the owner's recovery codes out."""
    device = devices.known(client.device, account_id)
    if device is not None:
        return [Subject(CODE_DEVICE, f"{account_id}|{device}")]
    strangers = [
        Subject(CODE_STRANGER, f"{account_id}|{client.network}"),
        Subject(SIGN_IN_NETWORK, client.network),
    ]
    if authenticators.looks_like_recovery_code(code):
        return strangers
    return [*strangers, Subject(CODE_ACCOUNT, account_id)]


async def require_unchanged(uow: UnitOfWork, account: Row[Any], *, renewed_hash: str | None = None) -> None:
    """The password was checked without a lock: it must still be the account's. Raises Unauthenticated."""
    kept = await uow.execute(
        "update account set password_hash = :renewed where id = :id and password_hash = :checked"
        if renewed_hash
        else "select from account where id = :id and password_hash = :checked for update",
        {"id": account.id, "checked": account.password_hash}
        | ({"renewed": renewed_hash} if renewed_hash else {}),
    )
    if kept.rowcount != 1:
        raise _changed_meanwhile()


def _changed_meanwhile() -> Unauthenticated:
    return Unauthenticated(
        "The password was changed meanwhile.", next_step="Sign in again.", code="wrong_credentials"
    )


def _require_admissible(account: Row[Any]) -> None:
    if account.suspended_at is not None:
        raise Forbidden(
            "This account is suspended.",
            next_step="Write to whoever runs this installation.",
            code="account_suspended",
        )


async def _open(uow: UnitOfWork, account_id: str, client: Client, *, second_factor: bool) -> OpenedSession:
    token = new_secret()
    new_device = await _is_new_device(uow, account_id, client)
    row = Session(
        id=new_id("ses"),
        token_hash=vault().lookup_hash(token),
        account_id=account_id,
        organization_id=await _organization_to_start_in(uow, account_id),
        user_agent=rules.shown_user_agent(client.user_agent),
        address=rules.shown_address(client.address),
        created_at=uow.wall_now,
        last_seen_at=uow.wall_now,
        expires_at=uow.wall_now + rules.SESSION_AGE_MAX,
        proved_at=uow.wall_now,
        second_factor=second_factor,
    )
    uow.add(row)
    uow.record(
        SessionStarted(
            aggregate_id=row.id,
            organization_id=row.organization_id,
            account_id=account_id,
            new_device=new_device,
        )
    )
    return OpenedSession(token, row.id, account_id, row.organization_id, row.expires_at)


async def _is_new_device(uow: UnitOfWork, account_id: str, client: Client) -> bool:
    """Whether the account has signed in before, but not on this browser."""
    if devices.known(client.device, account_id) is not None:
        return False
    before = await uow.execute("select from session where account_id = :id limit 1", id=account_id)
    return before.first() is not None


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


async def move_on(token: str, *, address: str = "", clock: Clock | None = None) -> OpenedSession | None:
    """Work where one would after signing in, under a new token: for who has just left an organisation.

    None for who belongs to no other: the session stays as it is.
    """
    async with crossing(Reason.SIGN_IN, clock=clock) as uow:
        found = await uow.execute(
            "select account_id from session where token_hash = :hash and ended_at is null",
            hash=vault().lookup_hash(token),
        )
        account_id = found.scalar_one_or_none()
        organization_id = await _organization_to_start_in(uow, account_id) if account_id else None
    if organization_id is None:
        return None
    return await switch_organization(token, organization_id, address=address, clock=clock)


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
