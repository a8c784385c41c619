"""Whatever becomes of a subscription, its documents, coupons, tax, journals and explanations agree with the time."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import count
from typing import Any

from hypothesis import example, given, note, settings
from hypothesis import strategies as st

from models.billing import InvoiceState
from models.money import Money, currency
from models.plans import Plan
from models.subscriptions import Subscription
from models.types import ProrationBehaviour as B
from services.billing import policies, queries
from services.catalog import coupons
from services.catalog.coupons import CouponFields
from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.core.errors import Conflict
from services.core.permissions import Capability
from services.subscriptions import rows as subscription_rows
from services.subscriptions import subscriptions
from services.subscriptions.previewing import preview
from services.subscriptions.selecting import Wanted
from services.subscriptions.subscribed import Subscribed
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.integration.billing.shop import Shop, open_shop
from tests.integration.billing.subscribers import Subscribers, price
from tests.unit.billing.test_subscription_histories import cost
from tests.world import World

CURRENCIES = ("EUR", "JPY", "KWD")
RATE = Decimal("0.2")
BEGAN = datetime(2026, 1, 31, 10, 30, tzinfo=UTC)
_numbers = count()

ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("advance"), st.integers(0, 45 * 86_400)),
        st.tuples(
            st.just("change"), st.sampled_from([0, 1]), st.integers(1, 5),
            st.sampled_from([None, B.INVOICE_NOW, B.NEXT_INVOICE, B.RESET_CYCLE, B.NEXT_PERIOD]),
        ),
        st.tuples(st.just("back"), st.sampled_from([0, 1]), st.integers(1, 5)),
        st.tuples(st.just("pause")),
        st.tuples(st.just("resume")),
        st.tuples(st.just("cancel")),
        st.tuples(st.just("reactivate")),
    ),
    min_size=2,
    max_size=8,
)  # fmt: skip


class Life:
    """One subscription with a coupon of a fifth for ever, and what its time costs."""

    def __init__(self, sold: Subscribers, plans: list[Plan], one: Subscription) -> None:
        self.sold, self.plans, self.one, self.owed = sold, plans, one, Fraction(0)
        self.seats, self.plan = 2, 0

    async def standing(self) -> Subscribed:
        async with self.sold.shop.work() as uow:
            row = await policies.subscription_for(uow, self.one.id, Capability.SUBSCRIPTIONS_READ)
            return (await subscription_rows.load(uow, row))[1]

    async def advance(self, seconds: int) -> None:
        """Moment by moment, as a clock is turned."""
        shop = self.sold.shop
        end = shop.now + timedelta(seconds=seconds)
        while shop.now < end:
            now, row = await self.standing(), await self.sold.run(self.one)
            until = min(end, row.next_at or end)
            if now.state in ("active", "canceled"):
                self.owed += cost(now, shop.now, until)
            shop.now = until
            await self.sold.run(self.one)

    async def change(self, plan: int, seats: int, behaviour: B | None) -> None:
        """As it was shown, to the last unit."""
        wanted = Wanted(self.plans[plan].id, self.one.currency, "month", quantities={"seats": Decimal(seats)})
        async with self.sold.shop.work() as uow:
            shown = await preview(
                uow, lambda work: subscriptions.change(work, self.one.id, wanted, behaviour=behaviour)
            )
        before = {one.id for one in await self.sold.invoices() if one.number}
        async with self.sold.shop.work() as uow:
            await subscriptions.change(uow, self.one.id, wanted, behaviour=behaviour, at=shown.at)
        made = [one for one in await self.sold.invoices() if one.number and one.id not in before]
        told = [one.total_minor for one in shown.invoices if one.billed_at <= self.sold.shop.now]
        assert [one.total_minor for one in made] == told
        if behaviour in (B.INVOICE_NOW, B.NEXT_INVOICE, B.RESET_CYCLE):
            self.plan, self.seats = plan, seats

    async def act(self, act: Any) -> None:
        match act:
            case ("advance", seconds):
                await self.advance(seconds)
            case ("change", plan, seats, behaviour):
                await self.change(plan, seats, behaviour)
            case ("back", plan, seats):
                was = (self.plan, self.seats)
                await self.change(plan, seats, B.INVOICE_NOW)
                await self.change(*was, B.INVOICE_NOW)
            case ("pause",):
                await self.sold.do(subscriptions.pause, self.one)
            case ("resume",):
                await self.sold.do(subscriptions.resume, self.one)
            case ("cancel",):
                await self.sold.do(subscriptions.cancel, self.one)
            case _:
                await self.sold.do(subscriptions.reactivate, self.one)


async def play(sold: Subscribers, plans: list[Plan], code: str, acts: Any) -> None:
    shop = sold.shop
    shop.now = BEGAN
    await shop.new_customer()
    one = await sold.start(plans[0], currency=code, quantities={"seats": Decimal(2)}, coupon="FIFTH")
    life = Life(sold, plans, one)
    for act in acts:
        with suppress(Conflict):
            await life.act(act)
    with suppress(Conflict):
        await sold.do(subscriptions.cancel, one, now_at_once=True)
    await check(shop, sold, code, life.owed)


async def check(shop: Shop, sold: Subscribers, code: str, owed: Fraction) -> None:
    made = [one for one in await sold.invoices() if one.state != InvoiceState.VOID]
    assert all(one.number for one in made)
    lines = [(one, line) for one in made for line in await shop.lines(one)]
    async with shop.work() as uow:
        for one, line in lines:
            assert (await queries.explain(uow, one, line.id)).agrees, (one.number, line.description)
    unit = Fraction(1, 10 ** currency(code).exponent)
    net = Fraction(Money(sum(one.net_minor for one in made), code).amount)
    assert abs(net - owed * Fraction(1 - RATE)) <= unit * 2 * len(lines)
    book = await shop.balances()
    due = sum(one.due_minor for one in made)
    left = await sold.credits()
    assert book.get("receivable", 0) == due
    assert book.get("customer_credit", 0) == left
    assert book.get("tax_owed", 0) == sum(one.tax_minor for one in made)
    await shop.earn(shop.now + timedelta(days=800))
    assert (await shop.balances()).get("deferred_revenue", 0) == 0


async def offered(sold: Subscribers) -> list[Plan]:
    """Two plans in each currency, one in advance and the other by days; and the coupon."""
    plans = [
        await sold.plan(
            *[price("base", "flat", base, code, proration=policy) for code in CURRENCIES],
            *[
                price("seats", "seat", seat, code, proration=policy, quantity_min=Decimal(1))
                for code in CURRENCIES
            ],
        )
        for base, seat, policy in (("19.99", "7.77", "second"), ("150", "3.33", "minute"))
    ]
    async with crossing(Reason.CATALOG, actor=system()) as uow:
        await coupons.create_coupon(uow, CouponFields("FIFTH", "A fifth off", rate=RATE, duration="forever"))
    return plans


async def test_papers_agree_with_the_time(world: World) -> None:
    sold, loop = Subscribers(await open_shop(world)), asyncio.get_running_loop()
    plans = await offered(sold)

    @settings(max_examples=12)
    @given(st.sampled_from(CURRENCIES), ACTS)
    # What was charged and credited on one document had no discount, and was restored on the next one with a discount.
    @example("EUR", [("change", 0, 1, B.NEXT_INVOICE), ("back", 0, 2)])
    def histories(code: str, acts: Any) -> None:
        note(f"{code}: {acts!r}")  # what to put into CASES
        asyncio.run_coroutine_threadsafe(play(sold, plans, code, acts), loop).result()

    await asyncio.to_thread(histories)

    await assert_invariants(but=MADE_BY_HAND)
