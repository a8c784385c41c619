"""The way to rows of the catalogue: staff reaches all, everybody else what was published."""

from __future__ import annotations

from models.plans import CouponOffer, Plan, PlanVersion, Product
from services.core.errors import StaleVersion, not_found
from services.core.permissions import Capability
from services.core.work import UnitOfWork


def require_reader(uow: UnitOfWork) -> None:
    """Staff or somebody who may compare plans. Raises Forbidden."""
    if not uow.actor.may(Capability.STAFF_PLANS_READ):
        uow.actor.require(Capability.PLANS_READ)


async def plan_for_writing(uow: UnitOfWork, plan_id: str, version: int | None = None) -> Plan:
    """The plan, locked, which is still at `version` (None: at any): one change of its versions at a time.

    Raises Forbidden, NotFound and StaleVersion.
    """
    uow.actor.require(Capability.STAFF_PLANS_WRITE)
    plan = await uow.get(Plan, plan_id, lock=True)
    if plan is None:
        raise not_found("plan", plan_id)
    _require_version(plan, version)
    return plan


async def product_for_writing(uow: UnitOfWork, product_id: str, version: int | None = None) -> Product:
    """The product, locked. Raises as `plan_for_writing`."""
    uow.actor.require(Capability.STAFF_PLANS_WRITE)
    product = await uow.get(Product, product_id, lock=True)
    if product is None:
        raise not_found("product", product_id)
    _require_version(product, version)
    return product


async def version_for_writing(uow: UnitOfWork, version_id: str, version: int | None) -> PlanVersion:
    """A version of a plan, both locked, which is still at `version` (None: at any).

    Raises Forbidden, NotFound and StaleVersion.
    """
    uow.actor.require(Capability.STAFF_PLANS_WRITE)
    found = await uow.get(PlanVersion, version_id)
    if found is None:
        raise not_found("version of a plan", version_id)
    await plan_for_writing(uow, found.plan_id)
    row = await uow.get(PlanVersion, version_id, lock=True)
    if row is None:
        raise not_found("version of a plan", version_id)
    _require_version(row, version)
    return row


def _require_version(row: Product | Plan | PlanVersion, version: int | None) -> None:
    if version is not None and row.version != version:
        raise StaleVersion(
            "Somebody changed this meanwhile.", next_step="Load it again and repeat your change."
        )


async def coupon_for_writing(uow: UnitOfWork, coupon_id: str) -> CouponOffer:
    """The coupon, locked. Raises Forbidden and NotFound."""
    uow.actor.require(Capability.STAFF_PLANS_WRITE)
    coupon = await uow.get(CouponOffer, coupon_id, lock=True)
    if coupon is None:
        raise not_found("coupon", coupon_id)
    return coupon
