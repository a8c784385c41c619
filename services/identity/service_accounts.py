"""Service accounts: programs with a role of their own, which act by their keys and outlast whoever made them.

A key of one may do what its scopes say, as far as the role goes. Disabling the account stops all of its keys at
once, in every process, and enabling it lets those go on that have not ended meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from models.identity import ServiceAccount
from models.types import Role
from services.core import listing_grammar, listing_sql
from services.core.errors import Conflict, Invalid, not_found
from services.core.ids import new_id
from services.core.listing import Column, Kind, Listing
from services.core.permissions import STAFF_ROLES, Capability
from services.core.work import UnitOfWork
from services.identity import keys, policies, queries, rules
from services.identity.events import (
    ServiceAccountCreated,
    ServiceAccountDisabled,
    ServiceAccountEnabled,
    ServiceAccountUpdated,
)

SERVICE_ACCOUNTS_MAX = 100  # of one organisation
ROLES = tuple(role for role in Role if role not in STAFF_ROLES and role is not Role.OWNER)


async def create_service_account(uow: UnitOfWork, *, name: str, role: str) -> ServiceAccount:
    """Raises Forbidden for a role above one's own, Conflict for a name that is taken or too many, Invalid."""
    uow.actor.require(Capability.SERVICE_ACCOUNTS_WRITE)
    name = rules.clean_text(name, field="name", what="The name")
    wanted = await _role_to_give(uow, role)
    await policies.hold_organization(uow)
    counted = await uow.execute(
        "select count(*) from service_account where organization_id = :id", id=uow.organization_id
    )
    if counted.scalar_one() >= SERVICE_ACCOUNTS_MAX:
        raise Conflict(
            f"There are {SERVICE_ACCOUNTS_MAX} service accounts, which is the most.",
            next_step="Use one that is there, under another name.",
            code="too_many_service_accounts",
        )
    await _require_free(uow, name)
    row = ServiceAccount(
        id=new_id("svc"),
        organization_id=uow.organization_id,
        name=name,
        name_key=rules.sorting_key(name),
        role=wanted,
        created_by=uow.actor.account_id,
        created_at=uow.now,
    )
    uow.add(row)
    await uow.session.flush()
    uow.record(
        ServiceAccountCreated(
            aggregate_id=row.id, organization_id=row.organization_id, name=name, role=wanted
        )
    )
    return row


async def update_service_account(
    uow: UnitOfWork,
    service_account_id: str,
    *,
    name: str | None = None,
    role: str | None = None,
    version: int | None = None,
) -> ServiceAccount:
    """Change what is given; another role counts for its keys at once.

    Raises as `create_service_account`, and StaleVersion.
    """
    uow.actor.require(Capability.SERVICE_ACCOUNTS_WRITE)
    await policies.hold_organization(uow)
    row = await policies.service_account_for(uow, service_account_id, Capability.SERVICE_ACCOUNTS_WRITE)
    if version is not None and version != row.version:
        raise await queries.changed_meanwhile(uow, row.id, ServiceAccountUpdated.type, what="service account")
    changed: list[str] = []
    if name is not None:
        cleaned = rules.clean_text(name, field="name", what="The name")
        if cleaned != row.name:
            if rules.sorting_key(cleaned) != row.name_key:
                await _require_free(uow, cleaned)
            row.name, row.name_key = cleaned, rules.sorting_key(cleaned)
            changed.append("name")
    if role is not None and role != row.role:
        row.role = await _role_to_give(uow, role)
        changed.append("role")
    if changed:
        row.version += 1
        uow.record(
            ServiceAccountUpdated(aggregate_id=row.id, organization_id=row.organization_id, changed=changed)
        )
        await _announce_keys(uow, row.id)
    return row


async def disable_service_account(uow: UnitOfWork, service_account_id: str) -> ServiceAccount:
    """Stop all of its keys until it is enabled again. Twice changes nothing. Raises Forbidden, NotFound."""
    row = await policies.service_account_for(uow, service_account_id, Capability.SERVICE_ACCOUNTS_WRITE)
    if row.disabled_at is None:
        row.disabled_at = uow.wall_now
        row.version += 1
        uow.record(ServiceAccountDisabled(aggregate_id=row.id, organization_id=row.organization_id))
        await _announce_keys(uow, row.id)
    return row


async def enable_service_account(uow: UnitOfWork, service_account_id: str) -> ServiceAccount:
    """Let its keys go on. Raises Forbidden when its role is above the actor's, NotFound."""
    row = await policies.service_account_for(uow, service_account_id, Capability.SERVICE_ACCOUNTS_WRITE)
    if row.disabled_at is not None:
        await _role_to_give(uow, row.role)
        row.disabled_at = None
        row.version += 1
        uow.record(ServiceAccountEnabled(aggregate_id=row.id, organization_id=row.organization_id))
        await _announce_keys(uow, row.id)
    return row


@dataclass(frozen=True, slots=True)
class ServiceAccountRow:
    """A service account as people see it."""

    id: str
    name: str
    role: str
    status: str  # active or disabled
    created_at: datetime
    created_by_name: str
    disabled_at: datetime | None
    last_used_at: datetime | None
    active_keys: int
    version: int


SERVICE_ACCOUNTS = Listing(
    "service_accounts",
    row=ServiceAccountRow,
    needs=Capability.SERVICE_ACCOUNTS_READ,
    source="service_account s left join account a on a.id = s.created_by",
    where="s.organization_id = :organization_id",
    columns=(
        Column("id", "s.id", Kind.ID, filterable=True),
        Column("name", "s.name", sortable=True, filterable=True, folded="s.name_key", fold=rules.sorting_key),
        Column("role", "s.role", Kind.ENUM, values=tuple(ROLES), filterable=True),
        Column(
            "status",
            "case when s.disabled_at is null then 'active' else 'disabled' end",
            Kind.ENUM,
            values=("active", "disabled"),
            filterable=True,
        ),
        Column("created_at", "s.created_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
        Column("created_by_name", "coalesce(nullif(a.name, ''), a.email, '')"),
        Column("disabled_at", "s.disabled_at", Kind.INSTANT, nullable=True),
        Column(
            "last_used_at",
            "(select max(k.last_used_at) from api_key k where k.service_account_id = s.id"
            " and k.organization_id = s.organization_id)",
            Kind.INSTANT,
            nullable=True,
        ),
        Column(
            "active_keys",
            "(select count(*) from api_key k where k.service_account_id = s.id"
            " and k.organization_id = s.organization_id and k.revoked_at is null"
            " and (k.expires_at is null or k.expires_at > :now))",
            Kind.INTEGER,
        ),
        Column("version", "s.version", Kind.INTEGER, exported=False),
    ),
    sort="name",
)


async def service_accounts(uow: UnitOfWork, *, limit: int = SERVICE_ACCOUNTS_MAX) -> list[ServiceAccountRow]:
    """The organisation's service accounts by name. Needs service_accounts.read."""
    return list((await listing_sql.page(uow, listing_grammar.read(SERVICE_ACCOUNTS, []), limit=limit)).rows)


async def service_account(uow: UnitOfWork, service_account_id: str) -> ServiceAccountRow:
    """One service account. Raises NotFound, also for another organisation's."""
    row = await listing_sql.find(uow, SERVICE_ACCOUNTS, service_account_id)
    if row is None:
        raise not_found("service account", service_account_id)
    return row


async def _role_to_give(uow: UnitOfWork, role: str) -> Role:
    """Raises Invalid for a role that is people's alone, Forbidden for one above the actor's."""
    if role not in ROLES:
        raise Invalid(
            f"A program cannot have the role {role[:64]!r}.",
            field="role",
            next_step=f"Choose {', '.join(ROLES[:-1])} or {ROLES[-1]}.",
        )
    policies.require_may_hand_out(uow.actor, Role(role), kind="")
    return Role(role)


async def _require_free(uow: UnitOfWork, name: str) -> None:
    taken = await uow.execute(
        "select from service_account where organization_id = :organization_id and name_key = :key",
        organization_id=uow.organization_id,
        key=rules.sorting_key(name),
    )
    if taken.first() is not None:
        raise Conflict(
            f"There is a service account {name!r} already.",
            next_step="Choose another name.",
            code="name_taken",
        )


async def _announce_keys(uow: UnitOfWork, service_account_id: str) -> None:
    """Have every process read the account's keys again: they carry its role and whether it is disabled."""
    found = await uow.execute(
        "select id from api_key where organization_id = :organization_id and service_account_id = :id",
        organization_id=uow.organization_id,
        id=service_account_id,
    )
    for key_id in found.scalars().all():
        keys.announce(uow, key_id)
