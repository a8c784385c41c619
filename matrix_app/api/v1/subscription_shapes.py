"""Subscriptions in what callers send and get, and the acts that follow, for clients and for staff alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AwareDatetime, Field

from matrix_app.api.v1.preview_shapes import (
    ItemShown,
    PreviewShown,
    PreviewStepShown,
    ScheduledShown,
    UpcomingShown,
)
from matrix_app.api.v1.shape import Body, Exact, Instant, Shown
from models.plans import EntitlementKind
from models.subscriptions import CancelReason, Collection, Subscription, SubscriptionState
from models.types import BillingInterval, ProrationBehaviour
from services.billing import policies
from services.billing.discounts import Duration
from services.core.work import UnitOfWork
from services.subscriptions import previewing, subscriptions
from services.subscriptions import queries as subscription_queries
from services.subscriptions.arranging import AS_SOLD, Arrangement
from services.subscriptions.previewing import Act
from services.subscriptions.rules import ITEMS_MAX
from services.subscriptions.selecting import ADDONS_MAX, Wanted

QuantitiesGiven = Annotated[
    dict[str, Exact],
    Field(
        description="By the keys of what is sold by seats or pieces; left out: as few as can be",
        max_length=ITEMS_MAX,
        examples=[{"seats": "3"}],
    ),
]
Agreed = Annotated[
    int | None,
    Field(description="`total_minor` of the preview: refused with 409 if it would be another sum by now"),
]
At = Annotated[Instant | None, Field(description="`at` of the preview, within 15 minutes: billed as shown")]


class SubscriptionListed(Shown):
    id: str
    organization_id: str
    organization_name: str
    plan_id: str
    plan_name: str
    plan_version: int
    state: SubscriptionState
    currency: str
    interval: BillingInterval
    interval_count: int
    started_at: AwareDatetime
    trial_end: AwareDatetime | None
    next_at: AwareDatetime | None = Field(description="When something is billed or happens next")
    scheduled_at: AwareDatetime | None = Field(description="When a change comes that waits")
    cancel_at: AwareDatetime | None
    paused_at: AwareDatetime | None
    resume_at: AwareDatetime | None
    ended_at: AwareDatetime | None
    parked_reason: str | None = Field(description="Why it cannot be billed; it is tried again")
    created_at: AwareDatetime


class CouponTakenShown(Shown):
    id: str = Field(description="Of this use of the coupon, by which it is taken off")
    code: str
    name: str
    rate: Exact | None = Field(description='"0.25" is 25 %')
    amount_minor: int | None
    currency: str | None
    duration: Duration
    periods: int | None
    periods_used: int
    redeemed_at: AwareDatetime
    taken_minor: int = Field(description="What it took so far")


class SubscriptionShown(Shown):
    id: str
    organization_id: str
    state: SubscriptionState
    plan_id: str
    plan_name: str
    plan_version: int
    currency: str
    interval: BillingInterval
    interval_count: int
    timezone: str
    started_at: AwareDatetime
    trial_end: AwareDatetime | None
    period_end: AwareDatetime | None = Field(description="When what is paid for ends")
    next_at: AwareDatetime | None
    cancel_at: AwareDatetime | None
    canceled_at: AwareDatetime | None
    cancel_reason: CancelReason | None
    cancel_comment: str | None
    paused_at: AwareDatetime | None
    resume_at: AwareDatetime | None
    ended_at: AwareDatetime | None
    pay_until: AwareDatetime | None = Field(
        description="Until when its first invoice may be paid, else it ends"
    )
    collection: Collection = Field(description="Charged by themselves, or sent to be paid")
    payment_days: int | None = Field(
        description="To pay what is sent; null where the legal entity says it, or nothing is sent"
    )
    parked_reason: str | None
    needs_profile: bool = Field(
        description="Without a billing profile it is paused as its trial ends, or was: it goes on when there is one"
    )
    version: int
    items: list[ItemShown]
    scheduled: ScheduledShown | None
    coupons: list[CouponTakenShown]
    upcoming: UpcomingShown | None


class UsedSoFarShown(Shown):
    """What a metered price comes to in [since, until), before coupons and tax."""

    key: str
    name: str
    meter: str
    currency: str
    since: AwareDatetime
    until: AwareDatetime
    bills_at: AwareDatetime | None
    quantity: Exact
    amount_minor: int = Field(description="Rounded once")
    billed_before_minor: int = Field(
        description="What is billed already: of the time before a pause or another plan"
    )
    steps: list[PreviewStepShown]


class UsedListShown(Shown):
    data: list[UsedSoFarShown]


class PlanGiven(Body):
    """What it is to consist of. An add-on is a plan, by its id, with quantities of its own."""

    plan_id: str
    currency: str = Field("", description="The organisation's, or the subscription's, if left out")
    interval: BillingInterval = BillingInterval.MONTH
    interval_count: int = 1
    quantities: QuantitiesGiven = Field({})
    addons: dict[str, QuantitiesGiven] = Field({}, max_length=ADDONS_MAX)
    coupon: str = Field("", max_length=200, description="A code, taken before anything is billed")


class StartPreviewed(PlanGiven):
    """What would be started."""


class NewSubscription(PlanGiven):
    key: str | None = Field(None, description="The same key is the same act, for good; made up if left out")
    agreed_minor: Agreed = None


class OwnBehaviour(StrEnum):
    """When a change counts and is billed, of the ways that a customer may choose."""

    INVOICE_NOW = ProrationBehaviour.INVOICE_NOW.value
    NEXT_PERIOD = ProrationBehaviour.NEXT_PERIOD.value


class ChangePreviewed(PlanGiven):
    behaviour: OwnBehaviour | None = Field(
        None, description="More counts at once, less from the next period on, if left out"
    )


class Change(ChangePreviewed):
    at: At = None
    agreed_minor: Agreed = None


class StaffChangePreviewed(PlanGiven):
    behaviour: ProrationBehaviour | None = Field(
        None,
        description="As for customers if left out. `none` counts at once and bills nothing before the next period,"
        " `next_invoice` is billed with that, and `reset_cycle` begins a whole new period",
    )


class StaffChange(StaffChangePreviewed):
    at: At = None
    agreed_minor: Agreed = None


class CancelPreviewed(Body):
    at_once: bool = Field(False, description="Now, and not when what is paid for ends")
    cancel_at: Instant | None = Field(None, description="Or at a time of one's choosing")
    credits_unused: bool = Field(True, description="With `at_once`: credit what was paid for longer")


class Cancellation(CancelPreviewed):
    reason: CancelReason = CancelReason.OTHER
    comment: str = ""
    at: At = None
    agreed_minor: Agreed = None


class PausePreviewed(Body):
    resume_at: Instant | None = Field(None, description="Until it is resumed if left out")


class Pause(PausePreviewed):
    at: At = None
    agreed_minor: Agreed = None


class Resume(Body):
    at: At = None
    agreed_minor: Agreed = None


class Nothing(Body):
    """Nothing has to be said."""


class CouponGiven(Body):
    coupon: str = Field(max_length=200, description="Its code, in any case of its letters")


class EntitlementGivenShown(Shown):
    key: str
    name: str
    kind: EntitlementKind
    value: str = Field(description='Text of its kind: "true", "25", "by email"')


class EntitlementsShown(Shown):
    data: list[EntitlementGivenShown]


# -- what is done


async def wanted(uow: UnitOfWork, given: PlanGiven, *, of: str | None = None) -> Wanted:
    """What is asked for; `of` names the subscription whose currency is meant."""
    currency = given.currency
    if not currency and of is not None:
        row = await policies.subscription_for(uow, of, subscriptions.WRITE)
        currency = row.currency
    elif not currency:
        currency = (await policies.organization_of(uow)).currency
    named: dict[str, dict[str, Decimal]] = {key: dict(value) for key, value in given.addons.items()}
    return Wanted(
        given.plan_id, currency, given.interval.value, given.interval_count, dict(given.quantities), named
    )


def starting(given: PlanGiven, key: str, arranged: Arrangement = AS_SOLD) -> Act:
    async def act(uow: UnitOfWork) -> Subscription:
        asked, coupon = await wanted(uow, given), given.coupon.strip()
        return await subscriptions.start(uow, asked, key=key, coupon=coupon, arranged=arranged)

    return act


def changing(subscription_id: str, given: ChangePreviewed | StaffChangePreviewed, *, at: Any = None) -> Act:
    behaviour = None if given.behaviour is None else ProrationBehaviour(given.behaviour.value)

    async def act(uow: UnitOfWork) -> Subscription:
        if given.coupon.strip():
            await subscriptions.take_coupon(uow, subscription_id, given.coupon)
        asked = await wanted(uow, given, of=subscription_id)
        return await subscriptions.change(uow, subscription_id, asked, behaviour=behaviour, at=at)

    return act


def canceling(subscription_id: str, given: CancelPreviewed, **more: Any) -> Act:
    async def act(uow: UnitOfWork) -> Subscription:
        return await subscriptions.cancel(
            uow,
            subscription_id,
            now_at_once=given.at_once,
            cancel_at=given.cancel_at,
            credits_unused=given.credits_unused,
            **more,
        )

    return act


def pausing(subscription_id: str, given: PausePreviewed, *, at: Any = None) -> Act:
    return lambda uow: subscriptions.pause(uow, subscription_id, resume_at=given.resume_at, at=at)


def resuming(subscription_id: str, *, at: Any = None) -> Act:
    return lambda uow: subscriptions.resume(uow, subscription_id, at=at)


def taking(subscription_id: str, given: CouponGiven) -> Act:
    return lambda uow: subscriptions.take_coupon(uow, subscription_id, given.coupon)


async def looked_at(uow: UnitOfWork, act: Act, *, of: str | None = None) -> PreviewShown:
    return PreviewShown.model_validate(await previewing.preview(uow, act, of=of))


def done(act: Act, agreed_minor: int | None = None) -> Callable[[UnitOfWork], Awaitable[SubscriptionShown]]:
    async def effect(uow: UnitOfWork) -> SubscriptionShown:
        row = await previewing.agreed(uow, act, agreed_minor)
        return SubscriptionShown.model_validate(await subscription_queries.shown(uow, row))

    return effect
