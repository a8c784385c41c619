"""What is used by the price list is billed once, month by month: by a wallet, by a plan, or on an invoice."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from models.billing import ZeroDocuments
from models.catalog import Price
from models.gateway import AiModel, Upstream
from models.money import Money
from models.types import BillingMode, OrganizationKind, Role
from services.billing import explaining, profiles
from services.billing_runs import clock_turning, running, usage_running
from services.core import listing_sql
from services.core.actor import system
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.errors import Conflict, Forbidden, NotFound
from services.gateway.calls import Call
from services.gateway.settlement import settle
from services.identity import clocks
from services.metering.rules import UsageEventIn, gateway_event
from services.metering.service import ensure_platform_meters, record
from services.papers.designs import Design
from services.papers.saying import invoice_says
from services.subscriptions import subscriptions
from services.wallets import wallets
from state.governance.usage_periods import UsagePeriodsState
from tests.checks import assert_invariants
from tests.integration.billing.shop import BUYER, Shop, open_shop
from tests.integration.billing.subscribers import Subscribers, price
from tests.integration.billing.test_billing_run import NOT_HERE
from tests.integration.state.visitor import sign_in
from tests.world import LONG_AGO, World

LATE = "Late usage: Usage of m"


class Sales:
    """What `shop` sells by the price list: `m` and `n`, in euros for a thousand of each."""

    def __init__(self, shop: Shop) -> None:
        self.shop, self.sold, self.calls = shop, Subscribers(shop), 0

    def at(self, *when: int) -> None:
        self.sold.at(*when)

    async def call(
        self, when: datetime, prompt: int, completion: int = 0, *, model: str = "m", paid_ahead: bool = False,
        status: int = 200,
    ) -> UsageEventIn:  # fmt: skip
        """A call of the customer, as its settlement books it."""
        self.calls += 1
        event = gateway_event(
            organization_id=self.shop.customer.id, request_id=f"r{self.calls}", time=when, model=model, key_id="k",
            prompt_tokens=prompt, completion_tokens=completion, endpoint="chat", status=status, paid_ahead=paid_ahead,
        )  # fmt: skip
        await self.book(event)
        return event

    async def book(self, *events: UsageEventIn) -> None:
        async with crossing(Reason.DEMO) as uow:
            await record(uow, events)

    async def run(self, *when: int) -> None:
        self.at(*when)
        await running.bill_due(clock=FixedClock(self.shop.now))

    async def periods(self) -> list[tuple[datetime, datetime, str]]:
        async with crossing(Reason.STAFF, actor=system()) as uow:
            rows = await listing_sql.select(uow, usage_running.PERIODS)
        mine = [row for row in rows if row.organization_id == self.shop.customer.id]
        return [(row.starts_at, row.ends_at, row.state) for row in reversed(mine)]

    async def asked(self) -> list[tuple[str, int]]:
        """Descriptions of the customer's lines, and what each asks for beyond what was billed before."""
        return [
            (one.description, one.amount_minor - one.billed_before_minor) for one in await self.sold.lines()
        ]

    async def explained(self) -> None:
        """Each line that was billed is worked out again to the same cent, and can be printed."""
        async with self.shop.work() as uow:
            for invoice in await self.sold.invoices():
                lines = await self.shop.lines(invoice)
                for line in lines:
                    assert (await explaining.explain(uow, invoice, line)).agrees
                if invoice.number:
                    assert len(invoice_says(invoice, lines, Design(), due_minor=0).lines) == len(lines)


async def opened(world: World, **more: Any) -> Sales:
    shop = await open_shop(world, grace_hours=24, zero_documents=ZeroDocuments.DROP, **more)
    async with crossing(Reason.CATALOG) as uow:
        await ensure_platform_meters(uow)
        made: Any = {"created_at": LONG_AGO}
        uow.add(Upstream(id="ups_1", name="Up", base_url="http://127.0.0.1", on_hangup="drain", **made))
        await uow.session.flush()
        for model, meter, amount in (
            ("m", "prompt_tokens", "2.5"), ("m", "completion_tokens", "10"), ("m", "requests", "3"),
            ("n", "prompt_tokens", "1"), ("n", "completion_tokens", "1"),
        ):  # fmt: skip
            if meter == "prompt_tokens":
                uow.add(
                    AiModel(
                        id=f"model_{model}", slug=model, name=model, upstream_id="ups_1", upstream_model=model,
                        context_tokens=1, **made,
                    )
                )  # fmt: skip
                await uow.session.flush()
            uow.add(
                Price(
                    id=f"prc_{model}_{meter}", model=model, meter=meter, currency="EUR", unit_amount=Decimal(amount),
                    per_units=1_000, valid_from=LONG_AGO, **made,
                )
            )  # fmt: skip
    sales = Sales(shop)
    sales.at(2026, 3, 10, 9)
    await shop.new_customer(name="Buyer", currency="EUR", timezone="Europe/Berlin")
    return sales


@pytest.fixture
async def sales(world: World) -> Sales:
    return await opened(world)


def utc(*when: int) -> datetime:
    return datetime(*when, tzinfo=UTC)  # type: ignore[arg-type]


async def test_a_month_is_billed_by_model_once_and_what_came_late_by_the_next_one(sales: Sales) -> None:
    await sales.run(2026, 3, 10, 9)
    await sales.call(utc(2026, 3, 31, 21, 59), 1_000, 100)  # 2.50 + 1.00 + 0.003: still March in Berlin
    await sales.call(utc(2026, 3, 31, 22, 0), 400)  # April
    await sales.call(utc(2026, 3, 20), 333, model="n", status=500)  # tokens are charged whatever became of it
    again = await sales.call(utc(2026, 3, 20), 1, model="unpriced")
    assert await sales.sold.invoices() == []

    await sales.run(2026, 3, 31, 22, 5)
    await sales.call(utc(2026, 3, 15), 2_000)  # late, and the draft still waits: 5.003
    await asyncio.gather(*(sales.run(2026, 4, 1, 23) for _ in range(3)))
    (march,) = await sales.sold.invoices()
    assert (march.state, march.net_minor) == ("finalized", 851 + 33)
    assert await sales.sold.said(march) == [("Usage of m", 851), ("Usage of n", 33)]  # 8.506 and 0.333
    printed = invoice_says(march, await sales.shop.lines(march), Design(), due_minor=0)
    assert printed.lines[0].details == (
        "3000 × 2.5 / 1000 = 7.5", "100 × 10 / 1000 = 1", "2 × 3 / 1000 = 0.006",
    )  # fmt: skip
    await sales.call(utc(2026, 3, 15), 5_000)
    await sales.book(again, again)  # which has no price, and is there already
    await sales.run(2026, 4, 3)
    assert len(await sales.sold.invoices()) == 1

    await sales.run(2026, 5, 1)
    await sales.run(2026, 5, 2, 23)
    assert await sales.asked() == [
        ("Usage of m", 851), ("Usage of n", 33), ("Usage of m", 100), (LATE, 1250)
    ]  # fmt: skip
    late = (await sales.sold.lines())[-1]
    assert (late.amount_minor, late.billed_before_minor, late.period_end) == (2101, 851, utc(2026, 3, 31, 22))
    await sales.run(2026, 9, 2, 23)
    assert len(await sales.sold.invoices()) == 2  # nothing is asked for twice, and for nothing nothing
    assert [state for _, _, state in await sales.periods()] == ["closed"] * 8 + ["open"]
    await sales.explained()
    await assert_invariants(but=NOT_HERE)


async def test_calls_cost_their_price_once_whoever_pays(sales: Sales, world: World) -> None:
    """Of each call one pays what each meter of it costs: the wallet, the plan that meters it, or the price list."""
    plan = await sales.sold.plan(price("out", "metered", "0.05", meter="completion_tokens"))
    await sales.shop.new_customer(
        name="Both", currency="EUR", timezone="Europe/Berlin", billing_mode=BillingMode.PREPAID
    )
    await sales.run(2026, 3, 10, 9)
    async with sales.shop.work() as uow:
        await wallets.top_up(uow, money=Money(10_00, "EUR"), payment_key="p")
    one = await sales.sold.start(plan)
    ahead = Call("paid", sales.shop.customer.id, "k", "", "chat", utc(2026, 3, 11), "", "", "m", reserved="1")
    ahead.prompt_tokens, ahead.completion_tokens, ahead.status = 100, 100, 200
    unpriced = replace(ahead, id="unpriced", model="x")
    async with crossing(Reason.GATEWAY_SETTLEMENT) as uow:
        await settle(
            uow, [ahead, unpriced]
        )  # 0.25 + 1 + 0.003 by the wallet; what has no price is the plan's
    await sales.call(
        utc(2026, 3, 12), 1_000, 40
    )  # it pays afterwards now: 2.00 by the plan, 2.503 by the list
    sales.at(2026, 3, 13, 9)
    async with sales.shop.work() as uow:
        await subscriptions.pause(uow, one.id)

    await sales.call(utc(2026, 3, 10, 9, 30), 0, 10)  # late, to the plan: 0.50
    await sales.call(utc(2026, 3, 10, 8, 59), 0, 10)  # from before there was the plan: 0.103
    await sales.call(utc(2026, 3, 14), 0, 10)  # while it is paused: 0.103
    for month, day in ((4, 1), (4, 12), (5, 2)):
        await sales.run(2026, month, day)

    async with sales.shop.work() as uow:
        debits = await uow.execute("select sum(minor) from wallet_debit where kind = 'usage'")
        left = await uow.execute("select accrued from wallet")
        assert (debits.scalar_one(), left.scalar_one()) == (1_25, Decimal("0.003"))
    lines = [(line.metric, line.amount_minor) for line in await sales.sold.lines()]
    assert sorted(lines, key=str) == [("completion_tokens", 750), (None, 271)]  # 2.503 + 0.003 + 2 * 0.103
    await sales.explained()
    await assert_invariants(but=NOT_HERE)


@pytest.mark.parametrize(("noted", "back"), [(0, -250), (119, -250), (238, -150), (None, 0)])
async def test_a_subscription_that_began_before_it_was_made_takes_over_what_it_meters(
    sales: Sales, noted: int | None, back: int
) -> None:
    """The price list gives back what it billed, and of that what credit notes left."""
    await sales.run(2026, 3, 10, 9)
    await sales.call(utc(2026, 3, 12), 1_000, 100)  # 2.50 + 1.00 + 0.003
    for when in ((4, 1), (4, 2, 23)):
        await sales.run(2026, *when)
    if noted != 0:
        await sales.shop.credit((await sales.sold.invoices())[0], noted)
    plan = await sales.sold.plan(price("in", "metered", "0.001", meter="prompt_tokens"))
    sales.at(2026, 4, 20)
    await sales.sold.start(plan, started_at=utc(2026, 3, 10))
    await sales.call(utc(2026, 4, 22), 0, 1_000)  # 10 and 0.003
    for when in ((4, 22), (5, 1), (5, 2, 23), (6, 1), (6, 2, 23)):
        await sales.run(2026, *when)

    asked = [one for one in await sales.asked() if one[1]]
    given = [(LATE, back)] if back else []
    assert sorted(asked) == [("In", 100), *given, ("Usage of m", 350), ("Usage of m", 1000)]
    await sales.explained()
    await assert_invariants(but=NOT_HERE)


async def test_usage_that_cannot_be_billed_waits_with_the_reason_until_it_can(
    sales: Sales, world: World
) -> None:
    nobody = await sales.shop.new_customer(None, name="Nobody", currency="EUR")
    await sales.run(2026, 3, 10, 9)
    await sales.call(utc(2026, 3, 12), 1_000)
    for when in ((4, 1), (4, 3), (4, 3)):
        await sales.run(2026, *when)
    operator = await world.organization(OrganizationKind.OPERATOR)
    staff, support = (world.actor(operator, role) for role in (Role.OPERATOR, Role.SUPPORT))
    async with crossing(Reason.STAFF, actor=support) as uow:
        (row,) = await listing_sql.select(uow, usage_running.PERIODS, ("state", "parked"))
        assert (row.organization_id, row.attempts, row.retry_at) == (nobody.id, 1, utc(2026, 4, 3, 0, 5))
        assert "Enter its billing profile" in (row.parked_reason or "")
        with pytest.raises(Forbidden):
            await usage_running.try_again(uow, row.id)
    async with sales.shop.work() as uow:
        await profiles.set_profile(uow, BUYER)
    visitor, _ = await sign_in(world, operator, Role.OPERATOR)
    visitor.at = "/governance/billing-runs/usage"
    seen, _ = await visitor.call(UsagePeriodsState, "load")
    (shown,) = [one for one in seen.rows if one["state"] == "parked"]
    assert (shown["organization"], shown["parked_reason"]) == ("Nobody", row.parked_reason)
    await visitor.call(UsagePeriodsState, "try_again", row.id)
    async with crossing(Reason.STAFF, actor=staff) as uow:
        with pytest.raises(NotFound):
            await usage_running.try_again(uow, "uper_x")
    await sales.run(2026, 4, 3)
    with pytest.raises(Conflict, match="not parked"):
        async with crossing(Reason.STAFF, actor=staff) as uow:
            await usage_running.try_again(uow, row.id)
    assert await sales.asked() == [("Usage of m", 250)]


@pytest.mark.parametrize("at_once", [False, True])
async def test_what_comes_late_to_a_subscription_that_has_ended_is_billed_once_more(
    sales: Sales, at_once: bool
) -> None:
    plan = await sales.sold.plan(price("in", "metered", "0.01", meter="prompt_tokens"))
    one = await sales.sold.start(plan)
    await sales.call(utc(2026, 3, 12), 100, model="x")
    sales.at(2026, 3, 20)
    await sales.sold.do(subscriptions.cancel, one, now_at_once=at_once)
    ended = utc(2026, 3, 20) if at_once else utc(2026, 4, 10, 8)  # summer has begun
    for when in (ended, ended + timedelta(days=2)):
        sales.shop.now = when
        await running.bill_due(clock=FixedClock(when))
    assert await sales.asked() == [("In", 100)]

    await sales.call(utc(2026, 3, 15), 70, model="x")
    for days in (20, 34, 36, 36, 80):
        sales.shop.now = ended + timedelta(days=days)
        await running.bill_due(clock=FixedClock(sales.shop.now))
        assert len(await sales.sold.invoices()) == (2 if days > 35 else 1)

    assert await sales.asked() == [("In", 100), ("Late usage: In", 70)]
    *_, note = await sales.sold.lines()
    assert (note.period_start, note.period_end) == (utc(2026, 3, 10, 9), ended)
    await sales.explained()
    await assert_invariants(but=NOT_HERE)


async def test_who_is_put_on_a_clock_is_billed_for_what_they_use_by_it(world: World) -> None:
    sales = await opened(world, is_test=True)
    async with crossing(Reason.DEMO) as uow:
        await uow.execute("update organization set created_at = '2026-03-10T08:00:00Z'")
    await sales.run(2026, 3, 10, 9)  # begins their month on the wall
    staff = world.actor(await world.organization(OrganizationKind.OPERATOR), Role.OPERATOR)
    wall = FixedClock(utc(2026, 3, 10, 9))
    async with crossing(Reason.STAFF, actor=staff, clock=wall) as uow:
        clock = await clocks.create_test_clock(
            uow, sales.shop.customer.id, name="Trial", shows=utc(2025, 11, 30)
        )
    async with crossing(Reason.CATALOG) as uow:
        await uow.execute("update price set valid_from = '2025-01-01T00:00:00Z'")
    await sales.call(utc(2025, 12, 24), 1_000)
    async with crossing(Reason.STAFF, actor=staff, clock=wall) as uow:
        await clock_turning.turn(uow, clock.id, to=utc(2026, 1, 10))
    while await clock_turning.go_on(clock.id, clock=wall):
        pass

    assert await sales.asked() == [("Usage of m", 250)]
    assert [state for _, _, state in await sales.periods()][-1] == "open"
