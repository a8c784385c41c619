"""One's own name and password, and a way back in for who has forgotten the password.

Verbs with a password open their own units of work, as explained in accounts.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from models.identity import Account, MailToken
from services.core.actor import Actor, system
from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.core.crypto import vault
from services.core.errors import Conflict, Invalid, not_found
from services.core.ids import new_id, new_secret
from services.core.work import UnitOfWork
from services.identity import challenges, own_sessions, passwords, policies, proving, rules, throttle
from services.identity.clients import Client
from services.identity.events import AccountPasswordChanged, AccountPasswordResetRequested, AccountRenamed
from services.identity.policies import account_of
from services.identity.proof import require_recent_proof
from services.identity.proving import Proved

RESET_PASSWORD = "reset_password"  # noqa: S105 - the purpose of a mail token


async def rename(uow: UnitOfWork, name: str) -> Account:
    """Change the actor's own name. `uow` crosses tenants (Reason.ACCOUNT). Raises Invalid."""
    name = rules.clean_text(name, field="name", what="The name")
    account_id = account_of(uow)
    account = await uow.get(Account, account_id, lock=True)
    if account is None:
        raise not_found("account", account_id)
    if account.name != name:
        account.name = name
        account.version += 1
        uow.record(AccountRenamed(aggregate_id=account.id, organization_id=None))
    return account


async def change_password(actor: Actor, token: str, *, password: str, clock: Clock | None = None) -> Proved:
    """Another password for the actor's own account. Ends the other sessions; this one goes on under a new token.

    Raises ProofNeeded, Invalid (`password_*`) or TooLarge.
    """
    async with crossing(Reason.ACCOUNT, actor=actor, clock=clock) as uow:
        require_recent_proof(uow)
        account = await _account(uow, account_of(uow))
    rules.require_good_password(password, email=rules.parse_email(account.email), name=account.name)
    password_hash = await passwords.hashed(password)
    async with crossing(Reason.ACCOUNT, actor=actor, clock=clock) as uow:
        await _set_password(uow, account.id, password_hash, by="change", keep=actor.session_id)
        return await proving.renew(uow, token)


async def request_reset(*, email: str, client: Client, clock: Clock | None = None) -> None:
    """Mail a link that sets another password, if the address has an account. Looks the same for every address.

    Raises Invalid or RateLimited, alike for all.
    """
    address = rules.parse_email(email)
    async with crossing(Reason.SIGN_IN, actor=system().at(client.address), clock=clock) as uow:
        await throttle.count(
            uow,
            [
                throttle.Subject(throttle.RESET, f"{address.key}|{client.network}"),
                throttle.Subject(throttle.SIGN_UP_NETWORK, client.network),
            ],
        )
        mailed = await throttle.admits(uow, throttle.Subject(throttle.RESET_MAILS, address.key))
        found = await uow.execute(
            "select id, email, name from account where email_key = :key and verified_at is not null",
            key=address.key,
        )
        account = found.one_or_none()
        if account is not None and mailed:
            _ask_by_mail(uow, account)


def _ask_by_mail(uow: UnitOfWork, account: Row[Any]) -> None:
    token = MailToken(
        id=new_id("tok"),
        account_id=account.id,
        purpose=RESET_PASSWORD,
        email=account.email,
        name=account.name,
        password_hash="",
        created_at=uow.wall_now,
        expires_at=uow.wall_now + rules.RESET_VALID,
    )
    uow.add(token)
    uow.record(
        AccountPasswordResetRequested(aggregate_id=account.id, organization_id=None, token_id=token.id)
    )


@dataclass(frozen=True, slots=True)
class ResetLink:
    """What the mail for one request needs. `token` is shown to nobody else, and only its hash is kept."""

    token: str
    email: str
    name: str


async def issue_reset(uow: UnitOfWork, token_id: str) -> ResetLink | None:
    """The secret of a reset's token; None when it was issued before, or has lost its purpose."""
    token = new_secret()
    issued = await uow.execute(
        "update mail_token set token_hash = :hash, expires_at = :expires_at where id = :id"
        " and purpose = :purpose and token_hash is null and used_at is null returning email, name",
        hash=vault().lookup_hash(token),
        expires_at=uow.wall_now + rules.RESET_VALID,
        id=token_id,
        purpose=RESET_PASSWORD,
    )
    row = issued.one_or_none()
    return ResetLink(token, row.email, row.name) if row else None


async def reset_password(token: str, *, password: str, client: Client, clock: Clock | None = None) -> None:
    """Set another password by a mailed link, once. Ends all sessions and opens none: signing in asks as ever.

    Raises Invalid (`link_invalid`, `password_*`), TooLarge or RateLimited.
    """
    rules.require_hashable(password)
    network = [throttle.Subject(throttle.SIGN_IN_NETWORK, client.network)]
    async with crossing(Reason.SIGN_IN, clock=clock) as uow:
        await throttle.count(uow, network)
        link = await _link(uow, token)
    if link is None:
        raise _link_invalid()
    rules.require_good_password(password, email=rules.parse_email(link.email), name=link.name)
    password_hash = await passwords.hashed(password)
    who = policies.person(link.account_id).at(client.address)
    async with crossing(Reason.SIGN_IN, actor=who, clock=clock) as uow:
        used = await uow.execute(
            "update mail_token set used_at = :now where id = :id and used_at is null",
            now=uow.wall_now,
            id=link.id,
        )
        if used.rowcount == 0:
            raise _link_invalid()
        await throttle.forgive(uow, network)
        await _set_password(uow, link.account_id, password_hash, by="reset", keep=None)


async def _link(uow: UnitOfWork, token: str) -> Row[Any] | None:
    if not token.isascii():
        return None
    found = await uow.execute(
        "select t.id, t.account_id, a.email, a.name from mail_token t join account a on a.id = t.account_id"
        " where t.token_hash = :hash and t.purpose = :purpose and t.used_at is null and t.expires_at > :now",
        hash=vault().lookup_hash(token),
        purpose=RESET_PASSWORD,
        now=uow.wall_now,
    )
    return found.one_or_none()


def _link_invalid() -> Invalid:
    return Invalid(
        "This link is not valid, too old or was used before.",
        next_step="Ask for a new link.",
        code="link_invalid",
    )


async def _account(uow: UnitOfWork, account_id: str) -> Row[Any]:
    found = await uow.execute("select id, email, name from account where id = :id", id=account_id)
    return found.one()


async def _set_password(
    uow: UnitOfWork, account_id: str, password_hash: str, *, by: str, keep: str | None
) -> None:
    """All that stood for the old password ends: sign-ins that wait for a code, mailed links, sessions but `keep`."""
    # The account's row first: who signs in at the same time has it locked, and is seen below.
    changed = await uow.execute(
        "update account set password_hash = :hash, password_changed_at = :now, version = version + 1"
        " where id = :id and verified_at is not null",
        hash=password_hash,
        now=uow.wall_now,
        id=account_id,
    )
    if changed.rowcount != 1:
        raise Conflict("This account cannot have a password yet.", next_step="Confirm its address first.")
    await challenges.end_all(uow, account_id)
    await uow.execute(
        "update mail_token set used_at = :now, email = '', name = '' where account_id = :id"
        " and purpose = :purpose and (used_at is null or email <> '')",
        now=uow.wall_now,
        id=account_id,
        purpose=RESET_PASSWORD,
    )
    await own_sessions.end_all(uow, account_id, reason="password_changed", but=keep)
    uow.record(AccountPasswordChanged(aggregate_id=account_id, organization_id=None, by=by))
