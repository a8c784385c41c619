"""Coupons as staff offers them."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import Request, Response
from pydantic import AwareDatetime, BeforeValidator, Field

from matrix_app.api.deps import AnyCaller, staff_work
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.repeat import RepeatOnce
from matrix_app.api.v1.shape import (
    Body,
    Exact,
    Instant,
    Shown,
    resource,
)
from matrix_app.api.v1.staff_invoices import OrEmpty
from services.billing.discounts import Duration
from services.catalog import coupon_queries, coupons
from services.catalog.coupons import CouponFields
from services.core.permissions import Capability
from services.core.work import UnitOfWork

router = resource("staff", prefix="/staff/coupons")


class CouponShown(Shown):
    id: str
    code: str
    name: str
    rate: Exact | None = Field(description='"0.25" is 25 %')
    amount_minor: int | None
    currency: str | None
    duration: Duration
    periods: int | None
    meters: list[str]
    plans: list[str]
    expires_at: AwareDatetime | None
    redemptions_max: int | None
    redeemed: int
    created_at: AwareDatetime
    archived_at: AwareDatetime | None
    state: str


class NewCoupon(Body):
    """A rate or an amount; for metrics, for plans, or for everything."""

    code: str
    name: str
    rate: OrEmpty = Field(None, description='"0.25" is 25 %')
    amount: OrEmpty = Field(None, description="In major units of the currency", examples=["5.00"])
    currency: Annotated[str | None, BeforeValidator(lambda given: given or None)] = None
    duration: Duration = Duration.ONCE
    periods: int | None = Field(None, description="How many, with the duration 'periods'")
    meters: list[str] = Field([], description="Slugs; only lines of these")
    plans: list[str] = Field([], description="Ids; only lines of these")
    expires_at: Instant | None = Field(
        None, description="Not redeemed from then on; what was redeemed works on"
    )
    redemptions_max: int | None = None


@router.get("", **listed(coupon_queries.COUPONS, CouponShown))
async def list_coupons(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """Coupons, the newest first."""
    work = partial(staff_work, who, Capability.STAFF_PLANS_READ)
    return await answer(request, coupon_queries.COUPONS, CouponShown, asked, work)


@router.post("", status_code=201, response_model=CouponShown)
async def create_coupon(who: AnyCaller, body: NewCoupon, repeat: RepeatOnce) -> Response:
    """Offer a coupon. Its terms never change: archive it and create another."""

    async def create(uow: UnitOfWork) -> CouponShown:
        row = await coupons.create_coupon(uow, CouponFields(**body.model_dump()))
        return await _coupon(uow, row.id)

    return await repeat.once(staff_work(who, Capability.STAFF_PLANS_WRITE), create, owner=who.actor.id)


@router.get("/{coupon_id}")
async def get_coupon(who: AnyCaller, coupon_id: str) -> CouponShown:
    """One coupon."""
    async with staff_work(who, Capability.STAFF_PLANS_READ) as uow:
        return await _coupon(uow, coupon_id)


@router.post("/{coupon_id}/archive", response_model=CouponShown)
async def archive_coupon(who: AnyCaller, coupon_id: str, repeat: RepeatOnce) -> Response:
    """Let nobody redeem it any more. What was redeemed works on."""

    async def act(uow: UnitOfWork) -> CouponShown:
        await coupons.archive_coupon(uow, coupon_id)
        return await _coupon(uow, coupon_id)

    return await repeat.once(
        staff_work(who, Capability.STAFF_PLANS_WRITE), act, owner=who.actor.id, status=200
    )


async def _coupon(uow: UnitOfWork, coupon_id: str) -> CouponShown:
    return CouponShown.model_validate(await coupon_queries.staff_coupon(uow, coupon_id))
