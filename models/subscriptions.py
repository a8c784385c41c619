"""Who is billed for what, again and again: subscriptions, their items, and the coupons they took."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from models.base import Table, check, id_field, instant, personal, reference
from models.types import BIG, ID, QUANTITY, TEXT

_JSON_OR_NULL: Any = JSONB(none_as_null=True)


class SubscriptionState(StrEnum):
    """services/subscriptions/states.py says what may become of each."""

    SCHEDULED = "scheduled"  # begins at `started_at`, which is to come
    INCOMPLETE = "incomplete"  # begins once its first invoice is paid
    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"  # an invoice of it is overdue
    PAUSED = "paused"  # nothing is given and nothing billed
    CANCELED = "canceled"  # goes on until `cancel_at` and may be taken up again
    ENDED = "ended"


class Collection(StrEnum):
    """How its invoices are paid."""

    CHARGE = "charge"  # by themselves, from a method that is kept
    SEND = "send"  # by whoever gets them


class CancelReason(StrEnum):
    TOO_EXPENSIVE = "too_expensive"
    MISSING_FEATURES = "missing_features"
    SWITCHED = "switched"
    UNUSED = "unused"
    SERVICE = "service"
    QUALITY = "quality"
    TOO_COMPLEX = "too_complex"
    OTHER = "other"


class Subscription(Table, table=True):
    """One plan of one organisation, with its add-ons.

    Periods are counted from `anchor` on the clocks of `timezone`. `next_at` is when something is to be done next: a
    period is billed, a trial ends, a change or the end comes; null when nothing ever will. `tried` says what the trial
    gave free: a meter, `since` when, and `until` when, null for its end. `scheduled` is the change that comes at
    `scheduled_at`. An account in an impossible state is parked: with `parked_reason`, to be tried again
    at `retry_at`.
    """

    __tablename__ = "subscription"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.UniqueConstraint("organization_id", "key"),
        check(
            "state in ('scheduled','incomplete','trialing','active','past_due','paused','canceled','ended')",
            "state",
        ),
        check("interval in ('day','week','month','quarter','half_year','year')", "interval"),
        check("(scheduled is null) = (scheduled_at is null)", "scheduled"),
        check("(state = 'ended') = (ended_at is not null)", "ended"),
        check("state <> 'canceled' or cancel_at is not null", "cancel_at"),
        check("(parked_reason is null) = (parked_at is null)", "parked"),
        check("state <> 'incomplete' or pay_until is not null", "pay_until"),
        check("collection in ('charge','send')", "collection"),
        check(
            "payment_days is null or (collection = 'send' and payment_days between 0 and 365)", "payment_days"
        ),
        sa.Index("ix_subscription_organization_id", "organization_id", "created_at", "id"),
        sa.Index("ix_subscription_created_at", "created_at", "id"),
        sa.Index("ix_subscription_plan_version_id", "plan_version_id", "id"),
        # What the billing run takes next. Those that are parked wait for their own hour.
        sa.Index(
            "ix_subscription_next_at",
            "next_at",
            "id",
            postgresql_where=sa.text("next_at is not null and parked_at is null"),
        ),
        sa.Index(
            "ix_subscription_parked_at", "parked_at", "id", postgresql_where=sa.text("parked_at is not null")
        ),
        sa.Index(
            "ix_subscription_retry_at", "retry_at", "id", postgresql_where=sa.text("parked_at is not null")
        ),
        sa.Index("ix_subscription_past_due", "id", postgresql_where=sa.text("state = 'past_due'")),
    )

    id: str = id_field()
    organization_id: str = reference("organization.id")
    key: str = Field(sa_type=ID)  # the same act starts the same subscription, however often it is tried
    state: str = Field(sa_type=ID)
    plan_id: str = reference("plan.id")
    plan_version_id: str = reference("plan_version.id")
    currency: str = Field(sa_type=ID)
    interval: str = Field(sa_type=ID)
    interval_count: int = 1
    timezone: str
    anchor: datetime = instant()
    started_at: datetime = instant()
    trial_end: datetime | None = instant(nullable=True)
    tried: list[dict[str, Any]] = Field(default=[], sa_type=JSONB)
    next_at: datetime | None = instant(nullable=True)
    scheduled: dict[str, Any] | None = Field(default=None, sa_type=_JSON_OR_NULL, nullable=True)
    scheduled_at: datetime | None = instant(nullable=True)
    cancel_at: datetime | None = instant(nullable=True)
    canceled_at: datetime | None = instant(nullable=True)
    cancel_reason: str | None = Field(default=None, sa_type=ID, nullable=True)
    cancel_comment: str | None = personal(default=None, sa_type=TEXT, nullable=True)
    paused_at: datetime | None = instant(nullable=True)
    resume_at: datetime | None = instant(nullable=True)
    ended_at: datetime | None = instant(nullable=True)
    invoices: int = 0  # made so far
    parked_at: datetime | None = instant(nullable=True)
    parked_reason: str | None = Field(default=None, sa_type=TEXT, nullable=True)
    attempts: int = 0
    retry_at: datetime | None = instant(nullable=True)
    pay_until: datetime | None = instant(
        nullable=True
    )  # of one that waits for its first payment: else it ends
    collection: str = Field(
        default=Collection.CHARGE.value, sa_type=ID, sa_column_kwargs={"server_default": "charge"}
    )
    payment_days: int | None = None  # to pay what is sent; by the legal entity if null
    offer_taken_at: datetime | None = instant(nullable=True)  # what its plan offers to those who would cancel
    created_by: str | None = Field(default=None, sa_type=ID, nullable=True)
    created_at: datetime = instant()
    version: int = 1


class SubscriptionItem(Table, table=True):
    """One price of a subscription and how much of it is taken.

    `slot` is the key of the price in its plan, after the plan's id for an add-on: a change of plan finds the item it
    changes by it. Billed is everything before `billed_until`; null while nothing is. `live_line_id` is the invoice
    line that paid for the time now passing, `undoable` what credits of the last change can be taken back.
    """

    __tablename__ = "subscription_item"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.UniqueConstraint("subscription_id", "slot"),
        check("number > 0", "number"),
        check("quantity >= 0", "quantity"),
        sa.Index("ix_subscription_item_price_id", "price_id"),
    )

    subscription_id: str = Field(primary_key=True, sa_type=ID, foreign_key="subscription.id")
    number: int = Field(primary_key=True)
    organization_id: str = reference("organization.id")
    slot: str = Field(sa_type=ID)
    plan_id: str = reference("plan.id")
    price_id: str = reference("plan_charge.id")
    quantity: Decimal = Field(sa_type=QUANTITY)
    billed_until: datetime | None = instant(nullable=True)
    live_line_id: str | None = Field(default=None, sa_type=ID, nullable=True)
    undoable: list[dict[str, Any]] = Field(default=[], sa_type=JSONB)
    lines: int = 0  # made so far; the next one has this number in its key
    ended_at: datetime | None = instant(nullable=True)


class CouponRedemption(Table, table=True):
    """A coupon that a subscription took. It works until it has run out, or was taken off."""

    __tablename__ = "coupon_redemption"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.Index(
            "uq_coupon_redemption",
            "subscription_id",
            "coupon_id",
            unique=True,
            postgresql_where=sa.text("removed_at is null"),
        ),
        sa.Index("ix_coupon_redemption_coupon_id", "coupon_id", "id"),
    )

    id: str = id_field()
    organization_id: str = reference("organization.id")
    subscription_id: str = reference("subscription.id")
    coupon_id: str = reference("coupon.id")
    redeemed_at: datetime = instant()
    removed_at: datetime | None = instant(nullable=True)


class CouponUse(Table, table=True):
    """What a redemption did on one invoice, for the billing period that began at `period_start`: of `base_minor` it
    took `taken_minor`. Both are negative where an invoice gives back what an earlier one had charged."""

    __tablename__ = "coupon_use"
    tenant_column: ClassVar[str | None] = "organization_id"

    redemption_id: str = Field(primary_key=True, sa_type=ID, foreign_key="coupon_redemption.id")
    invoice_id: str = Field(primary_key=True, sa_type=ID, foreign_key="invoice.id")
    organization_id: str = reference("organization.id")
    period_start: datetime = instant()
    base_minor: int = Field(sa_type=BIG)
    taken_minor: int = Field(sa_type=BIG)


class BillingRun(Table, table=True):
    """One pass over what was due. A run that was cut off has no end; what it left is in the next one.

    Of `due` that it found, `billed` went well and `parked` could not be billed; others were done by somebody else.
    """

    __tablename__ = "billing_run"
    __table_args__ = (
        check("due >= 0 and billed >= 0 and parked >= 0", "counts"),
        sa.Index("ix_billing_run_started_at", "started_at", "id"),
    )

    id: str = id_field()
    worker: str  # host and process
    started_at: datetime = instant()
    seen_at: datetime = instant()  # when it last said how far it is
    ended_at: datetime | None = instant(nullable=True)
    due: int = 0
    billed: int = 0
    parked: int = 0
