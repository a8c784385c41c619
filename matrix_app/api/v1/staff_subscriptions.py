"""Subscriptions as staff sees and begins them: of all organisations, also in the past and by other terms."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields
from functools import partial
from typing import Annotated

from fastapi import Request, Response
from pydantic import Field

from matrix_app.api.deps import AnyCaller, Caller, staff_work
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.preview_shapes import PreviewShown
from matrix_app.api.v1.repeat import RepeatOnce
from matrix_app.api.v1.route import failures
from matrix_app.api.v1.shape import Body, Instant, resource
from matrix_app.api.v1.staff_invoices import within
from matrix_app.api.v1.subscription_shapes import (
    Cancellation,
    CancelPreviewed,
    CouponGiven,
    NewSubscription,
    Nothing,
    Pause,
    PausePreviewed,
    PlanGiven,
    Resume,
    StaffChange,
    StaffChangePreviewed,
    SubscriptionListed,
    SubscriptionShown,
    canceling,
    changing,
    done,
    looked_at,
    pausing,
    resuming,
    starting,
    taking,
)
from models.subscriptions import Collection, Subscription
from services.billing import policies
from services.catalog.plan_rules import TRIAL_DAYS_MAX
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.subscriptions import collecting, subscriptions
from services.subscriptions import queries as subscription_queries
from services.subscriptions.arranging import Arrangement
from services.subscriptions.payment_terms import PAYMENT_DAYS_MAX
from services.subscriptions.previewing import Act

router = resource("staff", prefix="/staff")

READ, WRITE = Capability.STAFF_SUBSCRIPTIONS_READ, Capability.STAFF_SUBSCRIPTIONS_WRITE


PaymentDays = Annotated[
    int | None,
    Field(
        ge=0,
        le=PAYMENT_DAYS_MAX,
        description="To pay what is sent; as the legal entity has it if left out",
    ),
]


class CollectionGiven(Body):
    collection: Collection
    payment_days: PaymentDays = None


class StaffStartPreviewed(PlanGiven):
    organization_id: str
    started_at: Instant | None = Field(
        None, description="Now if left out; at most three years ago, or two to come"
    )
    trial_days: int | None = Field(None, ge=0, le=TRIAL_DAYS_MAX, description="The plan's if left out")
    anchor: Instant | None = Field(
        None, description="What periods are counted from: where billing begins if left out"
    )
    plan_version: int | None = Field(
        None,
        description="By its number, also one that is sold no more; the one sold if left out",
    )
    collection: Collection | None = Field(
        None, description="`send`: invoices are sent to be paid. Charged by themselves if left out"
    )
    payment_days: PaymentDays = None


class StaffSubscription(StaffStartPreviewed, NewSubscription):
    pass


@asynccontextmanager
async def at(who: Caller, subscription_id: str, needs: Capability) -> AsyncIterator[UnitOfWork]:
    """Staff at work on a subscription, in its organisation and by its clock."""
    async with staff_work(who, needs) as uow:
        organization_id = await subscription_queries.organization_of(uow, subscription_id)
    async with within(who, organization_id, needs) as uow:
        yield uow


def _arranged(body: StaffStartPreviewed) -> Arrangement:
    return Arrangement(**{one.name: getattr(body, one.name) for one in fields(Arrangement)})


@router.get("/subscriptions", **listed(subscription_queries.STAFF_SUBSCRIPTIONS, SubscriptionListed))
async def list_all_subscriptions(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """Subscriptions of all organisations, the latest first."""
    work = partial(staff_work, who, READ)
    listing = subscription_queries.STAFF_SUBSCRIPTIONS
    return await answer(request, listing, SubscriptionListed, asked, work)


@router.post("/subscriptions", status_code=201, response_model=SubscriptionShown, responses=failures(404))
async def start_for_organization(who: AnyCaller, body: StaffSubscription, repeat: RepeatOnce) -> Response:
    """Subscribe an organisation to a plan. One that began in the past is billed for all periods since, and one that is
    to begin later is `scheduled` until then."""
    effect = done(starting(body, body.key or new_id("sub"), _arranged(body)), body.agreed_minor)
    return await repeat.once(within(who, body.organization_id, WRITE), effect, owner=who.actor.id)


@router.post("/subscriptions/preview", responses=failures(404))
async def preview_start_for_organization(who: AnyCaller, body: StaffStartPreviewed) -> PreviewShown:
    """What subscribing an organisation would come to."""
    async with within(who, body.organization_id, WRITE) as uow:
        return await looked_at(uow, starting(body, new_id("sub"), _arranged(body)))


@router.get("/subscriptions/{subscription_id}")
async def get_any_subscription(who: AnyCaller, subscription_id: str) -> SubscriptionShown:
    """One subscription of any organisation."""
    async with at(who, subscription_id, READ) as uow:
        found = await subscription_queries.detail(uow, subscription_id, staff=True)
        return SubscriptionShown.model_validate(found)


async def _act(
    who: Caller, subscription_id: str, repeat: RepeatOnce, act: Act, agreed_minor: int | None = None
) -> Response:
    effect = done(act, agreed_minor)
    return await repeat.once(at(who, subscription_id, WRITE), effect, owner=who.actor.id, status=200)


async def _preview(who: Caller, subscription_id: str, act: Act) -> PreviewShown:
    async with at(who, subscription_id, WRITE) as uow:
        return await looked_at(uow, act, of=subscription_id)


@router.post("/subscriptions/{subscription_id}/cancel", response_model=SubscriptionShown)
async def cancel_for_organization(
    who: AnyCaller, subscription_id: str, body: Cancellation, repeat: RepeatOnce
) -> Response:
    """End a subscription for its organisation: when what is paid for ends, at a time, or at once."""
    said = {"reason": body.reason, "comment": body.comment, "at": body.at}
    return await _act(
        who, subscription_id, repeat, canceling(subscription_id, body, **said), body.agreed_minor
    )


@router.post("/subscriptions/{subscription_id}/cancel/preview")
async def preview_cancel_for_organization(
    who: AnyCaller, subscription_id: str, body: CancelPreviewed
) -> PreviewShown:
    """What ending it would come to."""
    return await _preview(who, subscription_id, canceling(subscription_id, body))


@router.post("/subscriptions/{subscription_id}/pause", response_model=SubscriptionShown)
async def pause_for_organization(
    who: AnyCaller, subscription_id: str, body: Pause, repeat: RepeatOnce
) -> Response:
    """Give and bill nothing from now on. What was paid for longer is credited."""
    act = pausing(subscription_id, body, at=body.at)
    return await _act(who, subscription_id, repeat, act, body.agreed_minor)


@router.post("/subscriptions/{subscription_id}/pause/preview")
async def preview_pause_for_organization(
    who: AnyCaller, subscription_id: str, body: PausePreviewed
) -> PreviewShown:
    """What pausing would come to."""
    return await _preview(who, subscription_id, pausing(subscription_id, body))


@router.post("/subscriptions/{subscription_id}/resume", response_model=SubscriptionShown)
async def resume_for_organization(
    who: AnyCaller, subscription_id: str, body: Resume, repeat: RepeatOnce
) -> Response:
    """Go on: the rest of the period that is passing is billed."""
    act = resuming(subscription_id, at=body.at)
    return await _act(who, subscription_id, repeat, act, body.agreed_minor)


@router.post("/subscriptions/{subscription_id}/resume/preview")
async def preview_resume_for_organization(
    who: AnyCaller, subscription_id: str, body: Nothing
) -> PreviewShown:
    """What resuming would come to."""
    return await _preview(who, subscription_id, resuming(subscription_id))


@router.post("/subscriptions/{subscription_id}/reactivate", response_model=SubscriptionShown)
async def reactivate_for_organization(
    who: AnyCaller, subscription_id: str, body: Nothing, repeat: RepeatOnce
) -> Response:
    """Let one go on that was cancelled and has not ended."""
    return await _act(
        who, subscription_id, repeat, lambda uow: subscriptions.reactivate(uow, subscription_id)
    )


@router.post("/subscriptions/{subscription_id}/coupons", response_model=SubscriptionShown)
async def take_coupon_for_organization(
    who: AnyCaller, subscription_id: str, body: CouponGiven, repeat: RepeatOnce
) -> Response:
    """Have a coupon work from the next invoice on."""
    return await _act(who, subscription_id, repeat, taking(subscription_id, body))


@router.post("/subscriptions/{subscription_id}/coupons/preview")
async def preview_coupon_for_organization(
    who: AnyCaller, subscription_id: str, body: CouponGiven
) -> PreviewShown:
    """What the next invoice would be with a coupon."""
    return await _preview(who, subscription_id, taking(subscription_id, body))


@router.delete("/subscriptions/{subscription_id}/coupons/{redemption_id}")
async def take_coupon_off_for_organization(
    who: AnyCaller, subscription_id: str, redemption_id: str
) -> SubscriptionShown:
    """Have a coupon work no more. What it took stays taken."""
    async with at(who, subscription_id, WRITE) as uow:
        await subscriptions.take_coupon_off(uow, subscription_id, redemption_id)
        row = await policies.subscription_for(uow, subscription_id, subscriptions.WRITE)
        return SubscriptionShown.model_validate(await subscription_queries.shown(uow, row))


@router.post("/subscriptions/{subscription_id}/change", response_model=SubscriptionShown)
async def change_for_organization(
    who: AnyCaller, subscription_id: str, body: StaffChange, repeat: RepeatOnce
) -> Response:
    """Have a subscription consist of something else, billed in any of the ways there are."""
    act = changing(subscription_id, body, at=body.at)
    return await _act(who, subscription_id, repeat, act, body.agreed_minor)


@router.post("/subscriptions/{subscription_id}/change/preview")
async def preview_change_for_organization(
    who: AnyCaller, subscription_id: str, body: StaffChangePreviewed
) -> PreviewShown:
    """What a change would come to."""
    return await _preview(who, subscription_id, changing(subscription_id, body))


@router.post("/subscriptions/{subscription_id}/collection", response_model=SubscriptionShown)
async def collect_for_organization(
    who: AnyCaller, subscription_id: str, body: CollectionGiven, repeat: RepeatOnce
) -> Response:
    """Have its invoices be charged by themselves, or sent to be paid within some days from now on."""

    async def act(uow: UnitOfWork) -> Subscription:
        return await collecting.collect(uow, subscription_id, body.collection, payment_days=body.payment_days)

    return await _act(who, subscription_id, repeat, act)


@router.delete("/subscriptions/{subscription_id}/scheduled-change")
async def cancel_change_for_organization(who: AnyCaller, subscription_id: str) -> SubscriptionShown:
    """Let the change that waits not come, also where it is a move to a newer version."""
    async with at(who, subscription_id, WRITE) as uow:
        row = await subscriptions.unschedule(uow, subscription_id)
        return SubscriptionShown.model_validate(await subscription_queries.shown(uow, row))
