"""Who may what: from memberships and keys to actors, and the way to rows of identity."""

from __future__ import annotations

from models.gateway import ApiKey
from models.identity import Invitation, Membership, Organization
from models.types import OrganizationKind, Role
from services.core.actor import Actor
from services.core.errors import Forbidden, Invalid, not_found
from services.core.permissions import ROLE_CAPABILITIES, STAFF_ROLES, Capability
from services.core.work import UnitOfWork

# What is left to a suspended organisation: it can see what it has, and change nothing.
READING = frozenset(
    {
        Capability.ORGANIZATION_READ,
        Capability.MEMBERS_READ,
        Capability.SERVICE_ACCOUNTS_READ,
        Capability.PROJECTS_READ,
        Capability.AUDIT_READ,
        Capability.TASKS_READ,
        Capability.FILES_READ,
        Capability.KEYS_READ,
        Capability.USAGE_READ,
        Capability.COST_READ,
        Capability.MODELS_READ,
    }
)


def capabilities_of(role: str, *, kind: str, suspended: bool) -> frozenset[Capability]:
    """Staff roles mean something in operator organisations only; a role nobody knows gives nothing."""
    if role not in set(Role):
        return frozenset()
    if Role(role) in STAFF_ROLES and kind != OrganizationKind.OPERATOR:
        return frozenset()
    held = ROLE_CAPABILITIES[Role(role)]
    return held & READING if suspended else held


def person(account_id: str, *, session_id: str | None = None) -> Actor:
    """Somebody signed in who works in no organisation (yet): may found one, and nothing else."""
    return Actor(account_id, None, frozenset(), account_id=account_id, session_id=session_id)


def account_of(uow: UnitOfWork) -> str:
    """The account of the person who acts. Raises Forbidden for keys."""
    if uow.actor.account_id is None:
        raise Forbidden("This is for signed-in people.", next_step="Sign in in the browser.")
    return uow.actor.account_id


async def own_organization(uow: UnitOfWork, capability: Capability, *, lock: bool = False) -> Organization:
    """The organisation that the work is bound to, if the actor may. Raises Forbidden."""
    uow.actor.require(capability)
    row = await uow.get(Organization, uow.organization_id, lock=lock)
    if row is None:
        raise not_found("organisation", uow.organization_id)
    return row


async def key_for(uow: UnitOfWork, key_id: str, capability: Capability, *, lock: bool = False) -> ApiKey:
    """The organisation's key, if the actor may. Raises Forbidden, or NotFound also for others' keys."""
    uow.actor.require(capability)
    key = await uow.get(ApiKey, key_id, lock=lock)
    if key is None or key.organization_id != uow.organization_id:
        raise not_found("key", key_id)
    return key


async def member_for(uow: UnitOfWork, account_id: str, capability: Capability) -> Membership:
    """The membership of one of the organisation's people, locked. Raises Forbidden or NotFound."""
    uow.actor.require(capability)
    return await own_membership(uow, account_id)


async def own_membership(uow: UnitOfWork, account_id: str) -> Membership:
    """What `account_id` is in the actor's organisation, locked: of the actor, who needs no permission for it,

    or of somebody else after one was asked for. Raises NotFound.
    """
    found = await uow.execute(
        "select id from membership where organization_id = :organization_id and account_id = :account_id",
        organization_id=uow.organization_id,
        account_id=account_id,
    )
    row = await uow.get(Membership, found.scalar_one_or_none() or "", lock=True)
    if row is None:
        raise not_found("member", account_id)
    return row


async def invitation_for(uow: UnitOfWork, invitation_id: str, capability: Capability) -> Invitation:
    """The organisation's invitation, locked. Raises Forbidden, or NotFound also for others' invitations."""
    uow.actor.require(capability)
    row = await uow.get(Invitation, invitation_id, lock=True)
    if row is None or row.organization_id != uow.organization_id:
        raise not_found("invitation", invitation_id)
    return row


async def organization_joined(uow: UnitOfWork, organization_id: str) -> Organization:
    """The organisation of an invitation that was found by its secret. `uow` crosses tenants."""
    row = await uow.get(Organization, organization_id)
    if row is None:
        raise not_found("organisation", organization_id)
    return row


def leading_roles(kind: str) -> frozenset[Role]:
    """The roles of which an organisation always keeps one: without them nobody could let anybody in."""
    operators = {Role.OPERATOR} if kind == OrganizationKind.OPERATOR else set[Role]()
    return frozenset({Role.OWNER} | operators)


def fitting_role(role: str, *, kind: str) -> Role:
    """The role of that name, if members of such an organisation can have it. Raises Invalid."""
    if role not in set(Role):
        raise Invalid(
            f"There is no role {role[:64]!r}.",
            field="role",
            next_step="Choose owner, admin, billing, developer or viewer.",
        )
    if Role(role) in STAFF_ROLES and kind != OrganizationKind.OPERATOR:
        raise Invalid(
            f"The role {role!r} exists in operator organisations only.",
            field="role",
            next_step="Choose owner, admin, billing, developer or viewer.",
        )
    return Role(role)


def require_may_hand_out(actor: Actor, role: Role, *, kind: str) -> None:
    """Raises Forbidden when the actor may neither give nor take `role`: it is above what he has himself.

    Owners (in operator organisations operators, too) are made and unmade by their like alone.
    """
    leading = leading_roles(kind)
    if role in leading and actor.role not in leading:
        raise Forbidden(
            f"Only an owner makes or unmakes somebody {role.value}.",
            next_step="Ask an owner of the organisation.",
            code="owner_needed",
        )
    if not ROLE_CAPABILITIES[role] <= actor.capabilities:
        raise Forbidden(
            f"The role {role.value!r} may do more than you may.",
            next_step="Choose another role, or ask somebody who has this one.",
            code="above_own_role",
        )
