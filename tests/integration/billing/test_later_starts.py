"""Subscriptions that were agreed to and begin on a day to come."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from models.subscriptions import Subscription
from models.types import OrganizationKind, Role
from services.billing import policies
from services.billing_runs import clock_turning, running
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.errors import Forbidden, Invalid
from services.core.permissions import Capability
from services.core.work import unit_of_work
from services.identity import clocks
from services.invariants.book import RevenueIsEarnedInTime
from services.subscriptions import entitlements, subscriptions
from services.subscriptions.arranging import Arrangement
from services.subscriptions.first_payments import PAY_WITHIN
from services.subscriptions.previewing import preview
from services.subscriptions.selecting import Wanted
from services.subscriptions.states import SubscriptionStateConflict
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.integration.billing.shop import open_shop
from tests.integration.billing.subscribers import Subscribers, price
from tests.world import World

NOW = datetime(2026, 3, 10, 9, tzinfo=UTC)
MAY = datetime(2026, 5, 1, 12, tzinfo=UTC)


async def opened(world: World, **more: Any) -> Subscribers:
    sold = Subscribers(await open_shop(world, **more))
    sold.shop.now = NOW
    return sold


async def read(sold: Subscribers, one: Subscription) -> Subscription:
    async with sold.shop.work() as uow:
        return await policies.subscription_for(uow, one.id, Capability.SUBSCRIPTIONS_READ)


async def run(sold: Subscribers, at: datetime) -> None:
    sold.shop.now = at
    await running.bill_due(clock=FixedClock(at))


async def told(one: Subscription) -> list[str]:
    async with crossing(Reason.INVARIANTS) as uow:
        found = await uow.execute(
            "select type, payload from event where aggregate_id = :id order by id", id=one.id
        )
        return [
            f"{row.payload['before']} > {row.payload['after']}" if "before" in row.payload else row.type
            for row in found
        ]


async def test_it_waits_for_its_day_and_is_billed_on_it(world: World) -> None:
    sold = await opened(world)
    plan = await sold.plan(
        price("base", "flat", "60"), price("setup", "one_off", "10", quantity_min=Decimal(1))
    )
    async with sold.shop.work() as uow:
        wanted = Wanted(plan.id, "EUR", "month")
        shown = await preview(
            uow, lambda work: subscriptions.start(work, wanted, key="later", arranged=Arrangement(MAY))
        )
    assert (shown.invoices, shown.effective_at, shown.state) == ((), MAY, "scheduled")
    assert shown.first_invoice is not None
    assert (shown.first_invoice.billed_at, shown.first_invoice.total_minor) == (MAY, 83_30)

    one = await sold.start(plan, started_at=MAY, key="later")
    assert (one.state, one.next_at, one.started_at) == ("scheduled", MAY, MAY)
    await run(sold, MAY - timedelta(seconds=1))
    assert await sold.invoices() == []
    async with sold.shop.work() as uow:
        assert await entitlements.given(uow) == {}
    await run(sold, MAY)

    (made,) = await sold.invoices()
    assert (made.total_minor, made.finalized_at) == (83_30, MAY)
    began = await read(sold, one)
    assert (began.state, began.next_at, began.anchor) == ("active", datetime(2026, 6, 1, 12, tzinfo=UTC), MAY)
    assert await told(one) == ["subscription.started", "subscription.billed", "scheduled > active"]
    await assert_invariants(but=(*MADE_BY_HAND, RevenueIsEarnedInTime))


async def test_a_trial_begins_on_that_day_and_is_billed_after_it(world: World) -> None:
    sold = await opened(world)
    plan = await sold.plan(
        price("base", "flat", "60"), price("tokens", "metered", "0.01", meter="prompt_tokens"), trial_days=14
    )
    await sold.coupon("HALF", rate=Decimal("0.5"), duration="once")
    one = await sold.start(plan, started_at=MAY, coupon="HALF")
    assert (one.state, one.trial_end) == ("scheduled", MAY + timedelta(days=14))
    await run(sold, MAY)
    assert ((await read(sold, one)).state, await sold.invoices()) == ("trialing", [])
    await run(sold, MAY + timedelta(days=14))
    assert [made.total_minor for made in await sold.invoices()] == [35_70]


@pytest.mark.parametrize("metered", [False, True])
async def test_it_is_cancelled_before_it_begins_and_nothing_is_billed(world: World, metered: bool) -> None:
    sold = await opened(world)
    charges = [price("base", "flat", "60")]
    if metered:
        charges.append(price("tokens", "metered", "0.01", meter="prompt_tokens"))
    plan = await sold.plan(*charges)
    await sold.coupon("ONCE", rate=Decimal("0.5"), duration="once", redemptions_max=1)
    one = await sold.start(plan, started_at=MAY, coupon="ONCE")
    with pytest.raises(SubscriptionStateConflict, match="scheduled"):
        await sold.do(subscriptions.pause, one)
    with pytest.raises(SubscriptionStateConflict, match="scheduled"):
        await sold.change(one, plan)

    ended = await sold.do(subscriptions.cancel, one)

    assert (ended.state, ended.ended_at, ended.next_at) == ("ended", NOW, None)
    await run(sold, MAY + timedelta(days=40))
    assert await sold.invoices() == []
    assert await told(one) == ["subscription.started", "subscription.coupon_taken", "subscription.ended"]
    await sold.start(plan, coupon="ONCE")  # it is free for another
    await assert_invariants(but=(*MADE_BY_HAND, RevenueIsEarnedInTime))


async def test_what_is_paid_before_it_begins_waits_for_that_on_its_day(world: World) -> None:
    sold = await opened(world)
    one = await sold.start(await sold.plan(price("base", "flat", "60"), payment="before"), started_at=MAY)
    await run(sold, MAY)
    waits = await read(sold, one)
    assert (waits.state, waits.pay_until, waits.next_at) == (
        "incomplete",
        MAY + PAY_WITHIN,
        MAY + PAY_WITHIN,
    )
    await run(sold, MAY + PAY_WITHIN)
    assert (await read(sold, one)).state == "ended"
    assert [made.state for made in await sold.invoices()] == ["void"]


async def test_only_staff_begins_one_later_and_not_too_late(world: World) -> None:
    sold = await opened(world)
    plan = await sold.plan(price("base", "flat", "60"))
    wanted = Wanted(plan.id, "EUR", "month")
    owner = world.actor(sold.shop.customer, Role.OWNER)
    with pytest.raises(Forbidden):
        async with unit_of_work(owner, clock=FixedClock(NOW)) as uow:
            await subscriptions.start(uow, wanted, key="x", arranged=Arrangement(MAY))
    for at in (NOW + timedelta(days=3 * 366), NOW - timedelta(days=4 * 366)):
        with pytest.raises(Invalid, match="begins within"):
            await sold.start(plan, started_at=at)


async def test_a_test_clock_goes_through_its_first_day(world: World) -> None:
    sold = await opened(world, is_test=True)
    plan = await sold.plan(price("base", "flat", "60"))
    house = await world.organization(name="House", kind=OrganizationKind.OPERATOR)
    staff = world.actor(house, Role.OPERATOR)
    wall = FixedClock(NOW)
    async with crossing(Reason.STAFF, actor=staff, clock=wall) as uow:
        clock = await clocks.create_test_clock(uow, sold.shop.customer.id, name="Trial", shows=NOW)
    at_work = replace(staff, organization_id=sold.shop.customer.id)
    async with crossing(Reason.STAFF, actor=at_work, clock=wall) as uow:
        await subscriptions.start(
            uow, Wanted(plan.id, "EUR", "month"), key="later", arranged=Arrangement(MAY)
        )
    async with crossing(Reason.STAFF, actor=staff, clock=wall) as uow:
        await clock_turning.turn(uow, clock.id, to=MAY + timedelta(days=40))
    while await clock_turning.go_on(clock.id, clock=wall):
        pass
    june = datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert [made.finalized_at for made in await sold.invoices()] == [MAY, june]
