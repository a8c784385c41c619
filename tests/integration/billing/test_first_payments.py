"""Plans that begin once their first invoice is paid: by whatever pays it, or not at all."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from models.billing import InvoiceState
from models.money import Money
from models.subscriptions import Subscription
from services.billing import customer_credits, policies
from services.billing_runs import running
from services.core.clock import FixedClock
from services.core.permissions import Capability
from services.invariants.book import RevenueIsEarnedInTime
from services.subscriptions import entitlements, subscriptions
from services.subscriptions.first_payments import PAY_WITHIN
from services.subscriptions.states import SubscriptionStateConflict
from services.wallets import wallets
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.integration.billing.shop import open_shop
from tests.integration.billing.subscribers import Subscribers, price
from tests.world import World

NOT_HERE = (*MADE_BY_HAND, RevenueIsEarnedInTime)
BASE = price("base", "flat", "60", included_credits=Decimal(30))


@pytest.fixture
async def sold(world: World) -> Subscribers:
    made = Subscribers(await open_shop(world))
    made.at(2026, 4, 1)
    return made


async def fill(sold: Subscribers, minor: int) -> None:
    async with sold.shop.work() as uow:
        await wallets.grant(uow, money=Money(minor, "EUR"), key="welcome")


async def left(sold: Subscribers, *, usage_only: bool) -> int:
    async with sold.shop.work() as uow:
        found = await uow.execute(
            "select coalesce(sum(left_minor), 0) from wallet_lot where usage_only = :only", only=usage_only
        )
        return int(found.scalar_one())


async def read(sold: Subscribers, one: Subscription) -> Subscription:
    async with sold.shop.work() as uow:
        return await policies.subscription_for(uow, one.id, Capability.SUBSCRIPTIONS_READ, lock=False)


async def test_it_begins_with_the_payment_of_its_first_invoice(sold: Subscribers) -> None:
    plan = await sold.plan(BASE, payment="before")
    one = await sold.start(plan)
    assert (one.state, one.pay_until) == ("incomplete", sold.shop.now + PAY_WITHIN)
    (first,) = await sold.invoices()
    assert (first.state, first.due_minor) == (InvoiceState.FINALIZED, 7_140)
    assert await left(sold, usage_only=True) == 0
    async with sold.shop.work() as uow:
        assert await entitlements.given(uow) == {}
    with pytest.raises(SubscriptionStateConflict):
        await sold.change(one, plan)

    sold.at(2026, 4, 1, 5)
    await fill(sold, 7_000)
    async with sold.shop.work() as uow:
        await customer_credits.pay_by_wallet(uow, first.id)
    assert (await read(sold, one)).state == "incomplete"  # a part is not enough
    async with sold.shop.work() as uow:
        await wallets.grant(uow, money=Money(140, "EUR"), key="the rest")
        await customer_credits.pay_by_wallet(uow, first.id)
    begun = await read(sold, one)
    assert (begun.state, begun.pay_until, begun.anchor) == ("active", None, one.anchor)
    assert await left(sold, usage_only=True) == 3_000
    sold.at(2026, 4, 3)
    assert await running.bill_due(clock=FixedClock(sold.shop.now)) == running.Counts()
    sold.at(2026, 5, 1)
    await running.bill_due(clock=FixedClock(sold.shop.now))
    assert len(await sold.invoices()) == 2
    assert (await read(sold, one)).state == "active"
    await assert_invariants(but=NOT_HERE)


@pytest.mark.parametrize("how", ["in time", "by whoever gave up"])
async def test_what_is_not_paid_ends_and_its_invoice_is_void(how: str, sold: Subscribers) -> None:
    plan = await sold.plan(BASE, payment="before")
    await sold.coupon("ONE", rate=Decimal("0.25"), redemptions_max=1)
    one = await sold.start(plan, coupon="ONE")
    await fill(sold, 100)
    (first,) = await sold.invoices()
    async with sold.shop.work() as uow:
        await customer_credits.pay_by_wallet(uow, first.id)
    if how == "in time":
        await running.bill_due(clock=FixedClock(sold.shop.now + PAY_WITHIN - timedelta(seconds=1)))
        assert (await read(sold, one)).state == "incomplete"
        await running.bill_due(clock=FixedClock(sold.shop.now + PAY_WITHIN))
    else:
        await sold.do(subscriptions.cancel, one)

    ended = await read(sold, one)
    assert (ended.state, ended.next_at) == ("ended", None)
    (first,) = await sold.invoices()
    assert (first.state, first.due_minor) == (InvoiceState.VOID, 0)
    assert (await left(sold, usage_only=False), await left(sold, usage_only=True)) == (100, 0)
    again = await sold.start(plan, coupon="ONE")  # which nobody has redeemed
    assert again.state == "incomplete"
    await assert_invariants(but=NOT_HERE)


@pytest.mark.parametrize(
    ("charge", "more", "state"),
    [
        (BASE, {"wallet": 7_140}, "active"),
        (price("base", "flat", "0"), {}, "active"),
        (BASE, {"trial_days": 14}, "trialing"),
    ],
    ids=["paid at once", "for nothing", "a trial"],
)
async def test_what_has_nothing_to_be_paid_begins_at_once(
    charge: Any, more: dict[str, Any], state: str, sold: Subscribers
) -> None:
    plan = await sold.plan(charge, payment="before", trial_days=more.get("trial_days", 0))
    if "wallet" in more:
        await fill(sold, more["wallet"])
    one = await sold.start(plan)
    assert (one.state, one.pay_until) == (state, None)
    assert await left(sold, usage_only=True) == (3_000 if "wallet" in more else 0)
