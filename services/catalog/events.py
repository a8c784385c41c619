"""What happens to the price book."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from services.core.events import DomainEvent


class PriceSet(DomainEvent):
    type: ClassVar[str] = "price.set"

    model: str
    meter: str
    currency: str
    unit_amount: str  # exact decimal of the currency's major unit
    per_units: int
    valid_from: datetime


class ProductCreated(DomainEvent):
    type: ClassVar[str] = "product.created"

    slug: str
    name: str


class ProductRenamed(DomainEvent):
    type: ClassVar[str] = "product.renamed"

    name: str
    changed: list[str]


class PlanRenamed(DomainEvent):
    type: ClassVar[str] = "plan.renamed"

    name: str
    changed: list[str]


class PlanCreated(DomainEvent):
    type: ClassVar[str] = "plan.created"

    product_id: str
    slug: str
    name: str
    addon_to: list[str]


class PlanOfferSet(DomainEvent):
    """What is offered to those who would cancel: a coupon by its code, or nothing any more."""

    type: ClassVar[str] = "plan.offer_set"

    coupon: str


class PlanVersionDrafted(DomainEvent):
    """`copied_from` is the version whose terms it began with."""

    type: ClassVar[str] = "plan_version.drafted"

    plan_id: str
    number: int
    copied_from: str | None


class PlanVersionChanged(DomainEvent):
    type: ClassVar[str] = "plan_version.changed"

    plan_id: str
    number: int
    charges: int
    entitlements: int


class PlanVersionPublished(DomainEvent):
    """`replaces` is the version that was retired by it."""

    type: ClassVar[str] = "plan_version.published"

    plan_id: str
    number: int
    replaces: str | None


class PlanVersionRetired(DomainEvent):
    type: ClassVar[str] = "plan_version.retired"

    plan_id: str
    number: int


class CouponCreated(DomainEvent):
    type: ClassVar[str] = "coupon.created"

    code: str
    name: str
    rate: str | None  # exact decimal, "0.25" is 25 %
    amount_minor: int | None
    currency: str | None


class CouponArchived(DomainEvent):
    type: ClassVar[str] = "coupon.archived"

    code: str
