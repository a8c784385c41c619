"""Whoever is about to cancel is offered what the plan offers: what it saves is what the next invoice then is less."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from models.plans import Plan
from models.subscriptions import Subscription
from services.catalog import coupons, plans
from services.core.actor import system
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.errors import Invalid
from services.subscriptions import retention, subscriptions
from services.subscriptions.retention import Offer, OfferGone
from services.subscriptions.selecting import Wanted
from tests.integration.billing.shop import open_shop
from tests.integration.billing.subscribers import Subscribers, price
from tests.world import World


async def offering(sold: Subscribers, plan: Plan, coupon: str, text: str = "Stay?") -> None:
    async with crossing(Reason.CATALOG, actor=system(), clock=FixedClock(sold.shop.now)) as uow:
        await plans.set_retention_offer(uow, plan.id, coupon=coupon, text=text)


async def offer(sold: Subscribers, one: Subscription) -> Offer | None:
    found: Offer | None = await sold.do(retention.offer, one)
    return found


@pytest.fixture
async def sold(world: World) -> Subscribers:
    made = Subscribers(await open_shop(world))
    made.at(2026, 4, 1)
    return made


async def test_what_an_offer_saves_is_what_the_next_invoice_is_less(sold: Subscribers) -> None:
    plan = await sold.plan(price("base", "flat", "60"), price("seats", "seat", "9.99"))
    await sold.coupon("STAY", rate=Decimal("0.25"), duration="periods", periods=2)
    one = await sold.start(plan, quantities={"seats": Decimal(3)})
    assert await offer(sold, one) is None
    await offering(sold, plan, "stay")
    sold.at(2026, 4, 16)
    before = await sold.invoices()

    shown = await offer(sold, one)
    assert shown is not None
    assert (shown.coupon, shown.text, shown.periods) == ("STAY", "Stay?", 2)
    assert shown.before_minor == round(8_997 * 1.19)
    assert await sold.invoices() == before  # looking leaves nothing
    with pytest.raises(OfferGone):
        await sold.do(retention.accept, one, "another")
    kept = await sold.do(retention.accept, one, "stay")
    assert (kept.state, kept.offer_taken_at) == ("active", sold.shop.now)
    sold.at(2026, 5, 1)
    await sold.run(one)
    assert (await sold.invoices())[-1].total_minor == shown.after_minor
    assert shown.saves_minor == shown.before_minor - shown.after_minor > 0

    await sold.coupon("AGAIN", rate=Decimal("0.5"))
    await offering(sold, plan, "AGAIN")
    assert await offer(sold, one) is None  # once for each subscription
    with pytest.raises(OfferGone):
        await sold.do(retention.accept, one, "AGAIN")


async def _expires(sold: Subscribers, one: Subscription) -> None:
    sold.at(2026, 4, 20)


async def _used_up(sold: Subscribers, one: Subscription) -> None:
    mine = sold.shop.customer
    await sold.shop.new_customer()
    async with sold.shop.work() as uow:
        wanted = Wanted(one.plan_id, "EUR", "month")
        await subscriptions.start(uow, wanted, key="another", coupon="STAY")
    sold.shop.customer = mine


async def _archived(sold: Subscribers, one: Subscription) -> None:
    async with crossing(Reason.CATALOG, actor=system()) as uow:
        found = await uow.execute("select id from coupon where code = 'STAY'")
        await coupons.archive_coupon(uow, found.scalar_one())


async def _taken(sold: Subscribers, one: Subscription) -> None:
    await sold.do(subscriptions.take_coupon, one, "STAY")


async def _cancelled(sold: Subscribers, one: Subscription) -> None:
    await sold.do(subscriptions.cancel, one)


async def _withdrawn(sold: Subscribers, one: Subscription) -> None:
    async with crossing(Reason.CATALOG, actor=system()) as uow:
        await plans.set_retention_offer(uow, one.plan_id, coupon="")


@pytest.mark.parametrize("happens", [_expires, _used_up, _archived, _taken, _cancelled, _withdrawn])
async def test_nothing_is_offered_that_cannot_be_taken(happens: Any, sold: Subscribers) -> None:
    plan = await sold.plan(price("base", "flat", "60"))
    await sold.coupon(
        "STAY", rate=Decimal("0.25"), redemptions_max=1, expires_at=sold.shop.now + timedelta(days=19)
    )
    await offering(sold, plan, "STAY")
    one = await sold.start(plan)
    assert await offer(sold, one) is not None
    await happens(sold, one)
    assert await offer(sold, one) is None
    with pytest.raises(OfferGone):
        await sold.do(retention.accept, one, "STAY")


async def test_a_plan_offers_a_coupon_that_is_there_and_is_not_for_other_plans(sold: Subscribers) -> None:
    plan, other = await sold.plan(price("base", "flat", "60")), await sold.plan(price("base", "flat", "60"))
    await sold.coupon("OTHER", rate=Decimal("0.25"), plans=(other.id,))
    for code in ("OTHER", "NONE"):
        with pytest.raises(Invalid) as refused:
            await offering(sold, plan, code)
        assert refused.value.field == "coupon"
