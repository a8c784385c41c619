"""The catalogue as staff builds it: products, plans and their versions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from functools import partial
from typing import Literal

from fastapi import Request, Response
from pydantic import AwareDatetime, Field

from matrix_app.api.deps import AnyCaller, Caller, staff_work
from matrix_app.api.v1.etag import IfMatch, showing_current
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.plans import AskedEstimate, ChargeShown, EntitlementShown, EstimateShown, estimated
from matrix_app.api.v1.repeat import RepeatOnce
from matrix_app.api.v1.route import failures
from matrix_app.api.v1.shape import (
    Body,
    Exact,
    Shown,
    resource,
)
from models.plans import ChargeKind, ChargeTiming, EntitlementKind, PaymentTime, PlanVersion, VersionState
from models.types import BillingInterval, ProrationPolicy
from services.catalog import naming, plan_queries, plans
from services.catalog.plan_rules import ChargeFields, EntitlementFields
from services.catalog.plans import VersionFields
from services.core.permissions import Capability
from services.core.work import UnitOfWork

router = resource("staff", prefix="/staff")


class ProductShown(Shown):
    id: str
    slug: str
    name: str
    description: str
    plans: int
    created_at: AwareDatetime
    version: int


class StaffPlanShown(Shown):
    id: str
    product_id: str
    product_name: str
    slug: str
    name: str
    description: str
    addon_to: list[str]
    published: int | None = Field(description="Number of the version on sale")
    draft: int | None = Field(description="Number of the draft")
    retention_coupon: str | None = Field(description="Offered to whoever is about to cancel it")
    retention_text: str
    created_at: AwareDatetime
    version: int


class PlanVersionRow(Shown):
    id: str
    plan_id: str
    number: int
    state: VersionState
    trial_days: int
    tax_code: str
    charges: int = Field(description="How many prices it has")
    created_at: AwareDatetime
    published_at: AwareDatetime | None
    retired_at: AwareDatetime | None
    version: int


class PlanVersionShown(Shown):
    """A draft changes as a whole and has an ETag; what is published is never changed again."""

    id: str
    plan_id: str
    plan_name: str
    plan_slug: str
    number: int
    state: VersionState
    trial_days: int
    tax_code: str
    payment: PaymentTime
    created_at: AwareDatetime
    published_at: AwareDatetime | None
    retired_at: AwareDatetime | None
    version: int
    charges: list[ChargeShown]
    entitlements: list[EntitlementShown]


class NewProduct(Body):
    slug: str
    name: str
    description: str = ""


class NewPlan(Body):
    product_id: str
    slug: str
    name: str
    description: str = ""
    addon_to: list[str] = Field(
        [], description="Plans that it can be added to; none for one that stands alone"
    )


class RetentionOffer(Body):
    coupon: str = Field("", max_length=200, description="Its code; empty to offer nothing any more")
    text: str = Field("", description="What is said with it")
    version: int | None = Field(None, description="The plan's, as it was read; or send it as If-Match")


class Named(Body):
    """What is left out stays. The slug never changes."""

    name: str | None = None
    description: str | None = None
    version: int | None = Field(None, description="As it was read; or send it as If-Match")


class TierGiven(Body):
    """Units above `above` up to and including `up_to`; the last tier has no end."""

    above: Exact | None = Field(None, description="Where the tier before it ends if left out")
    up_to: Exact | None = None
    unit_amount: Exact
    flat_amount: Exact | None = Field(None, description="Due once, by whoever enters the tier")


class DefinitionGiven(Body):
    """A charge model with what it takes; what another model takes is refused."""

    model: Literal["flat", "one_off", "per_unit", "package", "graduated", "volume", "percentage"]
    amount: Exact | None = Field(None, description="flat: a period; package: each package")
    unit_amount: Exact | None = Field(None, description="per_unit, one_off")
    size: Exact | None = Field(None, description="package: units in one")
    tiers: list[TierGiven] | None = Field(None, description="graduated, volume", max_length=100)
    first_flat_at_zero: bool | None = Field(None, description="graduated, volume: also with nothing used")
    rate: Exact | None = Field(None, description='percentage: "0.029" is 2.9 %')
    fixed_fee: Exact | None = Field(None, description="percentage: for each event")
    free_events: int | None = Field(None, description="percentage: the first ones of a period")
    event_minimum: Exact | None = Field(None, description="percentage: of each event")
    event_maximum: Exact | None = Field(None, description="percentage: of each event")
    free_units: Exact | None = Field(None, description="Of a period, before the model sees the quantity")
    minimum: Exact | None = Field(None, description="Of a period's amount")
    maximum: Exact | None = Field(None, description="Of a period's amount")


class ChargeGiven(Body):
    key: str = Field(description="What it is called by programs; the same for each currency and interval")
    name: str
    kind: ChargeKind
    currency: str
    definition: DefinitionGiven
    interval: BillingInterval | None = Field(None, description="None for a one-off")
    interval_count: int = 1
    timing: ChargeTiming | None = Field(None, description="Usage in arrears, all else in advance if left out")
    proration: ProrationPolicy = ProrationPolicy.SECOND
    meter: str | None = Field(None, description="Slug of a platform meter, for what is metered")
    quantity_min: Exact = Decimal(0)
    quantity_max: Exact | None = None
    included_credits: Exact = Field(
        Decimal(0), description="To the wallet with each whole period, for each seat; for usage in it"
    )
    tax_inclusive: bool = Field(False, description="The tax is in the price; else it comes on top")


class EntitlementGiven(Body):
    key: str
    name: str
    kind: EntitlementKind
    value: str = Field(description='Text of its kind: "true", "25", "by email"')


class DraftGiven(Body):
    """All that the draft says; what is left out is gone."""

    charges: list[ChargeGiven] = Field([])
    entitlements: list[EntitlementGiven] = Field([])
    trial_days: int = 0
    tax_code: str = "software"
    payment: PaymentTime = Field(
        PaymentTime.AFTER, description="`before`: it begins once its first invoice is paid, within 23 hours"
    )
    version: int | None = Field(None, description="As it was read; or send it as If-Match")


@router.get("/products", **listed(plan_queries.PRODUCTS, ProductShown))
async def list_products(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """Products by slug."""
    work = partial(staff_work, who, Capability.STAFF_PLANS_READ)
    return await answer(request, plan_queries.PRODUCTS, ProductShown, asked, work)


@router.post("/products", status_code=201, response_model=ProductShown)
async def create_product(who: AnyCaller, body: NewProduct, repeat: RepeatOnce) -> Response:
    """Create something that plans can be plans of."""

    async def create(uow: UnitOfWork) -> ProductShown:
        row = await plans.create_product(uow, **body.model_dump())
        return await _product(uow, row.id)

    return await repeat.once(staff_work(who, Capability.STAFF_PLANS_WRITE), create, owner=who.actor.id)


@router.patch("/products/{product_id}", responses=failures(404))
async def rename_product(who: AnyCaller, product_id: str, body: Named, expected: IfMatch) -> ProductShown:
    """Call a product something else."""
    version = expected.version(body.version)
    async with (
        staff_work(who, Capability.STAFF_PLANS_WRITE) as uow,
        showing_current(lambda: _product(uow, product_id)),
    ):
        await naming.rename_product(
            uow, product_id, name=body.name, description=body.description, version=version
        )
        return await _product(uow, product_id)


async def _product(uow: UnitOfWork, product_id: str) -> ProductShown:
    return ProductShown.model_validate(await plan_queries.staff_product(uow, product_id))


@router.get("/plans", **listed(plan_queries.PLANS, StaffPlanShown))
async def list_staff_plans(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """All plans by slug, also those that are not on sale."""
    work = partial(staff_work, who, Capability.STAFF_PLANS_READ)
    return await answer(request, plan_queries.PLANS, StaffPlanShown, asked, work)


@router.post("/plans", status_code=201, response_model=StaffPlanShown, responses=failures(404))
async def create_plan(who: AnyCaller, body: NewPlan, repeat: RepeatOnce) -> Response:
    """Create a plan with an empty draft as its first version."""

    async def create(uow: UnitOfWork) -> StaffPlanShown:
        row = await plans.create_plan(uow, **body.model_dump())
        return await _plan(uow, row.id)

    return await repeat.once(staff_work(who, Capability.STAFF_PLANS_WRITE), create, owner=who.actor.id)


@router.get("/plans/{plan_id}")
async def get_staff_plan(who: AnyCaller, plan_id: str) -> StaffPlanShown:
    """One plan, also one that is not on sale."""
    async with staff_work(who, Capability.STAFF_PLANS_READ) as uow:
        return await _plan(uow, plan_id)


async def _plan(uow: UnitOfWork, plan_id: str) -> StaffPlanShown:
    return StaffPlanShown.model_validate(await plan_queries.staff_plan(uow, plan_id))


@router.put("/plans/{plan_id}/retention-offer")
async def set_retention_offer(
    who: AnyCaller, plan_id: str, body: RetentionOffer, expected: IfMatch
) -> StaffPlanShown:
    """What is offered to whoever is about to cancel the plan: a coupon, in some words."""
    version = expected.version(body.version)
    async with (
        staff_work(who, Capability.STAFF_PLANS_WRITE) as uow,
        showing_current(lambda: _plan(uow, plan_id)),
    ):
        await plans.set_retention_offer(uow, plan_id, coupon=body.coupon, text=body.text, version=version)
        return await _plan(uow, plan_id)


@router.patch("/plans/{plan_id}", responses=failures(404))
async def rename_plan(who: AnyCaller, plan_id: str, body: Named, expected: IfMatch) -> StaffPlanShown:
    """Call a plan something else. What was billed stays as it was called then."""
    version = expected.version(body.version)
    async with (
        staff_work(who, Capability.STAFF_PLANS_WRITE) as uow,
        showing_current(lambda: _plan(uow, plan_id)),
    ):
        await naming.rename_plan(uow, plan_id, name=body.name, description=body.description, version=version)
        return await _plan(uow, plan_id)


@router.post(
    "/plans/{plan_id}/versions", status_code=201, response_model=PlanVersionShown, responses=failures(404),
)  # fmt: skip
async def draft_version(who: AnyCaller, plan_id: str, repeat: RepeatOnce) -> Response:
    """Begin a new version with the terms of the newest; the draft that is there already is given as it is."""

    async def draft(uow: UnitOfWork) -> PlanVersionShown:
        row = await plans.draft_version(uow, plan_id)
        return await _version(uow, row.id)

    return await repeat.once(staff_work(who, Capability.STAFF_PLANS_WRITE), draft, owner=who.actor.id)


@router.get("/plan-versions", **listed(plan_queries.VERSIONS, PlanVersionRow))
async def list_plan_versions(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """Versions of plans, the newest number first; filter by `plan_id`."""
    work = partial(staff_work, who, Capability.STAFF_PLANS_READ)
    return await answer(request, plan_queries.VERSIONS, PlanVersionRow, asked, work)


@router.get("/plan-versions/{plan_version_id}")
async def get_plan_version(who: AnyCaller, plan_version_id: str) -> PlanVersionShown:
    """One version with its prices and entitlements."""
    async with staff_work(who, Capability.STAFF_PLANS_READ) as uow:
        return await _version(uow, plan_version_id)


async def _version(uow: UnitOfWork, version_id: str) -> PlanVersionShown:
    return PlanVersionShown.model_validate(await plan_queries.version_detail(uow, version_id))


@router.put("/plan-versions/{plan_version_id}", responses=failures(409))
async def change_draft(
    who: AnyCaller, plan_version_id: str, body: DraftGiven, expected: IfMatch
) -> PlanVersionShown:
    """Replace all that a draft says. Prices that are missing are asked for when it is published."""
    given = VersionFields(
        charges=[_charge(one) for one in body.charges],
        entitlements=[EntitlementFields(**one.model_dump()) for one in body.entitlements],
        trial_days=body.trial_days,
        tax_code=body.tax_code,
        payment=body.payment.value,
    )
    async with (
        staff_work(who, Capability.STAFF_PLANS_WRITE) as uow,
        showing_current(lambda: _version(uow, plan_version_id)),
    ):
        await plans.change_draft(uow, plan_version_id, given, version=expected.version(body.version))
        return await _version(uow, plan_version_id)


def _charge(given: ChargeGiven) -> ChargeFields:
    """What was not said is left out, so that the rules of charges tell what is missing or too much."""
    fields = given.model_dump(exclude={"definition"})
    definition = given.definition.model_dump(mode="json", exclude_unset=True)
    return ChargeFields(**fields, definition=definition)


@router.post(
    "/plan-versions/{plan_version_id}/publish", responses=failures(409), response_model=PlanVersionShown
)
async def publish_version(
    who: AnyCaller, plan_version_id: str, expected: IfMatch, repeat: RepeatOnce
) -> Response:
    """Sell a draft from now on, in place of the version that was sold until then. It can never be changed again."""
    return await _turned(who, plan_version_id, expected, repeat, plans.publish_version)


@router.post(
    "/plan-versions/{plan_version_id}/retire", responses=failures(409), response_model=PlanVersionShown
)
async def retire_version(
    who: AnyCaller, plan_version_id: str, expected: IfMatch, repeat: RepeatOnce
) -> Response:
    """Stop selling a version. Who has it keeps it."""
    return await _turned(who, plan_version_id, expected, repeat, plans.retire_version)


async def _turned(
    who: Caller,
    plan_version_id: str,
    expected: IfMatch,
    repeat: RepeatOnce,
    verb: Callable[..., Awaitable[PlanVersion]],
) -> Response:
    """Have a version, as it was read, be sold or be sold no more."""

    async def act(uow: UnitOfWork) -> PlanVersionShown:
        async with showing_current(lambda: _version(uow, plan_version_id)):
            await verb(uow, plan_version_id, version=expected.version())
            return await _version(uow, plan_version_id)

    return await repeat.once(
        staff_work(who, Capability.STAFF_PLANS_WRITE), act, owner=who.actor.id, status=200
    )


@router.post("/plan-versions/{plan_version_id}/estimate")
async def estimate_version(who: AnyCaller, plan_version_id: str, body: AskedEstimate) -> EstimateShown:
    """What a quantity of one charge would cost, also by a draft."""
    async with staff_work(who, Capability.STAFF_PLANS_READ) as uow:
        return estimated(await plan_queries.version_detail(uow, plan_version_id), body)
