"""Founding organisations and looking after them."""

from __future__ import annotations

from models.identity import Organization
from models.terms import Occasion
from models.types import BillingMode, OrganizationKind, Role
from services.core.database import database
from services.core.errors import Conflict, not_found
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.wakeups import KEYS_CHANGED
from services.core.work import UnitOfWork
from services.identity import policies, queries, rules
from services.identity.events import (
    MembershipCreated,
    OrganizationCreated,
    OrganizationResumed,
    OrganizationSuspended,
    OrganizationUpdated,
)
from services.identity.proof import require_recent_proof
from services.terms import service as terms


async def create_organization(
    uow: UnitOfWork, *, kind: str, name: str, timezone: str = "UTC", currency: str = "USD"
) -> Organization:
    """An organisation of a signed-in person, who becomes its owner.

    `uow` crosses tenants (Reason.SIGN_IN) with the person as actor: a row-level policy cannot know an
    organisation that does not exist yet.
    """
    account_id = uow.actor.account_id
    if account_id is None:
        raise Conflict("A key belongs to an organisation and cannot found another.", next_step="Sign in.")
    open_kind = rules.require_open_kind(kind)
    await require_room_for_another(uow, account_id)
    row = await found_organization(
        uow, owner_id=account_id, kind=open_kind, name=name, timezone=timezone, currency=currency
    )
    await terms.accept(uow, Occasion.FOUNDING, organization_id=row.id)
    return row


async def require_room_for_another(uow: UnitOfWork, account_id: str) -> None:
    """Raises Conflict when a person belongs to as many organisations as anybody may. `uow` crosses tenants."""
    await uow.execute("select from account where id = :id for no key update", id=account_id)
    owned = await uow.execute("select count(*) from membership where account_id = :id", id=account_id)
    if owned.scalar_one() >= rules.ORGANIZATIONS_PER_ACCOUNT_MAX:
        raise Conflict(
            f"You belong to {rules.ORGANIZATIONS_PER_ACCOUNT_MAX} organisations, which is the most.",
            next_step="Use one of them, or leave one.",
            code="too_many_organizations",
        )


async def found_organization(
    uow: UnitOfWork,
    *,
    owner_id: str,
    kind: OrganizationKind,
    name: str,
    timezone: str = "UTC",
    currency: str = "USD",
    billing_mode: BillingMode = BillingMode.POSTPAID,
    test_clock_id: str | None = None,
) -> Organization:
    """An organisation of any kind, operators included: for demo data and whoever runs the machine.

    Its first member is the owner, or in an operator organisation an operator.
    """
    name = rules.clean_text(name, field="name", what="The name")
    row = Organization(
        id=new_id("org"),
        kind=kind,
        name=name,
        name_key=rules.sorting_key(name),
        timezone=rules.require_timezone(timezone),
        currency=rules.require_currency(currency, on=uow.now.date()),
        billing_mode=billing_mode,
        test_clock_id=test_clock_id,
        created_at=uow.now,
    )
    uow.add(row)
    await uow.session.flush()
    uow.record(OrganizationCreated(aggregate_id=row.id, organization_id=row.id, kind=kind, name=name))
    role = Role.OPERATOR if kind is OrganizationKind.OPERATOR else Role.OWNER
    await add_member(uow, row, account_id=owner_id, role=role)
    return row


async def add_member(uow: UnitOfWork, organization: Organization, *, account_id: str, role: Role) -> None:
    """Let a person work in `organization` from now on. `uow` crosses tenants or is bound to it.

    Raises Conflict for somebody who is a member already, Invalid for a staff role outside operators.
    """
    role = policies.fitting_role(role, kind=organization.kind)
    added = await uow.execute(
        "insert into membership (id, organization_id, account_id, role, created_at, version)"
        " values (:id, :organization_id, :account_id, :role, :now, 1)"
        " on conflict (organization_id, account_id) do nothing",
        id=new_id("mem"),
        organization_id=organization.id,
        account_id=account_id,
        role=role,
        now=uow.now,
    )
    if added.rowcount == 0:
        raise Conflict("This person is a member already.", next_step="Change the role instead.")
    uow.record(
        MembershipCreated(
            aggregate_id=organization.id, organization_id=organization.id, account_id=account_id, role=role
        )
    )


async def update_organization(
    uow: UnitOfWork,
    *,
    name: str | None = None,
    timezone: str | None = None,
    version: int | None = None,
) -> Organization:
    """Change what is given. Changing nothing records nothing. Raises StaleVersion, Forbidden, Invalid.

    The currency stays: what was used has been priced in it.
    """
    row = await policies.own_organization(uow, Capability.ORGANIZATION_WRITE, lock=True)
    if version is not None and version != row.version:
        raise await queries.changed_meanwhile(uow, row.id, OrganizationUpdated.type, what="organisation")
    changed: list[str] = []
    if name is not None:
        cleaned = rules.clean_text(name, field="name", what="The name")
        if cleaned != row.name:
            row.name, row.name_key = cleaned, rules.sorting_key(cleaned)
            changed.append("name")
    if timezone is not None and timezone != row.timezone:
        row.timezone = rules.require_timezone(timezone)
        changed.append("timezone")
    if changed:
        row.version += 1
        uow.record(OrganizationUpdated(aggregate_id=row.id, organization_id=row.id, changed=changed))
    return row


async def suspend_organization(uow: UnitOfWork, organization_id: str) -> None:
    """Stop an organisation's keys and changes at once; its people can still read. For staff, across tenants.

    Suspending twice changes nothing. Raises NotFound, ProofNeeded, or Conflict for an operator organisation.
    """
    row = await _for_staff(uow, organization_id)
    require_recent_proof(uow)
    if row.kind == OrganizationKind.OPERATOR:
        raise Conflict(
            "An operator organisation cannot be suspended: nobody could undo it.",
            next_step="Remove its members instead.",
        )
    if row.suspended_at is None:
        row.suspended_at = uow.wall_now
        row.version += 1
        uow.record(OrganizationSuspended(aggregate_id=row.id, organization_id=row.id))
        await forget_keys(uow, row.id)


async def resume_organization(uow: UnitOfWork, organization_id: str) -> None:
    """Undo a suspension. Raises NotFound."""
    row = await _for_staff(uow, organization_id)
    if row.suspended_at is not None:
        row.suspended_at = None
        row.version += 1
        uow.record(OrganizationResumed(aggregate_id=row.id, organization_id=row.id))
        await forget_keys(uow, row.id)


async def set_billing_mode(
    uow: UnitOfWork, organization_id: str, mode: BillingMode, *, version: int | None = None
) -> None:
    """Let calls be paid by invoice or ahead, from the wallet, from now on. For staff, across tenants.

    Setting what is set changes nothing. Raises NotFound and StaleVersion.
    """
    row = await _for_staff(uow, organization_id)
    if version is not None and version != row.version:
        raise await queries.changed_meanwhile(uow, row.id, OrganizationUpdated.type, what="organisation")
    if row.billing_mode != mode:
        row.billing_mode = mode
        row.version += 1
        uow.record(OrganizationUpdated(aggregate_id=row.id, organization_id=row.id, changed=["billing_mode"]))
        await forget_keys(uow, row.id)


async def _for_staff(uow: UnitOfWork, organization_id: str) -> Organization:
    uow.actor.require(Capability.STAFF_ORGANIZATIONS_WRITE)
    row = await uow.get(Organization, organization_id, lock=True)
    if row is None:
        raise not_found("organisation", organization_id)
    return row


async def forget_keys(uow: UnitOfWork, organization_id: str) -> None:
    """Have every process read the organisation's keys again: they carry whether it is suspended or restricted."""
    keys = await uow.execute("select id from api_key where organization_id = :id", id=organization_id)
    wakeups = database().wakeups
    for key_id in keys.scalars().all():
        uow.after_commit(lambda key_id=key_id: wakeups.poke(KEYS_CHANGED, key_id))
