"""Building the catalogue: products, plans, and versions of plans that are drafted, published and retired.

A published version is never edited: a change is a new version, and those who have the old one keep it. All verbs
are for staff, in work that crosses tenants; by wall time, since the catalogue follows no organisation's clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from models.money import currency as currency_of
from models.plans import (
    PaymentTime,
    Plan,
    PlanCharge,
    PlanEntitlement,
    PlanVersion,
    Product,
    VersionState,
)
from services.catalog import coupon_queries, plan_queries, plan_rules, policies
from services.catalog.charge_json import charge_to_json
from services.catalog.events import (
    PlanCreated,
    PlanOfferSet,
    PlanVersionChanged,
    PlanVersionDrafted,
    PlanVersionPublished,
    PlanVersionRetired,
    ProductCreated,
)
from services.catalog.plan_rules import ChargeFields, EntitlementFields, PlannedCharge, within
from services.core.errors import Conflict, Invalid, not_found
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.metering.queries import platform_meters

ADDON_TO_MAX = 100
VERSIONS_MAX = 1_000  # of one plan


@dataclass(frozen=True, slots=True)
class VersionFields:
    """What staff says of a draft: all of it at once, in the order in which it is shown."""

    charges: Sequence[ChargeFields] = ()
    entitlements: Sequence[EntitlementFields] = ()
    trial_days: int = 0
    tax_code: str = "software"
    payment: str = PaymentTime.AFTER.value


async def create_product(uow: UnitOfWork, *, slug: str, name: str, description: str = "") -> Product:
    """Raises Forbidden, Invalid, or Conflict when the slug is taken."""
    uow.actor.require(Capability.STAFF_PLANS_WRITE)
    row = Product(
        id=new_id("prod"),
        slug=plan_rules.require_slug(slug),
        name=plan_rules.require_name(name),
        description=plan_rules.require_description(description),
        created_by=uow.actor.account_id,
        created_at=uow.wall_now,
    )
    await _require_free_slug(uow, "product", slug)
    uow.add(row)
    await uow.session.flush()
    uow.record(ProductCreated(aggregate_id=row.id, organization_id=None, slug=row.slug, name=row.name))
    return row


async def create_plan(
    uow: UnitOfWork,
    *,
    product_id: str,
    slug: str,
    name: str,
    description: str = "",
    addon_to: Sequence[str] = (),
) -> Plan:
    """A plan with an empty draft. `addon_to` are ids of the plans that it can be added to, none for a plan of its own.

    Raises Forbidden, Invalid, NotFound for the product, or Conflict when the slug is taken.
    """
    uow.actor.require(Capability.STAFF_PLANS_WRITE)
    if await uow.get(Product, product_id) is None:
        raise not_found("product", product_id)
    row = Plan(
        id=new_id("plan"),
        product_id=product_id,
        slug=plan_rules.require_slug(slug),
        name=plan_rules.require_name(name),
        description=plan_rules.require_description(description),
        addon_to=sorted(set(addon_to)),
        created_by=uow.actor.account_id,
        created_at=uow.wall_now,
    )
    await _require_hosts(uow, row.addon_to)
    await _require_free_slug(uow, "plan", slug)
    uow.add(row)
    await uow.session.flush()
    uow.record(
        PlanCreated(
            aggregate_id=row.id,
            organization_id=None,
            product_id=product_id,
            slug=row.slug,
            name=row.name,
            addon_to=row.addon_to,
        )
    )
    await draft_version(uow, row.id)
    return row


async def set_retention_offer(
    uow: UnitOfWork, plan_id: str, *, coupon: str, text: str = "", version: int | None = None
) -> Plan:
    """Offer a coupon, by its code, to whoever is about to cancel the plan; an empty one offers nothing any more.

    Raises Forbidden, NotFound for the plan, StaleVersion, and Invalid for a coupon that is not offered or is for other
    plans.
    """
    row = await policies.plan_for_writing(uow, plan_id, version)
    offer = await coupon_queries.coupon_by_code(uow, coupon) if coupon.strip() else None
    if coupon.strip() and offer is None:
        raise Invalid(f"There is no coupon {coupon.strip()[:64]!r}.", field="coupon")
    if offer is not None and offer.plans and plan_id not in offer.plans:
        raise Invalid(f"The coupon {offer.code} is for other plans.", field="coupon")
    row.retention_coupon_id = offer.id if offer is not None else None
    row.retention_text = plan_rules.require_description(text) if offer is not None else ""
    row.version += 1
    uow.add(row)
    await uow.session.flush()
    uow.record(
        PlanOfferSet(
            aggregate_id=row.id, organization_id=None, coupon=offer.code if offer is not None else ""
        )
    )
    return row


async def draft_version(uow: UnitOfWork, plan_id: str) -> PlanVersion:
    """A new draft with the terms of the newest version. The plan's draft that is there already is given as it is.

    Raises Forbidden, NotFound, and Invalid after VERSIONS_MAX versions.
    """
    await policies.plan_for_writing(uow, plan_id)
    newest = await plan_queries.newest_version(uow, plan_id)
    if newest is not None and newest.state == VersionState.DRAFT:
        return newest
    number = newest.number + 1 if newest else 1
    if number > VERSIONS_MAX:
        raise Invalid(f"A plan has at most {VERSIONS_MAX:,} versions.", next_step="Create a new plan.")
    row = PlanVersion(
        id=new_id("plnv"),
        plan_id=plan_id,
        number=number,
        trial_days=newest.trial_days if newest else 0,
        tax_code=newest.tax_code if newest else "software",
        payment=newest.payment if newest else PaymentTime.AFTER.value,
        created_by=uow.actor.account_id,
        created_at=uow.wall_now,
    )
    uow.add(row)
    await uow.session.flush()
    if newest is not None:
        await _copy(uow, newest.id, row.id)
    uow.record(
        PlanVersionDrafted(
            aggregate_id=row.id,
            organization_id=None,
            plan_id=plan_id,
            number=number,
            copied_from=newest.id if newest else None,
        )
    )
    return row


async def change_draft(
    uow: UnitOfWork, version_id: str, given: VersionFields, *, version: int | None = None
) -> PlanVersion:
    """Replace all that the draft says. Prices that are missing for an offer are asked for when it is published.

    Raises Forbidden, Invalid at the place that is wrong, NotFound, StaleVersion, or Conflict once it is published.
    """
    row = await policies.version_for_writing(uow, version_id, version)
    _require_draft(row)
    plan_rules.check_version(trial_days=given.trial_days, tax_code=given.tax_code, payment=given.payment)
    charges = plan_rules.checked_charges(given.charges)
    entitled = plan_rules.checked_entitlements(given.entitlements)
    await _require_meters(uow, charges)

    row.trial_days, row.tax_code, row.payment = given.trial_days, given.tax_code, given.payment
    row.version += 1
    for table in ("plan_charge", "plan_entitlement"):
        await uow.execute(f"delete from {table} where plan_version_id = :id", id=row.id)
    for position, charge in enumerate(charges):
        uow.add(_charge_row(row.id, position, charge))
    for position, one in enumerate(entitled):
        uow.add(
            PlanEntitlement(
                plan_version_id=row.id,
                position=position,
                key=one.key,
                name=one.name,
                kind=one.kind,
                value=one.value,
            )
        )
    await uow.session.flush()
    uow.record(
        PlanVersionChanged(
            aggregate_id=row.id,
            organization_id=None,
            plan_id=row.plan_id,
            number=row.number,
            charges=len(charges),
            entitlements=len(entitled),
        )
    )
    return row


async def publish_version(uow: UnitOfWork, version_id: str, *, version: int | None = None) -> PlanVersion:
    """Sell the draft from now on; the version that was sold until then is retired.

    Raises Forbidden, NotFound, StaleVersion, Conflict once it is published, and Invalid for what cannot be sold: a
    price that is missing, currencies or intervals that cannot be billed together, a currency that has ended.
    """
    row = await policies.version_for_writing(uow, version_id, version)
    _require_draft(row)
    charges = await plan_queries.planned_charges(uow, row.id)
    plan_rules.offers_of(charges)
    for index, charge in enumerate(charges):
        if not currency_of(charge.currency).valid_on(uow.wall_now.date()):
            raise Invalid(
                f"{charge.currency} is not legal tender any more, or not yet.",
                field=f"charges.{index}.currency",
            )
    await _require_meters(uow, charges)
    replaced = await plan_queries.published_version(uow, row.plan_id)
    if replaced is not None:
        await _retire(uow, replaced)
    row.state, row.published_at = VersionState.PUBLISHED, uow.wall_now
    row.version += 1
    await uow.session.flush()
    uow.record(
        PlanVersionPublished(
            aggregate_id=row.id,
            organization_id=None,
            plan_id=row.plan_id,
            number=row.number,
            replaces=replaced.id if replaced else None,
        )
    )
    return row


async def retire_version(uow: UnitOfWork, version_id: str, *, version: int | None = None) -> PlanVersion:
    """Stop selling a published version. Who has it keeps it. Retiring a retired one changes nothing.

    Raises Forbidden, NotFound, StaleVersion, and Conflict for a draft.
    """
    row = await policies.version_for_writing(uow, version_id, version)
    if row.state == VersionState.DRAFT:
        raise Conflict("A draft is not sold, so it cannot be retired.", next_step="Change it, or leave it.")
    if row.state == VersionState.PUBLISHED:
        await _retire(uow, row)
    return row


async def _retire(uow: UnitOfWork, row: PlanVersion) -> None:
    row.state, row.retired_at = VersionState.RETIRED, uow.wall_now
    row.version += 1
    await uow.session.flush()  # before another is published: there is one at most at any moment
    uow.record(
        PlanVersionRetired(aggregate_id=row.id, organization_id=None, plan_id=row.plan_id, number=row.number)
    )


def _require_draft(row: PlanVersion) -> None:
    if row.state != VersionState.DRAFT:
        raise Conflict(
            f"Version {row.number} is {row.state}: a published version is never changed.",
            code="version_published",
            next_step="Draft a new version and publish that.",
        )


async def _require_free_slug(uow: UnitOfWork, table: str, slug: str) -> None:
    taken = await uow.execute(f"select from {table} where slug = :slug", slug=slug)
    if taken.first() is not None:
        raise Conflict(f"There is a {table} {slug!r} already.", next_step="Choose another slug.")


async def _require_hosts(uow: UnitOfWork, addon_to: Sequence[str]) -> None:
    if len(addon_to) > ADDON_TO_MAX:
        raise Invalid(f"An add-on names at most {ADDON_TO_MAX} plans.", field="addon_to")
    known = await plan_queries.known_plans(uow, addon_to, hosts_only=True)
    for one in addon_to:
        if one not in known:
            raise Invalid(f"{one!r:.80} is no plan that things can be added to.", field="addon_to")


async def _require_meters(uow: UnitOfWork, charges: Sequence[PlannedCharge]) -> None:
    """Only the platform's own meters: others are each organisation's own."""
    known = await platform_meters(uow)
    for index, charge in enumerate(charges):
        if charge.meter is not None and charge.meter not in known:
            with within(f"charges.{index}"):
                raise Invalid(
                    f"There is no meter {charge.meter[:64]!r}.",
                    field="meter",
                    next_step=f"Choose one of: {', '.join(sorted(known))}.",
                )


def _charge_row(version_id: str, position: int, one: PlannedCharge) -> PlanCharge:
    return PlanCharge(
        id=new_id("pchg"),
        plan_version_id=version_id,
        position=position,
        key=one.key,
        name=one.name,
        kind=one.kind,
        meter=one.meter,
        currency=one.currency,
        interval=one.length.interval if one.length else None,
        interval_count=one.length.count if one.length else 1,
        timing=one.timing,
        proration=one.proration,
        definition=charge_to_json(one.charge),
        quantity_min=one.quantity_min,
        quantity_max=one.quantity_max,
        included_credits=one.included_credits,
        tax_inclusive=one.tax_inclusive,
    )


async def _copy(uow: UnitOfWork, old_id: str, new_version_id: str) -> None:
    for position, charge in enumerate(await plan_queries.planned_charges(uow, old_id)):
        uow.add(_charge_row(new_version_id, position, charge))
    await uow.execute(
        "insert into plan_entitlement (plan_version_id, key, position, name, kind, value)"
        " select :new, key, position, name, kind, value from plan_entitlement where plan_version_id = :old",
        old=old_id,
        new=new_version_id,
    )
