"""Subscriptions on their database: what each act bills, to the cent."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from models.subscriptions import CancelReason
from models.types import ProrationBehaviour, Role
from services.core.clock import FixedClock
from services.core.errors import Invalid
from services.core.work import unit_of_work
from services.subscriptions import queries, subscriptions
from services.subscriptions.previewing import preview
from services.subscriptions.selecting import Wanted
from services.subscriptions.states import SubscriptionStateConflict
from tests.integration.billing.shop import Shop, open_shop
from tests.integration.billing.subscribers import Subscribers, price
from tests.world import World


@pytest.fixture
async def shop(world: World) -> Shop:
    return await open_shop(world)


@pytest.fixture
def sold(shop: Shop) -> Subscribers:
    shop.now = datetime(2026, 4, 1, 12, tzinfo=UTC)
    return Subscribers(shop)


async def test_a_month_is_billed_when_it_begins_and_an_upgrade_for_what_is_left(sold: Subscribers) -> None:
    team = await sold.plan(price("base", "flat", "60"), price("seats", "seat", "30", quantity_min=Decimal(1)))
    one = await sold.start(team, quantities={"seats": Decimal(2)})
    (first,) = await sold.invoices()
    assert (first.state, first.net_minor, first.tax_minor) == ("finalized", 12_000, 2_280)
    assert await sold.said(first) == [("Base", 6_000), ("Seats", 6_000)]

    sold.at(2026, 4, 16, 12)
    await sold.change(one, team, quantities={"seats": Decimal(3)})
    _, second = await sold.invoices()
    assert await sold.said(second) == [("Unused time: Seats", -3_000), ("Seats", 4_500)]
    assert (second.net_minor, second.tax_minor) == (1_500, 285)

    await sold.change(one, team, quantities={"seats": Decimal(2)}, behaviour=ProrationBehaviour.INVOICE_NOW)
    third = (await sold.invoices())[2]
    assert await sold.said(third) == [
        ("Unused time: Seats", -4_500),
        ("Unused time taken back: Seats", 3_000),
    ]
    assert (third.net_minor, third.tax_minor, third.total_minor) == (-1_500, -285, -1_785)

    sold.at(2026, 5, 1, 12)
    after = await sold.run(one)
    fourth = (await sold.invoices())[3]
    assert await sold.said(fourth) == [("Base", 6_000), ("Seats", 6_000)]
    assert fourth.paid_minor == 0
    assert (await sold.invoices())[
        0
    ].due_minor == 14_280 - 1_785  # what is given back comes off what is owed first
    assert after.next_at == datetime(2026, 6, 1, 12, tzinfo=UTC)


async def test_what_a_preview_shows_is_what_is_billed_and_it_leaves_nothing(sold: Subscribers) -> None:
    small = await sold.plan(price("base", "flat", "10"))
    large = await sold.plan(price("base", "flat", "100"))
    one = await sold.start(small)
    sold.at(2026, 4, 11, 12)
    wanted = Wanted(large.id, "EUR", "month")
    async with sold.shop.work() as uow:
        shown = await preview(uow, lambda work: subscriptions.change(work, one.id, wanted))
        assert uow.recorded == []
    assert len(await sold.invoices()) == 1

    sold.shop.now = sold.shop.now.replace(minute=3)
    await sold.change(one, large, at=shown.at)
    made = (await sold.invoices())[1]
    (told,) = shown.invoices
    assert (told.total_minor, told.tax_minor) == (made.total_minor, made.tax_minor)
    assert [line.amount_minor for line in told.lines] == [-667, 6_667]
    assert shown.upcoming is not None
    assert shown.upcoming.amount_minor == 10_000


async def test_what_comes_next_of_a_trial_has_what_is_charged_once_in_it(sold: Subscribers) -> None:
    plan = await sold.plan(price("base", "flat", "60"), price("setup", "one_off", "99"), trial_days=14)
    one = await sold.start(plan, quantities={"setup": Decimal(2)})
    async with sold.shop.work() as uow:
        shown = await queries.detail(uow, one.id)

    assert shown.upcoming is not None
    assert (shown.upcoming.at, shown.upcoming.amount_minor) == (one.trial_end, 6_000 + 2 * 9_900)
    assert [(item.name, item.amount_minor, item.interval) for item in shown.items] == [
        ("Base", 6_000, "month"),
        ("Setup", 19_800, None),
    ]


async def test_a_coupon_of_an_amount_is_given_back_with_the_time_it_was_for(sold: Subscribers) -> None:
    small, large = (
        await sold.plan(price("base", "flat", "100")),
        await sold.plan(price("base", "flat", "150")),
    )
    await sold.coupon("TEN", amount=Decimal(10), currency="EUR", duration="forever")
    one = await sold.start(small, coupon="ten")
    assert [line.net_minor for line in await sold.lines()] == [9_000]

    sold.at(2026, 4, 16, 12)
    await sold.change(one, large)

    # Half of 90 comes back, with half of the coupon; of 75 the other half is taken: 115 in all, 125 less 10.
    assert [line.net_minor for line in await sold.lines()] == [9_000, -4_500, 7_000]
    assert [line.discount_minor for line in await sold.lines()] == [1_000, 0, 500]


async def test_less_waits_for_the_end_of_what_was_paid_for_and_can_be_taken_back(sold: Subscribers) -> None:
    team = await sold.plan(price("seats", "seat", "30", quantity_min=Decimal(1)))
    one = await sold.start(team, quantities={"seats": Decimal(5)})
    sold.at(2026, 4, 10)
    waiting = await sold.change(one, team, quantities={"seats": Decimal(2)})
    assert (waiting.scheduled_at, len(await sold.invoices())) == (datetime(2026, 5, 1, 12, tzinfo=UTC), 1)

    await sold.do(subscriptions.unschedule, one)
    with pytest.raises(SubscriptionStateConflict):
        await sold.do(subscriptions.unschedule, one)
    await sold.change(one, team, quantities={"seats": Decimal(3)})
    sold.at(2026, 5, 1, 12)
    await sold.run(one)

    assert [line.amount_minor for line in await sold.lines()] == [15_000, 9_000]


async def test_a_trial_costs_nothing_changes_freely_and_comes_once(sold: Subscribers) -> None:
    team = await sold.plan(price("base", "flat", "60"), trial_days=14)
    big = await sold.plan(price("base", "flat", "90"))
    one = await sold.start(team)
    assert (one.state, one.trial_end) == ("trialing", datetime(2026, 4, 15, 12, tzinfo=UTC))
    sold.at(2026, 4, 5)
    await sold.change(one, big)
    assert await sold.invoices() == []

    sold.at(2026, 4, 15, 12)
    after = await sold.run(one)
    assert (after.state, [line.amount_minor for line in await sold.lines()]) == ("active", [9_000])
    assert (await sold.start(team)).state == "active"


@pytest.mark.parametrize(
    ("days", "ends", "billed"), [(0, 5, [9_000]), (3, 5, [9_000]), (7, 8, []), (60, 15, [])]
)
async def test_a_customer_has_a_dearer_plan_on_trial_for_no_longer_than_that_plan_gives(
    sold: Subscribers, days: int, ends: int, billed: list[int]
) -> None:
    team = await sold.plan(price("base", "flat", "60"), trial_days=14)
    big = Wanted((await sold.plan(price("base", "flat", "90"), trial_days=days)).id, "EUR", "month")
    one = await sold.start(team)
    sold.at(2026, 4, 5, 12)
    owner = sold.shop.world.actor(sold.shop.customer, Role.OWNER)
    async with unit_of_work(owner, clock=FixedClock(sold.shop.now)) as uow:
        await subscriptions.change(uow, one.id, Wanted(team.id, "EUR", "month"))  # nothing else
        shown = await preview(uow, lambda work: subscriptions.change(work, one.id, big))
        after = await subscriptions.change(uow, one.id, big)
    assert after.trial_end == datetime(2026, 4, ends, 12, tzinfo=UTC)
    assert [line.amount_minor for told in shown.invoices for line in told.lines] == billed
    assert [line.amount_minor for line in await sold.lines()] == billed

    sold.at(2026, 4, 15, 12)
    after = await sold.run(one)
    assert (after.state, after.anchor.day) == ("active", ends)
    assert [line.amount_minor for line in await sold.lines()] == [9_000]


async def test_a_pause_credits_what_is_left_and_resuming_bills_what_remains(sold: Subscribers) -> None:
    one = await sold.start(await sold.plan(price("base", "flat", "60")))
    sold.at(2026, 4, 11, 12)
    await sold.do(subscriptions.pause, one, resume_at=datetime(2026, 4, 21, 12, tzinfo=UTC))
    sold.at(2026, 4, 21, 12)
    after = await sold.run(one)

    assert after.state == "active"
    # Twenty of thirty days come back, and ten are billed again, on one document.
    assert [line.amount_minor for line in await sold.lines()] == [6_000, -4_000, 2_000]
    assert len(await sold.invoices()) == 2


async def test_it_ends_with_its_period_unless_taken_up_again_or_at_once_with_a_credit(
    sold: Subscribers,
) -> None:
    plan = await sold.plan(price("base", "flat", "60"))
    one = await sold.start(plan)
    sold.at(2026, 4, 11, 12)
    gone = await sold.do(subscriptions.cancel, one, reason=CancelReason.UNUSED, comment="Too quiet")
    assert (gone.state, gone.cancel_at) == ("canceled", datetime(2026, 5, 1, 12, tzinfo=UTC))
    with pytest.raises(SubscriptionStateConflict):
        await sold.change(one, plan)
    assert (await sold.do(subscriptions.reactivate, one)).state == "active"

    # The day of the end is consumed: 19 of 30 days come back.
    ended = await sold.do(subscriptions.cancel, one, now_at_once=True)
    assert (ended.state, ended.next_at) == ("ended", None)
    assert [line.amount_minor for line in await sold.lines()] == [6_000, -3_800]
    with pytest.raises(SubscriptionStateConflict):
        await sold.do(subscriptions.reactivate, one)


async def test_an_add_on_comes_and_goes_with_what_it_costs_and_is_set_up_once(sold: Subscribers) -> None:
    team = await sold.plan(price("base", "flat", "60"), price("setup", "one_off", "99"))
    extra = await sold.plan(
        price("base", "flat", "30"),
        price("training", "one_off", "50", quantity_min=Decimal(1)),
        addon_to=(team.id,),
    )
    one = await sold.start(team, quantities={"setup": Decimal(1)})
    sold.at(2026, 4, 16, 12)
    await sold.change(one, team, addons={extra.id: {"training": Decimal(2)}})
    await sold.change(one, team, behaviour=ProrationBehaviour.INVOICE_NOW)
    await sold.change(one, team, addons={extra.id: {}})

    assert await sold.amounts() == [("Base", 6_000), ("Setup", 9_900), ("Base", 1_500), ("Training", 10_000),
                                    ("Unused time: Base", -1_500), ("Unused time taken back: Base", 1_500)]  # fmt: skip
    with pytest.raises(Invalid, match="add-on"):
        await sold.start(extra)
    other = await sold.plan(price("base", "flat", "5"))
    with pytest.raises(Invalid, match="cannot be added"):
        await sold.change(one, other, addons={extra.id: {}})


async def test_usage_is_billed_when_its_time_is_over_and_counts_what_comes_late(sold: Subscribers) -> None:
    plan = await sold.plan(
        price("base", "flat", "10"),
        price("tokens", "metered", "0.01", meter="prompt_tokens", timing="arrears"),
    )
    one = await sold.start(plan)
    await sold.used(250, datetime(2026, 4, 30, 12, tzinfo=UTC))
    sold.at(2026, 5, 1, 12)
    waiting = await sold.run(one)
    (_, draft) = await sold.invoices()
    assert (draft.state, await sold.said(draft)) == ("draft", [("Tokens", 250), ("Base", 1_000)])
    assert waiting.next_at == draft.collect_until == datetime(2026, 5, 2, 12, tzinfo=UTC)

    await sold.used(50, datetime(2026, 5, 1, 11, 59, tzinfo=UTC))
    await sold.used(7_000, datetime(2026, 5, 1, 12, tzinfo=UTC))
    sold.at(2026, 5, 2, 12)
    await sold.run(one)
    (_, made) = await sold.invoices()
    assert (made.state, await sold.said(made)) == ("finalized", [("Tokens", 300), ("Base", 1_000)])


async def test_bad_wishes_are_refused_in_words_and_leave_nothing(sold: Subscribers) -> None:
    team = await sold.plan(
        price("seats", "seat", "30", quantity_min=Decimal(1), quantity_max=Decimal(100)),
        price("seats", "seat", "300", interval="year", quantity_min=Decimal(1)),
        price("seats", "seat", "33", "USD", quantity_min=Decimal(1)),
    )
    await sold.coupon("OLD", rate=Decimal("0.1"), expires_at=datetime(2026, 4, 2, tzinfo=UTC))
    await sold.coupon("DOLLARS", amount=Decimal(5), currency="USD")
    sold.at(2026, 4, 3)
    for wish, words in [
        ({"quantities": {"seats": Decimal(-1)}}, "negative"),
        ({"quantities": {"seats": Decimal(0)}}, "At least 1"),
        ({"quantities": {"seats": Decimal(10**12)}}, "At most 100"),
        ({"quantities": {"seats": Decimal("1.5")}}, "whole numbers"),
        ({"quantities": {"chairs": Decimal(1)}}, "chosen here by number"),
        ({"currency": "XXX"}, "currency"),
        ({"currency": "JPY"}, "not sold in JPY"),
        ({"interval": "week"}, "not sold in EUR by 1 week"),
        ({"interval": "fortnight"}, "no billing interval"),
        ({"coupon": "NONE"}, "no coupon"),
        ({"coupon": "OLD"}, "expired"),
        ({"coupon": "DOLLARS"}, "is in EUR"),
        ({"started_at": datetime(2020, 1, 1, tzinfo=UTC)}, "begins within"),
        ({"started_at": datetime(2029, 5, 1, tzinfo=UTC)}, "begins within"),
    ]:
        with pytest.raises(Invalid, match=words):
            await sold.start(team, **wish)
    one = await sold.start(team, key="same")
    assert (await sold.start(team, key="same")).id == one.id
    with pytest.raises(Invalid, match="billed in EUR"):
        async with sold.shop.work() as uow:
            await subscriptions.change(uow, one.id, Wanted(team.id, "USD", "month"))
    with pytest.raises(Invalid, match="not valid any more"):
        await sold.change(one, team, at=datetime(2026, 4, 1, tzinfo=UTC))
    assert len(await sold.invoices()) == 1


async def test_whoever_began_in_the_past_is_billed_for_each_period_since(sold: Subscribers) -> None:
    sold.at(2026, 5, 15)
    plan = await sold.plan(price("base", "flat", "60"))
    one = await sold.start(plan, started_at=datetime(2026, 1, 31, 12, tzinfo=UTC))

    starts = [line.period_start for line in await sold.lines()]
    assert [(at.month, at.day) for at in starts if at] == [(1, 31), (2, 28), (3, 31), (4, 30)]
    assert one.next_at == datetime(2026, 5, 31, 12, tzinfo=UTC)


async def test_a_note_takes_back_only_what_changes_of_the_subscription_left(sold: Subscribers) -> None:
    small, large = await sold.plan(price("base", "flat", "60")), await sold.plan(price("base", "flat", "90"))
    one = await sold.start(small)
    (first,) = await sold.invoices()
    sold.at(2026, 4, 16, 12)
    await sold.change(one, large)
    with pytest.raises(Invalid):
        await sold.shop.credit(first, 3_571)

    note = await sold.shop.credit(first)

    assert (note.net_minor, note.tax_minor) == (3_000, 570)
    _, second = await sold.invoices()
    await sold.shop.credit(second)
    # Whatever is done next, a line that was taken back whole gives nothing again.
    await sold.do(subscriptions.cancel, one, now_at_once=True)
    assert [line.amount_minor for line in await sold.lines()][3:] == [0]
