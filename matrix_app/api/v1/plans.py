"""Plans on sale, and what a quantity of one of their charges would cost."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path
from pydantic import Field

from matrix_app.api.deps import Member
from matrix_app.api.v1.shape import (
    PAGE_ROWS,
    Body,
    Cursor,
    Exact,
    Limit,
    Page,
    Shown,
    cursor_for,
    position_in,
    resource,
)
from models.plans import ChargeKind, ChargeTiming, EntitlementKind
from models.types import BillingInterval, ProrationPolicy
from services.catalog import estimates, plan_queries
from services.catalog.charge_json import steps_to_json
from services.catalog.plan_queries import VersionDetail
from services.core.errors import Invalid
from services.core.work import unit_of_work

router = resource("plans")

_DEFINITION = 'The charge itself, numbers as text: {"model": "per_unit", "unit_amount": "12.5", ...}'
Definition = Annotated[dict[str, Any], Field(description=_DEFINITION)]


class ChargeShown(Shown):
    """A price for one currency and one interval; a one-off has no interval and goes with each."""

    id: str
    key: str
    name: str
    kind: ChargeKind
    meter: str | None
    currency: str
    interval: BillingInterval | None
    interval_count: int
    timing: ChargeTiming
    proration: ProrationPolicy
    definition: Definition
    quantity_min: Exact
    quantity_max: Exact | None
    included_credits: Exact = Field(description="To the wallet with each whole period, for each seat")
    tax_inclusive: bool = Field(description="The tax is in the price; else it comes on top")


class EntitlementShown(Shown):
    key: str
    name: str
    kind: EntitlementKind
    value: str = Field(description='Text of its kind: "true", "25", "by email"')


class PlanShown(Shown):
    """A plan and the version of it that is on sale."""

    id: str
    slug: str
    name: str
    description: str
    product: str
    addon_to: list[str] = Field(description="Plans that it can be added to; empty for one that stands alone")
    number: int = Field(description="Of the version that is on sale")
    version_id: str
    trial_days: int
    charges: list[ChargeShown]
    entitlements: list[EntitlementShown]


class AskedEstimate(Body):
    charge_id: str = Field(description="Of one of the version's charges")
    quantity: Exact = Field(
        description="In units of the charge, for one whole billing period", examples=["1000"]
    )
    events: int = Field(1, description="For a percentage: how many events of equal size make up the quantity")


class StepShown(Shown):
    """amount = quantity * unit_amount + flat_amount, exact, in major units. Bounds are those of a tier."""

    kind: str
    quantity: Exact
    unit_amount: Exact
    flat_amount: Exact
    amount: Exact
    above: Exact | None = None
    up_to: Exact | None = None


class EstimateShown(Shown):
    """Without tax and coupons. The amounts of the steps add up to `amount`."""

    charge_id: str
    quantity: Exact
    currency: str
    amount: Exact = Field(description="Exact, in major units")
    total_minor: int = Field(description="Rounded once, in minor units, as a line of an invoice would be")
    steps: list[StepShown]


Number = Annotated[str, Path(description="Of the version, from 1 on")]
NUMBER_DIGITS_MAX = 6


@router.get("/plans")
async def list_plans(who: Member, cursor: Cursor = None, limit: Limit = PAGE_ROWS) -> Page[PlanShown]:
    """Plans on sale with their prices and what they give, by slug."""
    position = position_in("plans", {}, cursor)
    async with unit_of_work(who.actor) as uow:
        rows = await plan_queries.plans_on_sale(uow, after=position[0] if position else "", limit=limit + 1)
    last = rows[limit - 1] if len(rows) > limit else None
    return Page(
        data=[PlanShown.model_validate(row) for row in rows[:limit]],
        next_cursor=cursor_for("plans", {}, [last.slug]) if last else None,
    )


@router.post("/plans/{plan_id}/versions/{number}/estimate")
async def estimate_plan(who: Member, plan_id: str, number: Number, body: AskedEstimate) -> EstimateShown:
    """What a quantity of one charge would cost in one billing period. Nothing is bought or stored."""
    async with unit_of_work(who.actor) as uow:
        return estimated(await plan_queries.version_by_number(uow, plan_id, _counted(number)), body)


def _counted(number: str) -> int:
    """As an id that nothing has, what is no number names no version: 0, which none has."""
    fits = number.isascii() and number.isdigit() and len(number) <= NUMBER_DIGITS_MAX
    return int(number) if fits else 0


def estimated(version: VersionDetail, asked: AskedEstimate) -> EstimateShown:
    charge = next((one for one in version.charges if one.id == asked.charge_id), None)
    if charge is None:
        raise Invalid(f"This version has no charge {asked.charge_id[:80]!r}.", field="charge_id")
    made = estimates.estimate(plan_queries.planned(charge), asked.quantity, events=asked.events)
    return EstimateShown(
        charge_id=charge.id,
        quantity=made.quantity,
        currency=charge.currency,
        amount=made.rated.amount,
        total_minor=made.total.minor,
        steps=[StepShown(**step) for step in steps_to_json(made.rated)],
    )
