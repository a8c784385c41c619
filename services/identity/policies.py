"""Who may what: from memberships and keys to actors, and the way to rows of identity."""

from __future__ import annotations

from models.gateway import ApiKey
from models.identity import Organization
from models.types import OrganizationKind, Role
from services.core.actor import Actor
from services.core.errors import not_found
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


async def key_for(uow: UnitOfWork, key_id: str, capability: Capability, *, lock: bool = False) -> ApiKey:
    """The organisation's key, if the actor may. Raises Forbidden, or NotFound also for others' keys."""
    uow.actor.require(capability)
    key = await uow.get(ApiKey, key_id, lock=lock)
    if key is None or key.organization_id != uow.organization_id:
        raise not_found("key", key_id)
    return key


async def own_organization(uow: UnitOfWork, capability: Capability) -> Organization:
    """The organisation that the work is bound to, if the actor may. Raises Forbidden."""
    uow.actor.require(capability)
    row = await uow.get(Organization, uow.organization_id)
    if row is None:
        raise not_found("organisation", uow.organization_id)
    return row
