"""The catalogue that subscriptions are sold from: products, plans in versions, what they charge, and coupons.

It belongs to the operator and to no organisation. A version is written as a draft and never changed once published
(triggers hold it), so that whoever subscribed to it can be billed and shown what was agreed.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlmodel import Field

from models.base import Table, check, id_field, instant, reference
from models.types import AMOUNT, BIG, ID, QUANTITY, TEXT

JSONB: Any = postgresql.JSONB()
TEXTS: Any = postgresql.ARRAY(sa.Text())


class VersionState(StrEnum):
    """Published versions are sold, at most one of a plan; retired ones only go on for those who have them."""

    DRAFT = "draft"
    PUBLISHED = "published"
    RETIRED = "retired"


class PaymentTime(StrEnum):
    """When a plan begins."""

    AFTER = "after"  # at once; its first invoice is paid when it is due
    BEFORE = "before"  # once its first invoice is paid


class ChargeKind(StrEnum):
    """Where the quantity of a charge comes from."""

    FLAT = "flat"  # it has none
    SEAT = "seat"  # whoever subscribes chooses it
    METERED = "metered"  # a meter counts it
    ONE_OFF = "one_off"  # chosen, and charged with the first invoice only


class ChargeTiming(StrEnum):
    ADVANCE = "advance"  # at the start of each billing period
    ARREARS = "arrears"  # at its end


class EntitlementKind(StrEnum):
    FLAG = "flag"
    NUMBER = "number"
    TEXT = "text"


class Product(Table, table=True):
    """What plans are plans of. `slug` never changes."""

    __tablename__ = "product"

    id: str = id_field()
    slug: str = Field(sa_type=ID, unique=True)
    name: str
    description: str = Field(default="", sa_type=TEXT)
    created_by: str | None = reference("account.id", nullable=True)
    created_at: datetime = instant()
    version: int = Field(default=1, sa_column_kwargs={"server_default": "1"})


class Plan(Table, table=True):
    """One way to buy a product. `addon_to` names the plans that it can be added to; empty for a plan of its own.
    Whoever is about to cancel it is offered the coupon `retention_coupon_id`, in the words of `retention_text`."""

    __tablename__ = "plan"
    __table_args__ = (sa.Index("ix_plan_product_id", "product_id", "slug"),)

    id: str = id_field()
    product_id: str = reference("product.id")
    slug: str = Field(sa_type=ID, unique=True)
    name: str
    description: str = Field(default="", sa_type=TEXT)
    addon_to: list[str] = Field(default=[], sa_type=TEXTS)
    retention_coupon_id: str | None = reference("coupon.id", nullable=True)
    retention_text: str = Field(default="", sa_type=TEXT, sa_column_kwargs={"server_default": ""})
    created_by: str | None = reference("account.id", nullable=True)
    created_at: datetime = instant()
    version: int = Field(default=1, sa_column_kwargs={"server_default": "1"})  # of names and offer


class PlanVersion(Table, table=True):
    """What a plan charges and gives from its publication on. At most one of a plan is a draft, one published."""

    __tablename__ = "plan_version"
    __table_args__ = (
        sa.UniqueConstraint("plan_id", "number"),
        sa.Index(
            "uq_plan_version_draft", "plan_id", unique=True, postgresql_where=sa.text("state = 'draft'")
        ),
        sa.Index(
            "uq_plan_version_published",
            "plan_id",
            unique=True,
            postgresql_where=sa.text("state = 'published'"),
        ),
        check("number >= 1", "number"),
        check("state in ('draft','published','retired')", "state"),
        check("trial_days between 0 and 730", "trial_days"),
        check("payment in ('after','before')", "payment"),
        check("(published_at is null) = (state = 'draft')", "published"),
        check("(retired_at is not null) = (state = 'retired')", "retired"),
    )

    id: str = id_field()
    plan_id: str = reference("plan.id")
    number: int
    state: str = VersionState.DRAFT
    trial_days: int = 0
    tax_code: str = Field(default="software", sa_type=ID)  # what a tax engine is told of it
    payment: str = Field(
        default=PaymentTime.AFTER.value,
        sa_type=ID,
        sa_column_kwargs={"server_default": PaymentTime.AFTER.value},
    )
    created_by: str | None = reference("account.id", nullable=True)
    created_at: datetime = instant()
    published_at: datetime | None = instant(nullable=True)
    retired_at: datetime | None = instant(nullable=True)
    version: int = 1


class PlanCharge(Table, table=True):
    """One price of a plan version: what `key` costs in one currency for one billing interval.

    `definition` is the charge as services/catalog/charge_json.py writes it, free units included. A one-off charge
    has no interval and goes with each of its currency. `quantity_min` and `quantity_max` bound what may be chosen of
    seats and one-offs. `included_credits`, in major units, come to the wallet with each whole period, for each seat,
    and are there for usage in it. Whether the tax is in the price or comes on top is `tax_inclusive`.
    """

    __tablename__ = "plan_charge"
    __table_args__ = (
        sa.UniqueConstraint("plan_version_id", "position"),
        sa.UniqueConstraint(
            "plan_version_id",
            "key",
            "currency",
            "interval",
            "interval_count",
            name="uq_plan_charge_price",
            postgresql_nulls_not_distinct=True,
        ),
        check("kind in ('flat','seat','metered','one_off')", "kind"),
        check("(meter is not null) = (kind = 'metered')", "meter"),
        check("timing in ('advance','arrears')", "timing"),
        check("interval in ('day','week','month','quarter','half_year','year')", "interval"),
        check("(interval is null) = (kind = 'one_off')", "recurs"),
        check("interval_count >= 1", "interval_count"),
        check("proration in ('second','minute','day','fixed_30')", "proration"),
        check("quantity_min >= 0 and quantity_max >= quantity_min", "quantity"),
        check(
            "included_credits >= 0 and (included_credits = 0 or (kind in ('flat','seat') and timing = 'advance'))",
            "included_credits",
        ),
    )

    id: str = id_field()
    plan_version_id: str = reference("plan_version.id")
    position: int
    key: str = Field(sa_type=ID)
    name: str
    kind: str
    meter: str | None = Field(default=None, sa_type=ID, nullable=True)  # slug of a platform meter
    currency: str
    interval: str | None = Field(default=None, nullable=True)
    interval_count: int = 1
    timing: str
    proration: str
    definition: dict[str, Any] = Field(sa_type=JSONB)
    quantity_min: Decimal = Field(default=Decimal(0), sa_type=QUANTITY)
    quantity_max: Decimal | None = Field(default=None, sa_type=QUANTITY, nullable=True)
    included_credits: Decimal = Field(
        default=Decimal(0), sa_type=AMOUNT, sa_column_kwargs={"server_default": sa.text("0")}
    )
    tax_inclusive: bool = Field(default=False, sa_column_kwargs={"server_default": sa.text("false")})


class PlanEntitlement(Table, table=True):
    """What a plan version gives: `key` is the feature. `value` is text of its kind: "true", "25", "by email"."""

    __tablename__ = "plan_entitlement"
    __table_args__ = (
        sa.UniqueConstraint("plan_version_id", "position"),
        check("kind in ('flag','number','text')", "kind"),
    )

    plan_version_id: str = Field(primary_key=True, sa_type=ID, foreign_key="plan_version.id")
    key: str = Field(primary_key=True, sa_type=ID)
    position: int
    name: str
    kind: str
    value: str = Field(sa_type=TEXT)


class CouponOffer(Table, table=True):
    """A coupon as staff offers it; services/billing/discounts.py says what it does. Its terms never change.

    `code_key` is the folded code by which it is found. `plans` are ids of plans, `meters` slugs; at most one of the
    two is not empty. `redeemed` counts the organisations that took it.
    """

    __tablename__ = "coupon"
    __table_args__ = (
        sa.Index("ix_coupon_created_at", "created_at", "id"),
        check("(rate is null) <> (amount_minor is null)", "amount"),
        check("(currency is null) = (amount_minor is null)", "currency"),
        check("rate > 0 and rate <= 1", "rate"),
        check("amount_minor > 0", "amount_minor"),
        check("duration in ('once','periods','forever')", "duration"),
        check("(periods is not null) = (duration = 'periods')", "periods"),
        check("plans = '{}' or meters = '{}'", "limited_to"),
        check("redeemed >= 0 and (redemptions_max is null or redeemed <= redemptions_max)", "redeemed"),
    )

    id: str = id_field()
    code: str
    code_key: str = Field(sa_type=ID, unique=True)
    name: str
    rate: Decimal | None = Field(default=None, sa_type=AMOUNT, nullable=True)
    amount_minor: int | None = Field(default=None, sa_type=BIG, nullable=True)
    currency: str | None = None
    duration: str = "once"
    periods: int | None = None
    meters: list[str] = Field(default=[], sa_type=TEXTS)
    plans: list[str] = Field(default=[], sa_type=TEXTS)
    expires_at: datetime | None = instant(nullable=True)
    redemptions_max: int | None = None
    redeemed: int = 0
    created_by: str | None = reference("account.id", nullable=True)
    created_at: datetime = instant()
    archived_at: datetime | None = instant(nullable=True)
