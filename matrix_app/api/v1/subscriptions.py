"""Subscriptions: what one has, what each act would come to, and the acts, for exactly what was shown."""

from __future__ import annotations

from fastapi import Request, Response

from matrix_app.api.deps import Member
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.preview_shapes import CancelPreviewShown, OfferShown, PreviewShown
from matrix_app.api.v1.repeat import RepeatOnce
from matrix_app.api.v1.route import failures
from matrix_app.api.v1.shape import resource
from matrix_app.api.v1.subscription_shapes import (
    Cancellation,
    CancelPreviewed,
    Change,
    ChangePreviewed,
    CouponGiven,
    EntitlementGivenShown,
    EntitlementsShown,
    NewSubscription,
    Nothing,
    Pause,
    PausePreviewed,
    Resume,
    StartPreviewed,
    SubscriptionListed,
    SubscriptionShown,
    UsedListShown,
    UsedSoFarShown,
    canceling,
    changing,
    done,
    looked_at,
    pausing,
    resuming,
    starting,
    taking,
)
from services.billing import policies
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.work import unit_of_work
from services.subscriptions import entitlements, retention, subscriptions
from services.subscriptions import queries as subscription_queries
from services.subscriptions.previewing import Act
from services.subscriptions.usage_so_far import used_so_far

router = resource("subscriptions")


async def _preview(who: Member, act: Act, *, of: str | None = None) -> PreviewShown:
    async with unit_of_work(who.actor) as uow:
        return await looked_at(uow, act, of=of)


async def _act(
    who: Member, repeat: RepeatOnce, act: Act, agreed_minor: int | None = None, *, status: int = 200
) -> Response:
    effect = done(act, agreed_minor)
    return await repeat.once(
        unit_of_work(who.actor), effect, owner=who.actor.organization_id or "", status=status
    )


@router.get("/subscriptions", **listed(subscription_queries.SUBSCRIPTIONS, SubscriptionListed))
async def list_subscriptions(request: Request, who: Member, asked: Asked) -> Answer:
    """Subscriptions of the organisation, the latest first."""
    listing = subscription_queries.SUBSCRIPTIONS
    return await answer(request, listing, SubscriptionListed, asked, lambda: unit_of_work(who.actor))


@router.post("/subscriptions", status_code=201, response_model=SubscriptionShown, responses=failures(404))
async def start_subscription(who: Member, body: NewSubscription, repeat: RepeatOnce) -> Response:
    """Subscribe to a plan; its first period is billed at once, or after its trial."""
    act = starting(body, body.key or new_id("sub"))
    return await _act(who, repeat, act, body.agreed_minor, status=201)


@router.post("/subscriptions/preview", responses=failures(404))
async def preview_start(who: Member, body: StartPreviewed) -> PreviewShown:
    """What subscribing would come to: every document with its lines, why, tax, and what comes next."""
    return await _preview(who, starting(body, new_id("sub")))


@router.get("/subscriptions/{subscription_id}")
async def get_subscription(who: Member, subscription_id: str) -> SubscriptionShown:
    """One subscription with its items, coupons and what comes next."""
    async with unit_of_work(who.actor) as uow:
        return SubscriptionShown.model_validate(await subscription_queries.detail(uow, subscription_id))


@router.get("/subscriptions/{subscription_id}/usage")
async def get_subscription_usage(who: Member, subscription_id: str) -> UsedListShown:
    """What its metered prices come to so far in the period that is passing, as its end will bill them."""
    async with unit_of_work(who.actor) as uow:
        found = await used_so_far(uow, subscription_id)
    return UsedListShown(data=[UsedSoFarShown.model_validate(one) for one in found])


@router.post("/subscriptions/{subscription_id}/change", response_model=SubscriptionShown)
async def change_subscription(
    who: Member, subscription_id: str, body: Change, repeat: RepeatOnce
) -> Response:
    """Have it consist of something else: another plan, other quantities, add-ons. All of it is said anew."""
    return await _act(who, repeat, changing(subscription_id, body, at=body.at), body.agreed_minor)


@router.post("/subscriptions/{subscription_id}/change/preview")
async def preview_change(who: Member, subscription_id: str, body: ChangePreviewed) -> PreviewShown:
    """What a change would come to."""
    return await _preview(who, changing(subscription_id, body), of=subscription_id)


@router.delete("/subscriptions/{subscription_id}/scheduled-change")
async def cancel_scheduled_change(who: Member, subscription_id: str) -> SubscriptionShown:
    """Let the change that waits not come."""
    async with unit_of_work(who.actor) as uow:
        row = await subscriptions.unschedule(uow, subscription_id)
        return SubscriptionShown.model_validate(await subscription_queries.shown(uow, row))


@router.post("/subscriptions/{subscription_id}/cancel", response_model=SubscriptionShown)
async def cancel_subscription(
    who: Member, subscription_id: str, body: Cancellation, repeat: RepeatOnce
) -> Response:
    """End it when what is paid for ends, at a time, or at once."""
    said = {"reason": body.reason, "comment": body.comment, "at": body.at}
    return await _act(who, repeat, canceling(subscription_id, body, **said), body.agreed_minor)


@router.post("/subscriptions/{subscription_id}/cancel/preview")
async def preview_cancel(who: Member, subscription_id: str, body: CancelPreviewed) -> CancelPreviewShown:
    """What cancelling would come to: credits, usage that is billed, and what is offered for staying."""
    async with unit_of_work(who.actor) as uow:
        shown = await looked_at(uow, canceling(subscription_id, body), of=subscription_id)
        offered = await retention.offer(uow, subscription_id)
    offer = OfferShown.model_validate(offered) if offered is not None else None
    return CancelPreviewShown.model_validate({**dict(shown), "offer": offer})


@router.post(
    "/subscriptions/{subscription_id}/accept-offer",
    response_model=SubscriptionShown,
    responses=failures(404, 409),
)
async def accept_offer(who: Member, subscription_id: str, body: CouponGiven, repeat: RepeatOnce) -> Response:
    """Take the offer that the preview of cancelling shows, and stay."""
    return await _act(who, repeat, lambda uow: retention.accept(uow, subscription_id, body.coupon))


@router.post("/subscriptions/{subscription_id}/pause", response_model=SubscriptionShown)
async def pause_subscription(who: Member, subscription_id: str, body: Pause, repeat: RepeatOnce) -> Response:
    """Give and bill nothing from now on. What was paid for longer is credited."""
    return await _act(who, repeat, pausing(subscription_id, body, at=body.at), body.agreed_minor)


@router.post("/subscriptions/{subscription_id}/pause/preview")
async def preview_pause(who: Member, subscription_id: str, body: PausePreviewed) -> PreviewShown:
    """What pausing would come to."""
    return await _preview(who, pausing(subscription_id, body), of=subscription_id)


@router.post("/subscriptions/{subscription_id}/resume", response_model=SubscriptionShown)
async def resume_subscription(
    who: Member, subscription_id: str, body: Resume, repeat: RepeatOnce
) -> Response:
    """Go on: the rest of the period that is passing is billed."""
    return await _act(who, repeat, resuming(subscription_id, at=body.at), body.agreed_minor)


@router.post("/subscriptions/{subscription_id}/resume/preview")
async def preview_resume(who: Member, subscription_id: str, body: Nothing) -> PreviewShown:
    """What resuming would come to."""
    return await _preview(who, resuming(subscription_id))


@router.post("/subscriptions/{subscription_id}/reactivate", response_model=SubscriptionShown)
async def reactivate_subscription(
    who: Member, subscription_id: str, body: Nothing, repeat: RepeatOnce
) -> Response:
    """Let one go on that was cancelled and has not ended."""
    return await _act(who, repeat, lambda uow: subscriptions.reactivate(uow, subscription_id))


@router.post("/subscriptions/{subscription_id}/coupons", response_model=SubscriptionShown)
async def take_coupon(who: Member, subscription_id: str, body: CouponGiven, repeat: RepeatOnce) -> Response:
    """Have a coupon work from the next invoice on."""
    return await _act(who, repeat, taking(subscription_id, body))


@router.post("/subscriptions/{subscription_id}/coupons/preview")
async def preview_coupon(who: Member, subscription_id: str, body: CouponGiven) -> PreviewShown:
    """What the next invoice would be with a coupon."""
    return await _preview(who, taking(subscription_id, body))


@router.delete("/subscriptions/{subscription_id}/coupons/{redemption_id}")
async def take_coupon_off(who: Member, subscription_id: str, redemption_id: str) -> SubscriptionShown:
    """Have a coupon work no more. What it took stays taken."""
    async with unit_of_work(who.actor) as uow:
        await subscriptions.take_coupon_off(uow, subscription_id, redemption_id)
        row = await policies.subscription_for(uow, subscription_id, subscriptions.WRITE)
        return SubscriptionShown.model_validate(await subscription_queries.shown(uow, row))


@router.get("/entitlements")
async def list_entitlements(who: Member) -> EntitlementsShown:
    """What the running plans and add-ons give: numbers add up, whatever one of them allows is allowed."""
    async with unit_of_work(who.actor) as uow:
        uow.actor.require(Capability.PLANS_READ)
        found = await entitlements.given(uow)
    return EntitlementsShown(data=[EntitlementGivenShown.model_validate(one) for one in found.values()])
