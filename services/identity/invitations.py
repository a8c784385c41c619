"""Asking somebody to join by mail: who may, how many, and the link that fits one address only.

The link's secret is made when its mail is written (`issue`), so it is in no event and in no answer. Until then, and
again from the moment a mail is sent anew, the row holds the hash of a secret that nobody has.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from models.identity import Invitation
from models.types import Role
from services.core.crypto import vault
from services.core.errors import Conflict, Forbidden, RateLimited
from services.core.ids import new_id, new_secret
from services.core.listing import Column, Kind, Listing
from services.core.permissions import ROLE_CAPABILITIES, Capability
from services.core.work import UnitOfWork
from services.identity import policies, rules
from services.identity.events import InvitationCreated, InvitationResent, InvitationRevoked
from services.identity.proof import require_recent_proof

OPEN_MAX = 100  # of one organisation at once
PER_DAY_MAX = 100  # of one organisation, whatever became of them
PER_DAY_AND_ADDRESS_MAX = 5
MAILS_MAX = 10  # of one invitation
RESENT_EVERY = timedelta(minutes=1)
_DAY = timedelta(days=1)


async def invite(uow: UnitOfWork, *, email: str, role: str) -> Invitation:
    """Have a mail ask `email` to join in `role`.

    Raises Forbidden for a role above one's own, Conflict for a member, for somebody asked already and when too many
    are open, RateLimited, Invalid.
    """
    account_id = _inviting_account(uow)
    address = rules.parse_new_email(email)
    kind = await policies.hold_organization(uow)
    wanted = policies.fitting_role(role, kind=kind)
    _require_may_let_in(uow, wanted, kind)
    await _require_stranger(uow, address)
    await _require_bounds(uow, address)
    row = Invitation(
        id=new_id("invite"),
        organization_id=uow.organization_id,
        email=address.address,
        email_key=address.key,
        role=wanted,
        token_hash=_nobodys_secret(),
        invited_by=account_id,
        created_at=uow.wall_now,
        expires_at=uow.wall_now + rules.INVITATION_VALID,
    )
    uow.add(row)
    await uow.session.flush()
    uow.record(
        InvitationCreated(
            aggregate_id=row.id, organization_id=row.organization_id, role=row.role, issue=row.version
        )
    )
    return row


async def resend(uow: UnitOfWork, invitation_id: str) -> Invitation:
    """Mail a new link, which counts from now; the one before stops at once. It is the actor who invites from now on.

    Raises Conflict for an invitation that has ended or was mailed too often, RateLimited, Forbidden, NotFound.
    """
    account_id = _inviting_account(uow)
    kind = await policies.hold_organization(uow)  # before any invitation, as `invite` does
    row = await policies.invitation_for(uow, invitation_id, Capability.MEMBERS_WRITE)
    _require_may_let_in(uow, Role(row.role), kind)
    _require_open(row)
    if row.version >= MAILS_MAX:
        raise Conflict(
            f"This invitation was mailed {MAILS_MAX} times, which is the most.",
            next_step="Ask whether the address is right; else withdraw it and invite again.",
            code="too_many_mails",
        )
    again_at = row.expires_at - rules.INVITATION_VALID + RESENT_EVERY
    if uow.wall_now < again_at:
        raise RateLimited(
            "A mail was sent a moment ago.",
            retry_after_s=max(1, round((again_at - uow.wall_now).total_seconds())),
            next_step="Wait a minute: mail takes a while to arrive.",
        )
    row.token_hash = _nobodys_secret()
    row.invited_by = account_id  # whoever invited first may have left, and would let nobody in
    row.expires_at = uow.wall_now + rules.INVITATION_VALID
    row.version += 1
    uow.record(InvitationResent(aggregate_id=row.id, organization_id=row.organization_id, issue=row.version))
    return row


async def revoke(uow: UnitOfWork, invitation_id: str) -> Invitation:
    """Withdraw an invitation; its link stops at once. Twice changes nothing. Raises Conflict, Forbidden, NotFound."""
    row = await policies.invitation_for(uow, invitation_id, Capability.MEMBERS_WRITE)
    if row.revoked_at is not None:
        return row
    if row.accepted_at is not None:
        raise _was_accepted()
    row.revoked_at = uow.wall_now
    uow.record(InvitationRevoked(aggregate_id=row.id, organization_id=row.organization_id))
    return row


@dataclass(frozen=True, slots=True)
class InvitationRow:
    """An invitation that waits. `status` is open or expired."""

    id: str
    email: str
    role: str
    status: str
    invited_by: str
    invited_by_name: str
    created_at: datetime
    expires_at: datetime
    version: int


INVITATIONS = Listing(
    "invitations",
    row=InvitationRow,
    needs=Capability.MEMBERS_READ,
    source="invitation i left join account a on a.id = i.invited_by",
    where="i.organization_id = :organization_id and i.accepted_at is null and i.revoked_at is null",
    columns=(
        Column("id", "i.id", Kind.ID),
        Column("email", "i.email", filterable=True),
        Column("role", "i.role", Kind.ENUM, values=tuple(Role), filterable=True),
        Column(
            "status",
            "case when i.expires_at <= :now then 'expired' else 'open' end",
            Kind.ENUM,
            values=("open", "expired"),
            filterable=True,
        ),
        Column("invited_by", "i.invited_by", Kind.ID, filterable=True),
        Column("invited_by_name", "coalesce(nullif(a.name, ''), a.email, '')"),
        Column("created_at", "i.created_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
        Column("expires_at", "i.expires_at", Kind.INSTANT, sortable=True, filterable=True),
        Column("version", "i.version", Kind.INTEGER, exported=False),
    ),
    sort="-created_at",
)


@dataclass(frozen=True, slots=True)
class Issued:
    """What the mail needs. `token` is shown to nobody else, and only its hash is kept."""

    token: str
    email: str
    role: str
    organization_name: str
    invited_by_name: str
    expires_at: datetime


async def issue(uow: UnitOfWork, invitation_id: str, number: int) -> Issued | None:
    """The secret for mail `number` of an invitation; None when it has ended or a later mail was asked for since.

    `uow` crosses tenants.
    """
    token = new_secret()
    found = await uow.execute(
        "update invitation i set token_hash = :hash from organization o, account a"
        " where i.id = :id and i.version = :number and i.accepted_at is null and i.revoked_at is null"
        " and i.expires_at > :now and o.id = i.organization_id and a.id = i.invited_by"
        " returning i.email, i.role, o.name as organization_name,"
        " coalesce(nullif(a.name, ''), a.email) as invited_by_name, i.expires_at",
        hash=vault().lookup_hash(token),
        id=invitation_id,
        number=number,
        now=uow.wall_now,
    )
    row = found.mappings().one_or_none()
    return Issued(token=token, **row) if row else None


def _inviting_account(uow: UnitOfWork) -> str:
    """Whose right to let people in the link will stand for. Raises Forbidden."""
    uow.actor.require(Capability.MEMBERS_WRITE)
    if uow.actor.account_id is None:
        raise Forbidden("A key cannot invite people.", next_step="Sign in in the browser.")
    return uow.actor.account_id


def _nobodys_secret() -> bytes:
    return vault().lookup_hash(new_secret())


def _require_may_let_in(uow: UnitOfWork, role: Role, kind: str) -> None:
    """Raises Forbidden. Whoever could go on to let others in is let in by somebody who has just shown who they are."""
    policies.require_may_hand_out(uow.actor, role, kind=kind)
    if Capability.MEMBERS_WRITE in ROLE_CAPABILITIES[role]:
        require_recent_proof(uow)


def _require_open(row: Invitation) -> None:
    if row.accepted_at is not None:
        raise _was_accepted()
    if row.revoked_at is not None:
        raise Conflict("This invitation was withdrawn.", next_step="Invite again.", code="invitation_revoked")


def _was_accepted() -> Conflict:
    return Conflict(
        "This invitation was accepted.", next_step="See the list of members.", code="invitation_used"
    )


async def _require_stranger(uow: UnitOfWork, address: rules.Email) -> None:
    """Raises Conflict for a member, and for somebody asked already. An invitation that ran out makes room."""
    named = {"organization_id": uow.organization_id, "key": address.key, "now": uow.wall_now}
    known = await uow.execute(
        "select from membership m join account a on a.id = m.account_id"
        " where m.organization_id = :organization_id and a.email_key = :key",
        named,
    )
    if known.first() is not None:
        raise Conflict(
            f"{address.address} is a member already.",
            next_step="Change the role in the list of members.",
            code="already_member",
        )
    await uow.execute(
        "update invitation set revoked_at = :now where organization_id = :organization_id and email_key = :key"
        " and accepted_at is null and revoked_at is null and expires_at <= :now",
        named,
    )
    asked = await uow.execute(
        "select from invitation where organization_id = :organization_id and email_key = :key"
        " and accepted_at is null and revoked_at is null",
        named,
    )
    if asked.first() is not None:
        raise Conflict(
            f"{address.address} was invited already.",
            next_step="Send the mail again from the list of invitations.",
            code="already_invited",
        )


async def _require_bounds(uow: UnitOfWork, address: rules.Email) -> None:
    """The organisation's row is held by the caller, so two at once count each other."""
    found = await uow.execute(
        "select count(*) filter (where accepted_at is null and revoked_at is null) as open,"
        " count(*) filter (where created_at > :since) as today,"
        " count(*) filter (where created_at > :since and email_key = :key) as here"
        " from invitation where organization_id = :organization_id",
        organization_id=uow.organization_id,
        since=uow.wall_now - _DAY,
        key=address.key,
    )
    counted = found.one()
    if counted.open >= OPEN_MAX:
        raise Conflict(
            f"{OPEN_MAX} invitations are open, which is the most.",
            next_step="Withdraw those that nobody will accept any more.",
            code="too_many_invitations",
        )
    if counted.today >= PER_DAY_MAX or counted.here >= PER_DAY_AND_ADDRESS_MAX:
        raise RateLimited(
            "Too many invitations were sent within a day.",
            retry_after_s=_DAY.total_seconds() / 24,
            next_step="Go on tomorrow.",
            code="too_many_invitations_today",
        )
