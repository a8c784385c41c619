"""The offer to somebody who is about to cancel: a coupon, with what it saves on the next invoice to the cent.

What it saves is found by billing that invoice, with the coupon and without, and undoing both. One subscription takes an
offer once, and an offer whose coupon has run out is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from models.plans import CouponOffer, Plan
from models.subscriptions import Subscription
from services.billing import discounts, redemptions
from services.billing.events import SubscriptionOfferAccepted
from services.catalog import coupon_queries
from services.core.errors import Conflict, Invalid
from services.core.work import UnitOfWork, undone
from services.subscriptions import previewing, subscriptions
from services.subscriptions.states import CHANGES
from services.subscriptions.subscribed import Subscribed


class OfferGone(Conflict):
    """What was offered is not offered any more: its coupon has run out, or it was taken."""

    code = "offer_gone"
    title = "This offer is not there any more"


@dataclass(frozen=True, slots=True)
class Offer:
    """A coupon for whoever stays. `before_minor` is the next invoice at `at`, with tax, without what will be used, and
    `after_minor` the same with the coupon."""

    coupon: str
    text: str
    rate: Decimal | None
    amount_minor: int | None
    duration: str
    periods: int | None
    currency: str
    at: datetime
    before_minor: int
    after_minor: int

    @property
    def saves_minor(self) -> int:
        return self.before_minor - self.after_minor


async def offer(uow: UnitOfWork, subscription_id: str) -> Offer | None:
    """What is offered to keep a subscription; None for nothing, and for what would save nothing. What is due by now is
    done first, and all is undone. Raises Forbidden, NotFound, and what billing raises."""
    async with undone(uow):
        row, _, now = await subscriptions.standing(uow, subscription_id)
        found = await _offered(uow, row, now)
        if found is None:
            return None
        coupon, text = found
        code, currency = coupon.code, row.currency
        said = (code, text, coupon.rate, coupon.amount_minor, coupon.duration, coupon.periods, currency)
        before = await previewing.next_invoice(uow, row)
        after = await previewing.next_invoice(uow, row, coupon=code)
    if before is None or after is None or after.total_minor >= before.total_minor:
        return None
    return Offer(*said, at=before.billed_at, before_minor=before.total_minor, after_minor=after.total_minor)


async def accept(uow: UnitOfWork, subscription_id: str, coupon: str) -> Subscription:
    """Take the offer that was shown, by its coupon, and keep the subscription. Raises Forbidden, NotFound, OfferGone,
    and SubscriptionStateConflict."""
    row, _, now = await subscriptions.standing(uow, subscription_id)
    found = await _offered(uow, row, now)
    if found is None or found[0].code.casefold() != coupon.strip().casefold():
        raise OfferGone("This is not offered any more.", next_step="Look again at what cancelling comes to.")
    row.offer_taken_at = uow.now
    uow.add(row)
    await redemptions.take(uow, row, found[0].code)
    uow.record(
        SubscriptionOfferAccepted(
            aggregate_id=row.id, organization_id=row.organization_id, coupon=found[0].code
        )
    )
    return row


async def _offered(uow: UnitOfWork, row: Subscription, now: Subscribed) -> tuple[CouponOffer, str] | None:
    """The coupon that its plan offers, if it may take it now, and the words that go with it."""
    if row.offer_taken_at is not None or now.state not in CHANGES:
        return None
    plan = await uow.get(Plan, row.plan_id)
    if plan is None or plan.retention_coupon_id is None:
        return None
    coupon = await uow.get(CouponOffer, plan.retention_coupon_id)
    if coupon is None or coupon.archived_at is not None or (coupon.plans and row.plan_id not in coupon.plans):
        return None
    try:
        terms = coupon_queries.terms_of(coupon)
        discounts.require_redeemable(terms, currency=row.currency, now=uow.now, redeemed=coupon.redeemed)
    except Invalid:
        return None
    taken = await uow.execute(
        "select from coupon_redemption where subscription_id = :id and coupon_id = :coupon",
        id=row.id,
        coupon=coupon.id,
    )
    return None if taken.first() is not None else (coupon, plan.retention_text)
