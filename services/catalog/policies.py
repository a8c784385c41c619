"""The way to rows of the catalogue: staff reaches all, everybody else what was published."""

from __future__ import annotations

from collections.abc import Mapping

from models.plans import CouponOffer, Plan, PlanVersion, Product
from services.catalog import events
from services.core.errors import not_found
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.identity.queries import changed_meanwhile

_CHANGES: Mapping[type[Product | Plan | PlanVersion], tuple[str, ...]] = {
    Product: (events.ProductRenamed.type,),
    Plan: (events.PlanRenamed.type, events.PlanOfferSet.type),
    PlanVersion: (
        events.PlanVersionChanged.type,
        events.PlanVersionPublished.type,
        events.PlanVersionRetired.type,
    ),
}


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
    await _require_version(uow, plan, version, what="plan")
    return plan


async def product_for_writing(uow: UnitOfWork, product_id: str, version: int | None = None) -> Product:
    """The product, locked. Raises as `plan_for_writing`."""
    uow.actor.require(Capability.STAFF_PLANS_WRITE)
    product = await uow.get(Product, product_id, lock=True)
    if product is None:
        raise not_found("product", product_id)
    await _require_version(uow, product, version, what="product")
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
    await _require_version(uow, row, version, what="version")
    return row


async def _require_version(
    uow: UnitOfWork, row: Product | Plan | PlanVersion, version: int | None, *, what: str
) -> None:
    if version is not None and row.version != version:
        raise await changed_meanwhile(uow, row.id, *_CHANGES[type(row)], what=what)


async def coupon_for_writing(uow: UnitOfWork, coupon_id: str) -> CouponOffer:
    """The coupon, locked. Raises Forbidden and NotFound."""
    uow.actor.require(Capability.STAFF_PLANS_WRITE)
    coupon = await uow.get(CouponOffer, coupon_id, lock=True)
    if coupon is None:
        raise not_found("coupon", coupon_id)
    return coupon
