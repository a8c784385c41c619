"""Signing up and confirming an address.

These verbs open their own units of work: attempts must stay counted although the caller gets an error, and
no connection may be held while a password is hashed. No answer tells whether an address has an account.
"""

from __future__ import annotations

from dataclasses import dataclass
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
from services.identity import passwords, rules, throttle
from services.identity.events import (
    AccountConfirmationRequested,
    AccountConfirmed,
    AccountSignedUp,
    AccountSignUpRepeated,
)

CONFIRM_ADDRESS = "confirm_address"  # purpose of a mail token


@dataclass(frozen=True, slots=True)
class Client:
    """From where somebody comes, as far as we can tell."""

    address: str = ""
    user_agent: str = ""

    @property
    def network(self) -> str:
        return rules.network_of(self.address)


async def sign_up(
    *, email: str, password: str, name: str, client: Client, clock: Clock | None = None
) -> None:
    """Make an unconfirmed account; its owner gets a mail. The outcome looks the same for a known address.

    Raises Invalid, TooLarge or RateLimited.
    """
    address = rules.parse_email(email)
    name = rules.clean_text(name, field="name", what="The name")
    rules.require_good_password(password, email=address)
    async with crossing(Reason.SIGN_IN, clock=clock) as uow:
        await throttle.count(
            uow,
            [
                throttle.Subject(throttle.SIGN_UP_NETWORK, client.network),
                throttle.Subject(throttle.SIGN_UP_ADDRESS, address.key),
            ],
        )

    password_hash = await passwords.hashed(password)

    async with crossing(Reason.SIGN_IN, actor=system().at(client.address), clock=clock) as uow:
        await _open_account(uow, address, name=name, password_hash=password_hash)


_INSERT = """
insert into account (id, email, email_key, name, password_hash, created_at, version)
values (:id, :email, :key, :name, :password_hash, :now, 1) on conflict (email_key) do nothing returning id
"""
_REPLACE = """
update account set email = :email, name = :name, password_hash = :password_hash, version = version + 1
where email_key = :key and verified_at is null returning id
"""


async def _open_account(uow: UnitOfWork, email: rules.Email, *, name: str, password_hash: str) -> None:
    facts = {"email": email.address, "key": email.key, "name": name, "password_hash": password_hash}
    account_id = (
        await uow.execute(_INSERT, {"id": new_id("acc"), "now": uow.wall_now, **facts})
    ).scalar_one_or_none()
    if account_id is None:
        # Whoever signed up first need not own the address: until it is confirmed the last sign-up counts,
        # and links mailed for earlier ones end, so that confirming cannot open the door to their password.
        account_id = (await uow.execute(_REPLACE, facts)).scalar_one_or_none()
        if account_id is not None:
            await _void_tokens(uow, account_id)
    if account_id is not None:
        uow.record(AccountSignedUp(aggregate_id=account_id, organization_id=None))
        return
    owner = await uow.execute("select id from account where email_key = :key", key=email.key)
    uow.record(AccountSignUpRepeated(aggregate_id=owner.scalar_one(), organization_id=None))


async def resend_confirmation(*, email: str, client: Client, clock: Clock | None = None) -> None:
    """Mail a new link if the address waits for one. Raises Invalid or RateLimited, alike for all."""
    address = rules.parse_email(email)
    async with crossing(Reason.SIGN_IN, clock=clock) as uow:
        await throttle.count(
            uow,
            [
                throttle.Subject(throttle.RESEND_ACCOUNT, address.key),
                throttle.Subject(throttle.SIGN_UP_NETWORK, client.network),
            ],
        )
        waiting = await uow.execute(
            "select id from account where email_key = :key and verified_at is null", key=address.key
        )
        account_id = waiting.scalar_one_or_none()
        if account_id is not None:
            uow.record(AccountConfirmationRequested(aggregate_id=account_id, organization_id=None))


@dataclass(frozen=True, slots=True)
class Confirmed:
    account_id: str
    email: str


async def confirm_address(token: str, *, clock: Clock | None = None) -> Confirmed:
    """Confirm the address a token was mailed to. Following the link again answers the same.

    Raises Invalid with code `link_invalid` for a token that is unknown, replaced or too old.
    """
    async with crossing(Reason.SIGN_IN, clock=clock) as uow:
        row = await _locked_token(uow, token)
        if row is None or (row.verified_at is None and (row.used_at or row.expires_at <= uow.wall_now)):
            raise Invalid(
                "This link is not valid, was replaced by a newer one, or is too old.",
                field="token",
                next_step="Ask for a new link, or use the newest mail.",
                code="link_invalid",
            )
        if row.verified_at is None:
            await _confirm(uow, row.account_id)
        return Confirmed(row.account_id, row.email)


async def _locked_token(uow: UnitOfWork, token: str) -> Row[Any] | None:
    """The token's facts, read under its account's lock, which everybody takes who changes either."""
    if not token.isascii():
        return None
    of_token = {"hash": vault().lookup_hash(token), "purpose": CONFIRM_ADDRESS}
    await uow.execute(
        "select from account where id in"
        " (select account_id from mail_token where token_hash = :hash and purpose = :purpose) for update",
        of_token,
    )
    found = await uow.execute(
        "select t.used_at, t.expires_at, a.id as account_id, a.email, a.verified_at"
        " from mail_token t join account a on a.id = t.account_id"
        " where t.token_hash = :hash and t.purpose = :purpose",
        of_token,
    )
    return found.one_or_none()


async def _confirm(uow: UnitOfWork, account_id: str) -> None:
    await uow.execute(
        "update account set verified_at = :now, version = version + 1 where id = :id",
        now=uow.wall_now,
        id=account_id,
    )
    await _void_tokens(uow, account_id)
    uow.record(AccountConfirmed(aggregate_id=account_id, organization_id=None))


async def _void_tokens(uow: UnitOfWork, account_id: str) -> None:
    await uow.execute(
        "update mail_token set used_at = :now"
        " where account_id = :id and purpose = :purpose and used_at is null",
        now=uow.wall_now,
        id=account_id,
        purpose=CONFIRM_ADDRESS,
    )


async def issue_confirmation(uow: UnitOfWork, account_id: str) -> str:
    """A fresh token to mail; it is shown to nobody else and only its hash is kept."""
    token = new_secret()
    uow.add(
        MailToken(
            id=new_id("tok"),
            account_id=account_id,
            purpose=CONFIRM_ADDRESS,
            token_hash=vault().lookup_hash(token),
            created_at=uow.wall_now,
            expires_at=uow.wall_now + rules.CONFIRMATION_VALID,
        )
    )
    return token


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
