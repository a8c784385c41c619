"""Reads of products, plans and their versions: for staff as lists, for everybody what is on sale."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from models.plans import ChargeKind, ChargeTiming, PlanVersion, VersionState
from models.types import BillingInterval, ProrationPolicy
from services.catalog import policies
from services.catalog.charge_json import charge_from_json
from services.catalog.plan_rules import ChargeFields, Length, PlannedCharge
from services.core import listing_sql
from services.core.errors import not_found
from services.core.listing import Column, Kind, Listing, Operator
from services.core.permissions import Capability
from services.core.work import UnitOfWork

R = TypeVar("R")
_EXACTLY = (Operator.EQ, Operator.IN)


@dataclass(frozen=True, slots=True)
class ProductRow:
    id: str
    slug: str
    name: str
    description: str
    plans: int
    created_at: datetime
    version: int


@dataclass(frozen=True, slots=True)
class PlanRow:
    """`published` and `draft` are numbers of versions; None where there is none."""

    id: str
    product_id: str
    product_name: str
    slug: str
    name: str
    description: str
    addon_to: list[str]
    published: int | None
    draft: int | None
    retention_coupon: str | None
    retention_text: str
    created_at: datetime
    version: int


@dataclass(frozen=True, slots=True)
class VersionRow:
    id: str
    plan_id: str
    number: int
    state: str
    trial_days: int
    tax_code: str
    charges: int
    created_at: datetime
    published_at: datetime | None
    retired_at: datetime | None
    version: int


@dataclass(frozen=True, slots=True)
class ChargeRow:
    """A price. `definition` is as services/catalog/charge_json.py writes it; a one-off has no interval."""

    id: str
    key: str
    name: str
    kind: str
    meter: str | None
    currency: str
    interval: str | None
    interval_count: int
    timing: str
    proration: str
    definition: dict[str, Any]
    quantity_min: Decimal
    quantity_max: Decimal | None
    included_credits: Decimal
    tax_inclusive: bool


@dataclass(frozen=True, slots=True)
class EntitlementRow:
    """`value` is text of its kind: "true", "25", "by email"."""

    key: str
    name: str
    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class VersionDetail:
    """A version with all that it says."""

    id: str
    plan_id: str
    plan_name: str
    plan_slug: str
    number: int
    state: str
    trial_days: int
    tax_code: str
    payment: str
    created_at: datetime
    published_at: datetime | None
    retired_at: datetime | None
    version: int
    charges: tuple[ChargeRow, ...]
    entitlements: tuple[EntitlementRow, ...]


@dataclass(frozen=True, slots=True)
class PlanOnSale:
    """A plan and its published version."""

    id: str
    slug: str
    name: str
    description: str
    product: str
    product_id: str
    addon_to: list[str]
    number: int
    version_id: str
    trial_days: int
    charges: tuple[ChargeRow, ...]
    entitlements: tuple[EntitlementRow, ...]


PRODUCTS = Listing(
    "staff.products",
    row=ProductRow,
    needs=Capability.STAFF_PLANS_READ,
    source="product p",
    alias="p",
    joins="left join lateral (select count(*) as plans from plan l where l.product_id = p.id) c on true",
    columns=(
        Column("id", "p.id", Kind.ID, filterable=True),
        Column("slug", "p.slug", Kind.ID, sortable=True, unchanging=True, filterable=True),
        Column("name", "p.name", filterable=True),
        Column("description", "p.description"),
        Column("plans", "c.plans", Kind.INTEGER, joined=True),
        Column("created_at", "p.created_at", Kind.INSTANT),
        Column("version", "p.version", Kind.INTEGER),
    ),
    sort="slug",
)

PLANS = Listing(
    "staff.plans",
    row=PlanRow,
    needs=Capability.STAFF_PLANS_READ,
    source="plan p",
    alias="p",
    joins="join product o on o.id = p.product_id left join coupon r on r.id = p.retention_coupon_id"
    " left join plan_version v on v.plan_id = p.id and v.state = 'published'"
    " left join plan_version d on d.plan_id = p.id and d.state = 'draft'",
    columns=(
        Column("id", "p.id", Kind.ID, filterable=True),
        Column("product_id", "p.product_id", Kind.ID, filterable=True),
        Column("product_name", "o.name", joined=True),
        Column("slug", "p.slug", Kind.ID, sortable=True, unchanging=True, filterable=True),
        Column("name", "p.name", filterable=True),
        Column("description", "p.description"),
        Column("addon_to", "p.addon_to", Kind.LIST),
        Column("published", "v.number", Kind.INTEGER, nullable=True, joined=True),
        Column("draft", "d.number", Kind.INTEGER, nullable=True, joined=True),
        Column("retention_coupon", "r.code", nullable=True, joined=True),
        Column("retention_text", "p.retention_text"),
        Column("created_at", "p.created_at", Kind.INSTANT),
        Column("version", "p.version", Kind.INTEGER),
    ),
    sort="slug",
)

VERSIONS = Listing(
    "staff.plan_versions",
    row=VersionRow,
    needs=Capability.STAFF_PLANS_READ,
    source="plan_version v",
    alias="v",
    joins="left join lateral (select count(*) as charges from plan_charge c where c.plan_version_id = v.id) c on true",
    columns=(
        Column("id", "v.id", Kind.ID, filterable=True),
        Column("plan_id", "v.plan_id", Kind.ID, operators=_EXACTLY),
        Column("number", "v.number", Kind.INTEGER, sortable=True, unchanging=True),
        Column("state", "v.state", Kind.ENUM, values=tuple(VersionState), filterable=True),
        Column("trial_days", "v.trial_days", Kind.INTEGER),
        Column("tax_code", "v.tax_code", Kind.ID),
        Column("charges", "c.charges", Kind.INTEGER, joined=True),
        Column("created_at", "v.created_at", Kind.INSTANT, sortable=True, unchanging=True),
        Column("published_at", "v.published_at", Kind.INSTANT, nullable=True),
        Column("retired_at", "v.retired_at", Kind.INSTANT, nullable=True),
        Column("version", "v.version", Kind.INTEGER),
    ),
    sort="-number",
)


async def staff_plan(uow: UnitOfWork, plan_id: str) -> PlanRow:
    """Raises Forbidden and NotFound."""
    return await _found(uow, PLANS, "plan", plan_id)


async def staff_product(uow: UnitOfWork, product_id: str) -> ProductRow:
    """Raises Forbidden and NotFound."""
    return await _found(uow, PRODUCTS, "product", product_id)


async def _found(uow: UnitOfWork, listing: Listing[R], what: str, identifier: str) -> R:
    row = await listing_sql.find(uow, listing, identifier)
    if row is None:
        raise not_found(what, identifier)
    return row


async def version_detail(uow: UnitOfWork, version_id: str) -> VersionDetail:
    """A version with its prices and entitlements; drafts for staff only. Raises Forbidden and NotFound."""
    policies.require_reader(uow)
    return await _detail(uow, "v.id = :id", version_id, id=version_id)


async def version_by_number(uow: UnitOfWork, plan_id: str, number: int) -> VersionDetail:
    """The same by the plan and the version's number there. Raises Forbidden and NotFound."""
    policies.require_reader(uow)
    where = "v.plan_id = :plan_id and v.number = :number"
    return await _detail(uow, where, f"{plan_id}/{number}", plan_id=plan_id, number=number)


async def _detail(uow: UnitOfWork, where: str, named: str, **by: Any) -> VersionDetail:
    found = await uow.execute(
        "select v.id, v.plan_id, p.name as plan_name, p.slug as plan_slug, v.number, v.state, v.trial_days,"
        " v.tax_code, v.payment, v.created_at, v.published_at, v.retired_at, v.version"
        f" from plan_version v join plan p on p.id = v.plan_id where {where}",
        by,
    )
    row = found.mappings().one_or_none()
    if row is None:
        raise not_found("version of a plan", named)
    charges, given = await charges_of(uow, [row["id"]]), await _entitlements_of(uow, [row["id"]])
    return VersionDetail(**row, charges=charges.get(row["id"], ()), entitlements=given.get(row["id"], ()))


async def plans_on_sale(uow: UnitOfWork, *, after: str = "", limit: int) -> list[PlanOnSale]:
    """Plans with a published version, by slug from behind `after` on. Raises Forbidden."""
    policies.require_reader(uow)
    found = await uow.execute(
        "select p.id, p.slug, p.name, p.description, o.name as product, p.product_id, p.addon_to, v.number,"
        " v.id as version_id, v.trial_days from plan_version v join plan p on p.id = v.plan_id"
        " join product o on o.id = p.product_id where v.state = 'published' and p.slug > :after"
        " order by p.slug limit :limit",
        after=after,
        limit=limit,
    )
    rows = found.mappings().all()
    ids = [row["version_id"] for row in rows]
    charges, entitlements = await charges_of(uow, ids), await _entitlements_of(uow, ids)
    return [
        PlanOnSale(
            **row,
            charges=charges.get(row["version_id"], ()),
            entitlements=entitlements.get(row["version_id"], ()),
        )
        for row in rows
    ]


async def currencies_on_sale(uow: UnitOfWork) -> set[str]:
    """Of the prices of plans that are sold, which is no secret: also for those who have no organisation yet."""
    found = await uow.execute(
        "select distinct c.currency from plan_version v join plan_charge c on c.plan_version_id = v.id"
        " where v.state = 'published'"
    )
    return set(found.scalars())


async def published_numbers(uow: UnitOfWork, plan_id: str) -> list[int]:
    """Of the versions of a plan that are sold or were, the newest first. Raises Forbidden."""
    policies.require_reader(uow)
    found = await uow.execute(
        "select number from plan_version where plan_id = :plan_id and state <> 'draft' order by number desc",
        plan_id=plan_id,
    )
    return list(found.scalars())


async def newest_version(uow: UnitOfWork, plan_id: str) -> PlanVersion | None:
    """For verbs, which have asked who may."""
    return await _version(uow, "plan_id = :plan_id", plan_id)


async def published_version(uow: UnitOfWork, plan_id: str) -> PlanVersion | None:
    """The version that is sold, if one is. For verbs, which have asked who may."""
    return await _version(uow, "plan_id = :plan_id and state = 'published'", plan_id)


async def _version(uow: UnitOfWork, where: str, plan_id: str) -> PlanVersion | None:
    found = await uow.execute(
        f"select id from plan_version where {where} order by number desc limit 1", plan_id=plan_id
    )
    version_id = found.scalar_one_or_none()
    return None if version_id is None else await uow.get(PlanVersion, version_id)


async def known_plans(uow: UnitOfWork, ids: Collection[str], *, hosts_only: bool = False) -> set[str]:
    """Those of `ids` that are plans; `hosts_only` without add-ons. For verbs, which have asked who may."""
    condition = " and addon_to = '{}'" if hosts_only else ""
    found = await uow.execute(f"select id from plan where id = any(:ids){condition}", ids=list(ids))
    return set(found.scalars())


async def plan_names(uow: UnitOfWork, ids: Collection[str]) -> dict[str, str]:
    """What those of `ids` that are plans are called. For staff, which has been asked whether it may."""
    found = await uow.execute("select id, name from plan where id = any(:ids)", ids=list(ids))
    return {row.id: row.name for row in found}


async def charges_of(uow: UnitOfWork, version_ids: Sequence[str]) -> dict[str, tuple[ChargeRow, ...]]:
    """The prices of each version, in their order."""
    found = await uow.execute(
        "select plan_version_id, id, key, name, kind, meter, currency, interval, interval_count, timing,"
        " proration, definition, quantity_min, quantity_max, included_credits, tax_inclusive from plan_charge"
        " where plan_version_id = any(:ids) order by plan_version_id, position",
        ids=list(version_ids),
    )
    rows = [dict(row) for row in found.mappings()]
    return _by_version(rows, ChargeRow)


async def _entitlements_of(
    uow: UnitOfWork, version_ids: Sequence[str]
) -> dict[str, tuple[EntitlementRow, ...]]:
    found = await uow.execute(
        "select plan_version_id, key, name, kind, value from plan_entitlement"
        " where plan_version_id = any(:ids) order by plan_version_id, position",
        ids=list(version_ids),
    )
    return _by_version([dict(row) for row in found.mappings()], EntitlementRow)


def _by_version(rows: list[dict[str, Any]], kind: Callable[..., R]) -> dict[str, tuple[R, ...]]:
    made: dict[str, list[R]] = {}
    for row in rows:
        made.setdefault(row.pop("plan_version_id"), []).append(kind(**row))
    return {version_id: tuple(of_it) for version_id, of_it in made.items()}


async def planned_charges(uow: UnitOfWork, version_id: str) -> tuple[PlannedCharge, ...]:
    """The prices of a version as rules want them, in their order."""
    return tuple(planned(row) for row in (await charges_of(uow, [version_id])).get(version_id, ()))


def draftable(row: ChargeRow) -> ChargeFields:
    """A stored price as it would be written into a draft."""
    given = asdict(row)
    del given["id"]
    return ChargeFields(**given)


def planned(row: ChargeRow) -> PlannedCharge:
    """A stored price as rules want it."""
    return PlannedCharge(
        key=row.key,
        name=row.name,
        kind=ChargeKind(row.kind),
        currency=row.currency,
        charge=charge_from_json(row.definition),
        length=Length(BillingInterval(row.interval), row.interval_count) if row.interval else None,
        timing=ChargeTiming(row.timing),
        proration=ProrationPolicy(row.proration),
        meter=row.meter,
        quantity_min=row.quantity_min,
        quantity_max=row.quantity_max,
        included_credits=row.included_credits,
        tax_inclusive=row.tax_inclusive,
    )
