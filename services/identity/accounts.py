"""Signing up and confirming an address.

These verbs open their own units of work: attempts must stay counted although the caller gets an error, and
no connection may be held while a password is hashed. No answer tells whether an address has an account.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row

from models.identity import Account, MailToken
from services.core.actor import system
from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.core.crypto import vault
from services.core.errors import Invalid
from services.core.ids import new_id, new_secret
from services.core.work import UnitOfWork
from services.identity import passwords, rules, sign_ins, throttle
from services.identity.clients import Client
from services.identity.events import (
    AccountConfirmationRequested,
    AccountConfirmed,
    AccountSignedUp,
    AccountSignUpRepeated,
)

CONFIRM_ADDRESS = "confirm_address"  # purpose of a mail token


async def sign_up(
    *, email: str, password: str, name: str, client: Client, clock: Clock | None = None
) -> None:
    """Note who wants an account; a mail asks whoever owns the address. Looks the same for a known address.

    Raises Invalid, TooLarge or RateLimited.
    """
    address = rules.parse_new_email(email)
    name = rules.clean_text(name, field="name", what="The name")
    rules.require_hashable(password)
    async with crossing(Reason.SIGN_IN, clock=clock) as uow:
        await throttle.count(
            uow,
            [
                throttle.Subject(throttle.SIGN_UP_NETWORK, client.network),
                throttle.Subject(throttle.SIGN_UP, f"{address.key}|{client.network}"),
            ],
        )

    rules.require_good_password(password, email=address, name=name)  # not for nothing, so it is counted first
    password_hash = await passwords.hashed(password)

    async with crossing(Reason.SIGN_IN, actor=system().at(client.address), clock=clock) as uow:
        await _note_sign_up(uow, address, name=name, password_hash=password_hash)


# Writing nothing new still locks the row of an account that is there, against whoever confirms it now.
_ACCOUNT = """
insert into account (id, email, email_key, name, created_at, version)
values (:id, :email, :key, '', :now, 1)
on conflict (email_key) do update set version = account.version returning id, verified_at
"""


async def _note_sign_up(uow: UnitOfWork, address: rules.Email, *, name: str, password_hash: str) -> None:
    """Keep the sign-up with a token of its own: who signs up need not own the address, and many may.

    Beyond what a mailbox must bear it is kept without a mail; asking for another mail brings one later.
    """
    facts = {"id": new_id("acc"), "email": address.address, "key": address.key, "now": uow.wall_now}
    mailed = await throttle.admits(uow, throttle.Subject(throttle.MAILS, address.key))
    account = (await uow.execute(_ACCOUNT, facts)).one()
    if account.verified_at is not None:
        if mailed:
            uow.record(AccountSignUpRepeated(aggregate_id=account.id, organization_id=None))
        return
    token = MailToken(
        id=new_id("tok"),
        account_id=account.id,
        purpose=CONFIRM_ADDRESS,
        email=address.address,
        name=name,
        password_hash=password_hash,
        created_at=uow.wall_now,
        expires_at=uow.wall_now + rules.CONFIRMATION_VALID,
    )
    uow.add(token)
    if mailed:
        uow.record(AccountSignedUp(aggregate_id=account.id, organization_id=None, token_id=token.id))


async def resend_confirmation(*, email: str, client: Client, clock: Clock | None = None) -> None:
    """Mail a new link if the address waits for one. Raises Invalid or RateLimited, alike for all."""
    address = rules.parse_email(email)
    async with crossing(Reason.SIGN_IN, clock=clock) as uow:
        await throttle.count(
            uow,
            [
                throttle.Subject(throttle.RESEND, f"{address.key}|{client.network}"),
                throttle.Subject(throttle.SIGN_UP_NETWORK, client.network),
            ],
        )
        waiting = await uow.execute(
            "select from account where email_key = :key and verified_at is null", key=address.key
        )
        mails = throttle.Subject(throttle.MAILS, address.key)
        if waiting.first() is not None and await throttle.admits(uow, mails):
            await _mail_again(uow, address)


# The newest sign-up once more, with a token of its own; what was mailed before goes on working.
_AGAIN = """
insert into mail_token (id, account_id, purpose, email, name, password_hash, created_at, expires_at)
select :id, t.account_id, t.purpose, t.email, t.name, t.password_hash, :now, :expires_at
from mail_token t join account a on a.id = t.account_id
where a.email_key = :key and a.verified_at is null and t.purpose = :purpose
order by t.created_at desc, t.id desc limit 1 for update of a
returning id, account_id
"""


async def _mail_again(uow: UnitOfWork, address: rules.Email) -> None:
    again = {
        "id": new_id("tok"),
        "key": address.key,
        "purpose": CONFIRM_ADDRESS,
        "now": uow.wall_now,
        "expires_at": uow.wall_now + rules.CONFIRMATION_VALID,
    }
    token = (await uow.execute(_AGAIN, again)).one_or_none()
    if token is not None:
        uow.record(
            AccountConfirmationRequested(
                aggregate_id=token.account_id, organization_id=None, token_id=token.id
            )
        )


@dataclass(frozen=True, slots=True)
class Confirmed:
    """`password_hash` is what the password was checked against."""

    account_id: str
    email: str
    password_hash: str = field(repr=False)


async def confirm_address(
    token: str, *, password: str, client: Client, clock: Clock | None = None
) -> Confirmed:
    """Confirm the address that a token was mailed to, by the password chosen at the sign-up it belongs to.

    That sign-up's password and name become the account's, and the others end: whoever owns the mailbox opens
    the account to nobody's password but their own. Following a link again, with the account's password,
    answers the same. Raises Invalid (`link_invalid`, `wrong_password`), TooLarge or RateLimited.
    """
    rules.require_hashable(password)
    async with crossing(Reason.SIGN_IN, clock=clock) as uow:
        subjects = [throttle.Subject(throttle.SIGN_IN_NETWORK, client.network)]
        link = await _link(uow, token)
        if link is not None:
            subjects.append(throttle.Subject(throttle.CONFIRM_LINK, link.id))
        await throttle.count(uow, subjects)
        about = link.email_key if link else ""
        noted = await sign_ins.note_attempt(uow, about, client=client, failure="wrong_password")
    if link is None:
        raise _link_invalid()
    if not await passwords.matches(password, link.password_hash):
        raise Invalid(
            "This is not the password chosen at the sign-up that this link belongs to.",
            field="password",
            next_step="Enter the one you chose, or sign up again if you do not know it.",
            code="wrong_password",
        )
    async with crossing(Reason.SIGN_IN, clock=clock) as uow:
        await throttle.forgive(uow, subjects)
        await sign_ins.forget(uow, noted)  # the session that follows is noted
        return await _confirmed(uow, link)


# Of a confirmed account all links ask for its password, so that following one again does no harm.
_LINK = """
select t.id, t.account_id, a.email_key, case when a.verified_at is null then t.password_hash else a.password_hash end
  as password_hash
from mail_token t join account a on a.id = t.account_id
where t.token_hash = :hash and t.purpose = :purpose
  and (a.verified_at is not null or (t.used_at is null and t.expires_at > :now))
"""
_CONFIRM = """
update account a set verified_at = :now, email = t.email, name = t.name, password_hash = t.password_hash,
  version = a.version + 1
from mail_token t
where t.id = :token_id and a.id = t.account_id and a.verified_at is null and t.used_at is null
returning a.email
"""


async def _link(uow: UnitOfWork, token: str) -> Row[Any] | None:
    if not token.isascii():
        return None
    found = await uow.execute(
        _LINK, hash=vault().lookup_hash(token), purpose=CONFIRM_ADDRESS, now=uow.wall_now
    )
    return found.one_or_none()


async def _confirmed(uow: UnitOfWork, link: Row[Any]) -> Confirmed:
    """The password was checked without a lock: the account must still wait, or have that very password."""
    email = (await uow.execute(_CONFIRM, token_id=link.id, now=uow.wall_now)).scalar_one_or_none()
    if email is None:
        same = await uow.execute(
            "select email from account where id = :id and password_hash = :checked",
            id=link.account_id,
            checked=link.password_hash,
        )
        email = same.scalar_one_or_none()
        if email is None:
            raise _link_invalid()
        return Confirmed(link.account_id, email, link.password_hash)
    await uow.execute(
        "update mail_token set used_at = :now, email = '', name = '', password_hash = ''"
        " where account_id = :id and purpose = :purpose",
        now=uow.wall_now,
        id=link.account_id,
        purpose=CONFIRM_ADDRESS,
    )
    uow.record(AccountConfirmed(aggregate_id=link.account_id, organization_id=None))
    return Confirmed(link.account_id, email, link.password_hash)


def _link_invalid() -> Invalid:
    return Invalid(
        "This link is not valid or too old, or another one was followed.",
        next_step="If you have confirmed your address, sign in; else ask for a new link or sign up again.",
        code="link_invalid",
    )


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What the mail for one sign-up needs. `token` is shown to nobody else, and only its hash is kept."""

    token: str
    email: str
    name: str


async def issue_confirmation(uow: UnitOfWork, token_id: str) -> Confirmation | None:
    """The secret of a token; None when it was issued before, or the address is confirmed or forgotten."""
    token = new_secret()
    issued = await uow.execute(
        "update mail_token t set token_hash = :hash, expires_at = :expires_at from account a"
        " where t.id = :id and a.id = t.account_id and a.verified_at is null and t.token_hash is null"
        " returning t.email, t.name",
        hash=vault().lookup_hash(token),
        expires_at=uow.wall_now + rules.CONFIRMATION_VALID,
        id=token_id,
    )
    row = issued.one_or_none()
    return Confirmation(token, row.email, row.name) if row else None


async def add_confirmed(uow: UnitOfWork, *, email: str, name: str, password_hash: str) -> str:
    """An account whose address needs no mail: for demo data and whoever runs the machine. Returns its id.

    Hash the password first, outside the unit of work, with `passwords.hashed`.
    """
    address = rules.parse_email(email)
    account = Account(
        id=new_id("acc"),
        email=address.address,
        email_key=address.key,
        name=rules.clean_text(name, field="name", what="The name"),
        password_hash=password_hash,
        verified_at=uow.now,
        created_at=uow.now,
    )
    uow.add(account)
    uow.record(AccountConfirmed(aggregate_id=account.id, organization_id=None))
    return account.id
