"""Who may what: from memberships and keys to actors, and the way to rows of identity."""

from __future__ import annotations

from collections.abc import Sequence

from models.gateway import ApiKey
from models.identity import Invitation, Membership, Organization, Project, ServiceAccount
from models.types import OrganizationKind, Role
from services.core.actor import Actor
from services.core.errors import Conflict, Forbidden, Invalid, not_found
from services.core.permissions import ROLE_CAPABILITIES, SCOPE_CAPABILITIES, STAFF_ROLES, Capability
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
        Capability.LEDGER_READ,
        Capability.INVOICES_READ,
        Capability.SUBSCRIPTIONS_READ,
        Capability.WALLET_READ,
        Capability.PAYMENTS_READ,
        Capability.BUDGETS_READ,
        Capability.MODELS_READ,
        Capability.PLANS_READ,
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


async def hold_organization(uow: UnitOfWork) -> str:
    """The kind of the actor's organisation, in which nobody else joins, leaves, counts or names until this is done.

    Taken before any row of the organisation, everywhere, so that two who work at once wait instead of blocking each
    other.
    """
    found = await uow.execute(
        "select kind from organization where id = :id for no key update", id=uow.organization_id
    )
    return found.scalar_one()


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


async def project_for(uow: UnitOfWork, project_id: str, capability: Capability) -> Project:
    """The organisation's project, locked. Raises Forbidden, or NotFound also for others' projects."""
    uow.actor.require(capability)
    row = await uow.get(Project, project_id, lock=True)
    if row is None or row.organization_id != uow.organization_id:
        raise not_found("project", project_id)
    return row


async def service_account_for(
    uow: UnitOfWork, service_account_id: str, capability: Capability
) -> ServiceAccount:
    """The organisation's service account, locked. Raises Forbidden, or NotFound also for others'."""
    uow.actor.require(capability)
    row = await uow.get(ServiceAccount, service_account_id, lock=True)
    if row is None or row.organization_id != uow.organization_id:
        raise not_found("service account", service_account_id)
    return row


async def require_home_for_key(
    uow: UnitOfWork, scopes: Sequence[str], project_id: str | None, service_account_id: str | None
) -> None:
    """Raises unless a key of `scopes` may be made in the project and for the service account, where one is named:

    NotFound, Conflict for what was archived or disabled, Forbidden for a scope that the account's role has no use of.
    """
    if project_id is not None:
        project = await project_for(uow, project_id, Capability.KEYS_WRITE)
        if project.archived_at is not None:
            raise Conflict(
                f"The project {project.name!r} is archived.",
                next_step="Restore it, or choose another project.",
                code="project_archived",
            )
    if service_account_id is None:
        return
    account = await service_account_for(uow, service_account_id, Capability.KEYS_WRITE)
    if account.disabled_at is not None:
        raise Conflict(
            f"The service account {account.name!r} is disabled.",
            next_step="Enable it first.",
            code="service_account_disabled",
        )
    held = ROLE_CAPABILITIES[Role(account.role)]
    for scope in scopes:
        acts = {c for c in SCOPE_CAPABILITIES[scope] if not c.endswith(".read")}
        if not acts <= held or not SCOPE_CAPABILITIES[scope] & held:
            raise Forbidden(
                f"The service account {account.name!r} has the role {account.role!r}, which does not go as far as"
                f" the scope {scope!r}.",
                next_step="Leave the scope out, or give the account another role.",
            )


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


def roles_in_place_of(role: str, *, kind: str) -> frozenset[Role]:
    """The roles of which somebody else must have one before a `role` can go; empty for roles that can always go.

    An owner of an operator organisation cannot make operators, so only an operator stands in for the last one.
    """
    leading = leading_roles(kind)
    if role not in leading:
        return frozenset()
    return frozenset({Role.OPERATOR}) if role == Role.OPERATOR else leading


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
