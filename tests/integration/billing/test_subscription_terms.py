"""Terms that staff gives a subscription: a version that is sold no more, and invoices that are sent to be paid."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from models.plans import Plan
from models.subscriptions import Collection, Subscription
from models.types import Role
from services.billing_runs import running
from services.catalog import plans
from services.core.actor import system
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.errors import Forbidden, Invalid
from services.core.work import unit_of_work
from services.subscriptions import collecting, subscriptions
from services.subscriptions.arranging import Arrangement
from services.subscriptions.selecting import Wanted
from services.subscriptions.states import SubscriptionStateConflict
from tests.integration.billing.shop import open_shop
from tests.integration.billing.subscribers import Subscribers, price
from tests.world import World

CHARGE, SEND = Collection.CHARGE, Collection.SEND
DAY = timedelta(days=1)


@pytest.fixture
async def sold(world: World) -> Subscribers:
    return Subscribers(await open_shop(world, payment_days=14))


async def in_two_versions(sold: Subscribers) -> Plan:
    """60 with seats, then 80; the third is a draft."""
    plan = await sold.plan(price("base", "flat", "60"), price("seats", "seat", "5"))
    await sold.publish(plan, price("base", "flat", "80"), price("seats", "seat", "7"))
    async with crossing(Reason.CATALOG, actor=system()) as uow:
        await plans.draft_version(uow, plan.id)
    return plan


async def test_staff_sells_an_older_version_and_it_keeps_its_prices(sold: Subscribers) -> None:
    plan = await in_two_versions(sold)
    await sold.start(plan)
    assert [made.net_minor for made in await sold.invoices()] == [80_00]

    await sold.shop.new_customer(name="Early")
    early = await sold.start(plan, plan_version=1)
    assert [made.net_minor for made in await sold.invoices()] == [60_00]
    await sold.change(early, plan, quantities={"seats": Decimal(3)})
    assert (await sold.invoices())[1].net_minor == 15_00


@pytest.mark.parametrize("version", [0, 3, 9, -1])
async def test_only_what_was_published_is_sold(sold: Subscribers, version: int) -> None:
    plan = await in_two_versions(sold)
    with pytest.raises(Invalid, match="no version") as refused:
        await sold.start(plan, plan_version=version)
    assert getattr(refused.value, "field", "") == "plan_version"


@pytest.mark.parametrize("terms", [{"plan_version": 1}, {"collection": SEND}, {"payment_days": 30}])
async def test_customers_take_no_terms_of_their_own(
    world: World, sold: Subscribers, terms: dict[str, Any]
) -> None:
    plan = await in_two_versions(sold)
    one = await sold.start(plan)
    owner = world.actor(sold.shop.customer, Role.OWNER)
    wanted = Wanted(plan.id, "EUR", "month")
    with pytest.raises(Forbidden):
        async with unit_of_work(owner, clock=FixedClock(sold.shop.now)) as uow:
            await subscriptions.start(uow, wanted, key="x", arranged=Arrangement(**terms))
    with pytest.raises(Forbidden):
        async with unit_of_work(owner, clock=FixedClock(sold.shop.now)) as uow:
            await collecting.collect(uow, one.id, SEND)


async def due_after(sold: Subscribers) -> list[int]:
    """In how many days each invoice is due."""
    return [
        (made.due_date - made.label_date).days
        for made in await sold.invoices()
        if made.due_date is not None and made.label_date is not None
    ]


@pytest.mark.parametrize(
    ("terms", "days"),
    [
        ({}, 14),
        ({"collection": SEND}, 14),
        ({"collection": SEND, "payment_days": 0}, 0),
        ({"collection": SEND, "payment_days": 45}, 45),
    ],
)
@pytest.mark.parametrize("metered", [False, True])  # billed with others, or by itself
async def test_an_invoice_is_due_as_its_subscription_has_it(
    sold: Subscribers, terms: dict[str, Any], days: int, metered: bool
) -> None:
    charges = [price("base", "flat", "60")]
    if metered:
        charges.append(price("tokens", "metered", "0.01", meter="prompt_tokens"))
    await sold.start(await sold.plan(*charges), **terms)
    for _ in range(3):  # what was used is waited for
        sold.shop.now += 20 * DAY
        await running.bill_due(clock=FixedClock(sold.shop.now))
    assert await due_after(sold) == [days, days]


async def test_staff_changes_how_invoices_are_paid_from_now_on(sold: Subscribers) -> None:
    plan = await sold.plan(price("base", "flat", "60"))
    one = await sold.start(plan)
    row: Subscription = await sold.do(collecting.collect, one, SEND, payment_days=60)
    assert (row.collection, row.payment_days) == ("send", 60)
    again: Subscription = await sold.do(collecting.collect, one, SEND, payment_days=60)
    assert again.version == row.version  # nothing changed, and nothing is told
    sold.shop.now += 40 * DAY
    await running.bill_due(clock=FixedClock(sold.shop.now))
    assert await due_after(sold) == [14, 60]
    await sold.do(subscriptions.cancel, one, now_at_once=True)
    with pytest.raises(SubscriptionStateConflict, match="ended"):
        await sold.do(collecting.collect, one, CHARGE)


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({"payment_days": 30}, "that are sent"),
        ({"collection": CHARGE, "payment_days": 0}, "that are sent"),
        ({"collection": SEND, "payment_days": 366}, "within 365"),
        ({"collection": SEND, "payment_days": -1}, "within 365"),
    ],
)
async def test_terms_that_make_no_sense_are_refused(
    sold: Subscribers, terms: dict[str, Any], words: str
) -> None:
    with pytest.raises(Invalid, match=words):
        await sold.start(await sold.plan(price("base", "flat", "60")), **terms)


async def test_who_is_sent_an_invoice_need_not_pay_it_before_it_begins(sold: Subscribers) -> None:
    plan = await sold.plan(price("base", "flat", "60"), payment="before")
    assert (await sold.start(plan)).state == "incomplete"
    await sold.shop.new_customer(name="Large")
    one = await sold.start(plan, collection=SEND, payment_days=30)
    assert (one.state, one.pay_until) == ("active", None)
