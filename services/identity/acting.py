"""Acting for somebody who is not there: with the rights they have now, not with those they had when they asked."""

from __future__ import annotations

from models.types import Role
from services.core.actor import Actor
from services.core.errors import Forbidden, Unauthenticated
from services.core.ids import is_id
from services.core.work import UnitOfWork
from services.identity import key_queries, policies


async def actor_of(uow: UnitOfWork, asked_by: str, organization_id: str) -> Actor | None:
    """The account or key `asked_by` at work in the organisation; None when it may not work there any more.

    `uow` crosses tenants.
    """
    if is_id(asked_by, "apikey"):
        return await _key(uow, asked_by, organization_id)
    found = await uow.execute(
        "select m.role, o.kind, o.suspended_at is not null as suspended"
        " from membership m join organization o on o.id = m.organization_id join account a on a.id = m.account_id"
        " where m.account_id = :account and m.organization_id = :organization"
        " and m.suspended_at is null and a.suspended_at is null",
        account=asked_by,
        organization=organization_id,
    )
    row = found.one_or_none()
    if row is None:
        return None
    held = policies.capabilities_of(row.role, kind=row.kind, suspended=row.suspended)
    role = Role(row.role) if row.role in set(Role) else None
    return Actor(asked_by, organization_id, held, role=role, account_id=asked_by)


async def _key(uow: UnitOfWork, key_id: str, organization_id: str) -> Actor | None:
    facts = await key_queries.find_by_id(uow, key_id, organization_id)
    try:
        if facts is not None:
            facts.require_usable(uow.wall_now)
    except (Unauthenticated, Forbidden):
        return None
    return facts.actor() if facts else None
