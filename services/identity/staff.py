"""Who looks after the installation itself: made on its machine, never from outside; and what they look at."""

from __future__ import annotations

from models.identity import Organization
from models.types import OrganizationKind, Role
from services.audit.reads import note_read
from services.core.errors import Conflict
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.identity import accounts, organizations, queries, rules
from services.identity.queries import Member, StaffOrganization

ORGANIZATION_NAME = "Operations"


async def add_operator(uow: UnitOfWork, *, email: str, name: str, password_hash: str) -> str:
    """Somebody who runs this installation: a confirmed account in its operator organisation.

    The organisation is founded with its first operator. Hash the password first, with `passwords.hashed`.
    Returns the account's id. Raises Invalid, or Conflict when the address has an account already.
    """
    address = rules.parse_email(email)
    # One at a time: two firsts would found two organisations.
    await uow.execute("select pg_advisory_xact_lock(hashtextextended('operators', 47))")
    known = await uow.execute("select id from account where email_key = :key", key=address.key)
    if known.first() is not None:
        raise Conflict(
            f"{address.address} has an account already.",
            next_step="Use another address: whoever works for the platform does so under one of its own.",
        )
    account_id = await accounts.add_confirmed(uow, email=email, name=name, password_hash=password_hash)
    await uow.session.flush()
    found = await uow.execute(
        "select id from organization where kind = :kind order by created_at, id limit 1",
        kind=OrganizationKind.OPERATOR,
    )
    organization = await uow.get(Organization, found.scalar_one_or_none() or "")
    if organization is None:
        await organizations.found_organization(
            uow, owner_id=account_id, kind=OrganizationKind.OPERATOR, name=ORGANIZATION_NAME
        )
    else:
        await organizations.add_member(uow, organization, account_id=account_id, role=Role.OPERATOR)
    return account_id


async def look_at_organization(uow: UnitOfWork, organization_id: str) -> StaffOrganization:
    """One organisation for somebody of staff, who is noted to have looked. Raises NotFound."""
    found = await queries.staff_organization(uow, organization_id)
    await note_read(uow, "organization", organization_id=found.id)
    return found


async def look_at_members(uow: UnitOfWork) -> list[Member]:
    """The people of the organisation that `uow` looks into for staff, which is noted, too."""
    uow.actor.require(Capability.STAFF_ORGANIZATIONS_READ)
    found = await queries.members(uow)
    await note_read(uow, "members", organization_id=uow.organization_id)
    return found
