"""A trial begins without a billing profile. Its end is told in time, and waits for one, on whichever clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from models.subscriptions import Subscription
from models.types import Role
from services.billing import policies, profiles
from services.billing.finalizing import BillingProfileMissing
from services.billing_runs import clock_turning, running, trials_ending
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.permissions import Capability
from services.core.work import unit_of_work
from services.identity import clocks
from services.invariants.book import RevenueIsEarnedInTime
from services.notify.topics import TELLINGS
from services.notify.words import Facts
from services.subscriptions import entitlements, previewing, subscriptions
from services.subscriptions import queries as subscription_queries
from services.subscriptions.selecting import Wanted
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.integration.billing.shop import BUYER, open_shop
from tests.integration.billing.subscribers import Subscribers, price
from tests.world import World

BASE = price("base", "flat", "30", included_credits=Decimal(5))
TWO_WEEKS = 14


@pytest.fixture
async def sold(world: World) -> Subscribers:
    made = Subscribers(await open_shop(world))
    made.at(2026, 4, 1)
    await made.shop.new_customer(None)
    return made


async def read(sold: Subscribers, one: Subscription) -> Subscription:
    async with sold.shop.work() as uow:
        return await policies.subscription_for(uow, one.id, Capability.SUBSCRIPTIONS_READ, lock=False)


async def needs_profile(sold: Subscribers, one: Subscription) -> bool:
    """Then nothing is billed next, either."""
    async with sold.shop.work() as uow:
        found = await subscription_queries.detail(uow, one.id)
    assert (found.upcoming is None) is (found.needs_profile or found.state == "canceled")
    return found.needs_profile


async def told(sold: Subscribers) -> list[tuple[str, Any, list[str]]]:
    async with sold.shop.work() as uow:
        found = await uow.execute(
            "select type, payload from event where organization_id = :id"
            " and type like 'subscription.trial%' order by id",
            id=sold.shop.customer.id,
        )
        return [(one.type, one.payload.get("last"), one.payload.get("missing", [])) for one in found]


async def test_its_end_is_told_twice_and_waits_for_a_profile(sold: Subscribers) -> None:
    plan = await sold.plan(BASE, trial_days=TWO_WEEKS)
    async with sold.shop.work() as uow:
        seen = await previewing.preview(
            uow, lambda work: subscriptions.start(work, Wanted(plan.id, "EUR", "month"), key="seen")
        )
    assert (seen.needs_profile, seen.upcoming, seen.first_invoice) == (True, None, None)
    one = await sold.start(plan)
    assert one.trial_end is not None
    for days in (13, 7, 6, 1, 0.5):
        for _ in range(2):
            await trials_ending.tell(clock=FixedClock(one.trial_end - timedelta(days=days)))
    missing = ["profile"]
    assert await told(sold) == [
        ("subscription.trial_ending", False, missing), ("subscription.trial_ending", True, missing),
    ]  # fmt: skip
    assert await needs_profile(sold, one)

    sold.shop.now = one.trial_end
    counts = await running.bill_due(clock=FixedClock(sold.shop.now))
    paused = await read(sold, one)
    assert (counts.parked, paused.state, paused.paused_at) == (0, "paused", one.trial_end)
    assert (await told(sold))[-1][0] == "subscription.trial_over"
    async with sold.shop.work() as uow:
        assert await entitlements.given(uow) == {}
    assert await needs_profile(sold, one)
    assert await sold.invoices() == []

    sold.at(2026, 4, 20, 12)
    async with sold.shop.work() as uow:
        await profiles.set_profile(uow, BUYER)
    assert not await needs_profile(sold, one)
    sold.at(2026, 4, 20, 12, 1)
    await running.bill_due(clock=FixedClock(sold.shop.now))
    going = await read(sold, one)
    assert (going.state, going.anchor, going.paused_at) == ("active", one.trial_end, None)
    (first,) = await sold.invoices()
    assert first.net_minor == 2_500  # 25 of the 30 days from 15 April to 15 May
    await assert_invariants(but=(*MADE_BY_HAND, RevenueIsEarnedInTime))


async def test_who_agrees_to_be_billed_is_told_what_is_missing_and_others_are_not_paused(
    sold: Subscribers,
) -> None:
    tried, bought = await sold.plan(BASE, trial_days=TWO_WEEKS), await sold.plan(price("base", "flat", "40"))
    one = await sold.start(tried)
    owner = sold.shop.world.actor(sold.shop.customer)
    with pytest.raises(BillingProfileMissing):
        async with unit_of_work(owner, clock=FixedClock(sold.shop.now)) as uow:
            await subscriptions.change(uow, one.id, Wanted(bought.id, "EUR", "month"))
    assert (await read(sold, one)).state == "trialing"
    async with sold.shop.work() as uow:
        await subscriptions.cancel(uow, one.id)
    assert not await needs_profile(sold, one)
    await trials_ending.tell(clock=FixedClock(one.started_at + timedelta(days=TWO_WEEKS - 1)))
    assert await told(sold) == []

    await sold.shop.new_customer()
    with_profile = await sold.start(tried)
    assert with_profile.trial_end is not None
    await trials_ending.tell(clock=FixedClock(with_profile.trial_end - timedelta(days=2)))
    sold.shop.now = with_profile.trial_end
    await running.bill_due(clock=FixedClock(sold.shop.now))
    assert await told(sold) == [("subscription.trial_ending", False, [])]
    assert (await read(sold, with_profile)).state == "active"


async def test_on_a_test_clock_it_waits_and_goes_on_as_the_clock_is_turned(world: World) -> None:
    sold = Subscribers(await open_shop(world, is_test=True))
    sold.at(2026, 4, 1)
    wall, staff = (
        FixedClock(sold.shop.now),
        world.actor(await world.organization(name="House"), Role.OPERATOR),
    )
    whose = await sold.shop.new_customer(None)
    async with crossing(Reason.STAFF, actor=staff, clock=wall) as uow:
        clock = await clocks.create_test_clock(uow, whose.id, name="Trial", shows=sold.shop.now)
    one = await sold.start(await sold.plan(BASE, trial_days=TWO_WEEKS))

    async def turn(days: int) -> Subscription:
        async with crossing(Reason.STAFF, actor=staff, clock=wall) as uow:
            await clock_turning.turn(uow, clock.id, to=wall.at + timedelta(days=days))
        while await clock_turning.go_on(clock.id, clock=wall):
            pass
        return await read(sold, one)

    missing = ["profile"]
    first, last = (("subscription.trial_ending", is_last, missing) for is_last in (False, True))
    for days, known in ((6, []), (7, [first]), (12, [first]), (13, [first, last])):
        assert (await turn(days)).state == "trialing"
        assert await told(sold) == known, days
    assert (await turn(20)).state == "paused"
    assert await told(sold) == [first, last, ("subscription.trial_over", None, [])]
    async with sold.shop.work() as uow:
        await profiles.set_profile(uow, BUYER)
    assert (await turn(50)).state == "past_due"  # nobody paid the first
    assert [one.net_minor for one in await sold.invoices()] == [2_400, 3_000]


@pytest.mark.parametrize(
    ("missing", "href", "says"),
    [
        ([], "/portal/subscriptions/sub_1", "It is billed from then on"),
        (["profile"], "/portal/billing-profile", "without that it is paused then"),
        (["method"], "/portal/subscriptions/sub_1", "are not paid by themselves"),
    ],
)
def test_what_is_said_names_what_is_missing(missing: list[str], href: str, says: str) -> None:
    (telling,) = TELLINGS["subscription.trial_ending"]
    event: Any = type("Event", (), {
        "aggregate_id": "sub_1",
        "payload": {"trial_end": "2026-04-15T00:00:00+00:00", "last": True, "missing": missing},
    })  # fmt: skip
    words = telling.say(event, Facts(datetime.now(UTC), "Acme", "", ""))
    assert (words.title, words.href) == ("A trial ends tomorrow", href)
    assert "on 2026-04-15" in words.body
    assert says in words.body
