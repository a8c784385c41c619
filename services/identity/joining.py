"""Following an invitation's link: looking at it, accepting it, and signing up by it.

The mail proved that whoever has the link reads that address; so a new account made by it needs no other mail, and
a session of another address is refused. These verbs open their own units of work, as explained in accounts.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from models.types import Role
from services.core.actor import Actor, system
from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.core.crypto import vault
from services.core.errors import Conflict, Forbidden, NotFound
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.identity import organizations, passwords, policies, rules, throttle
from services.identity.clients import Client
from services.identity.events import AccountConfirmed, InvitationAccepted


@dataclass(frozen=True, slots=True)
class Invited:
    """What the page of an invitation says."""

    organization_id: str
    organization_name: str
    email: str
    email_key: str
    role: str
    invited_by_name: str
    expires_at: datetime
    has_account: bool  # whether the address signs in already


async def look(token: str, *, clock: Clock | None = None) -> Invited:
    """The invitation behind a link. Raises NotFound or Conflict in its own words for each way it can have ended."""
    async with crossing(Reason.SIGN_IN, clock=clock) as uow:
        row = await _open_invitation(uow, token)
    return Invited(
        organization_id=row.organization_id,
        organization_name=row.organization_name,
        email=row.email,
        email_key=row.email_key,
        role=row.role,
        invited_by_name=row.invited_by_name,
        expires_at=row.expires_at,
        has_account=row.has_account,
    )


async def accept(token: str, *, actor: Actor, clock: Clock | None = None) -> str:
    """Let the signed-in `actor` join; returns the organisation's id. Raises as `look`, and Forbidden for another

    address than the mail went to.
    """
    async with crossing(Reason.SIGN_IN, actor=actor, clock=clock) as uow:
        row = await _open_invitation(uow, token, lock=True)
        found = await uow.execute("select email, email_key from account where id = :id", id=actor.account_id)
        account = found.one()
        if account.email_key != row.email_key:
            raise Forbidden(
                f"This invitation is for {row.email}, and you are signed in as {account.email}.",
                next_step="Sign out and open the link again, or have yourself invited by your own address.",
                code="invitation_for_another",
            )
        await _join(uow, row, actor.account_id or "")
    return row.organization_id


async def sign_up(token: str, *, name: str, password: str, client: Client, clock: Clock | None = None) -> str:
    """A new account with the invitation's address, confirmed by its mail, that joins at once. Returns its id.

    Raises as `look`, Conflict for an address that signs in already, Invalid, TooLarge, RateLimited.
    """
    name = rules.clean_text(name, field="name", what="The name")
    async with crossing(Reason.SIGN_IN, clock=clock) as uow:
        await throttle.count(uow, [throttle.Subject(throttle.SIGN_UP_NETWORK, client.network)])
    async with crossing(Reason.SIGN_IN, clock=clock) as uow:
        row = await _open_invitation(uow, token)
    rules.require_good_password(password, email=rules.Email(row.email, row.email_key), name=name)
    if row.has_account:
        raise _signs_in_already(row.email)

    password_hash = await passwords.hashed(password)

    async with crossing(Reason.SIGN_IN, actor=system().at(client.address), clock=clock) as uow:
        row = await _open_invitation(uow, token, lock=True)
        account_id = await _new_account(uow, row, name=name, password_hash=password_hash)
        uow.actor = policies.person(account_id).at(client.address)
        await _join(uow, row, account_id)
    return account_id


_INVITATION = """
select i.id, i.organization_id, i.email, i.email_key, i.role, i.invited_by, i.expires_at, i.accepted_at, i.revoked_at,
  o.name as organization_name, o.kind, o.suspended_at as organization_suspended_at,
  coalesce(nullif(a.name, ''), a.email) as invited_by_name,
  m.role as inviter_role, m.suspended_at is not null as inviter_suspended,
  exists (select from account e where e.email_key = i.email_key and e.verified_at is not null) as has_account
from invitation i
join organization o on o.id = i.organization_id
join account a on a.id = i.invited_by
left join membership m on m.organization_id = i.organization_id and m.account_id = i.invited_by
where i.token_hash = :hash
"""


async def _open_invitation(uow: UnitOfWork, token: str, *, lock: bool = False) -> Row[Any]:
    """Raises NotFound for a link that never was or was replaced, Conflict for one that has ended."""
    found = await uow.execute(
        _INVITATION + (" for update of i" if lock else ""),
        hash=vault().lookup_hash(token if token.isascii() else ""),
    )
    row = found.one_or_none()
    if row is None:
        raise NotFound(
            "There is no invitation behind this link, or a newer mail has replaced it.",
            next_step="Open the link in the newest mail, or ask to be invited again.",
            code="invitation_unknown",
        )
    if row.accepted_at is not None:
        raise Conflict(
            "This invitation was accepted already: a link works once.",
            next_step="Sign in; if that was not you, tell whoever invited you.",
            code="invitation_used",
        )
    if row.revoked_at is not None or not _inviter_still_may(row):
        raise Conflict(
            f"This invitation to {row.organization_name} was withdrawn.",
            next_step="Ask to be invited again.",
            code="invitation_revoked",
        )
    if row.expires_at <= uow.wall_now:
        raise Conflict(
            f"This invitation to {row.organization_name} has expired: it was open for"
            f" {rules.INVITATION_VALID.days} days.",
            next_step=f"Ask {row.invited_by_name} to send it again.",
            code="invitation_expired",
        )
    if row.organization_suspended_at is not None:
        raise Conflict(
            f"{row.organization_name} is suspended, so nobody can join it now.",
            next_step="Ask whoever invited you.",
            code="organization_suspended",
        )
    return row


def _inviter_still_may(row: Row[Any]) -> bool:
    """Whoever was removed or lost the right since lets nobody in any more by a mail sent before."""
    if row.inviter_role is None or row.inviter_suspended:
        return False
    held = policies.capabilities_of(row.inviter_role, kind=row.kind, suspended=False)
    inviter = Actor(row.invited_by, row.organization_id, held, role=Role(row.inviter_role))
    try:
        policies.require_may_hand_out(inviter, Role(row.role), kind=row.kind)
    except Forbidden:
        return False
    return Capability.MEMBERS_WRITE in held


async def _join(uow: UnitOfWork, row: Row[Any], account_id: str) -> None:
    await organizations.require_room_for_another(uow, account_id)
    organization = await policies.organization_joined(uow, row.organization_id)
    await organizations.add_member(uow, organization, account_id=account_id, role=Role(row.role))
    await uow.execute(
        "update invitation set accepted_at = :now, accepted_by = :account_id where id = :id",
        now=uow.wall_now,
        account_id=account_id,
        id=row.id,
    )
    uow.record(
        InvitationAccepted(
            aggregate_id=row.id, organization_id=row.organization_id, account_id=account_id, role=row.role
        )
    )


# Somebody may have signed up with the address and never confirmed it: the mail has decided whose it is.
_ACCOUNT = """
insert into account (id, email, email_key, name, password_hash, verified_at, created_at, version)
values (:id, :email, :key, :name, :hash, :now, :now, 1)
on conflict (email_key) do update set email = excluded.email, name = excluded.name,
  password_hash = excluded.password_hash, verified_at = excluded.verified_at, version = account.version + 1
  where account.verified_at is null and account.suspended_at is null
returning id
"""


async def _new_account(uow: UnitOfWork, row: Row[Any], *, name: str, password_hash: str) -> str:
    made = await uow.execute(
        _ACCOUNT,
        id=new_id("acc"),
        email=row.email,
        key=row.email_key,
        name=name,
        hash=password_hash,
        now=uow.wall_now,
    )
    account_id = made.scalar_one_or_none()
    if account_id is None:
        raise _signs_in_already(row.email)
    await uow.execute(
        "update mail_token set used_at = :now, email = '', name = '', password_hash = ''"
        " where account_id = :id and used_at is null",
        now=uow.wall_now,
        id=account_id,
    )
    uow.record(AccountConfirmed(aggregate_id=account_id, organization_id=None))
    return account_id


def _signs_in_already(email: str) -> Conflict:
    return Conflict(
        f"{email} has an account already.",
        next_step="Sign in with it, then accept the invitation.",
        code="account_exists",
    )
