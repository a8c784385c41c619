"""An organisation sees what its month comes to while it runs: to the cent what the billing run makes of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pytest

from models.money import Money
from models.types import OrganizationKind, Role
from services.billing import usage_months
from services.billing.usage_months import MonthSoFar
from services.billing_runs import clock_turning
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.errors import Forbidden, NotFound
from services.core.work import unit_of_work
from services.identity import clocks
from services.subscriptions.usage_so_far import UsedSoFar, used_so_far
from state.portal.usage_months import UsageMonthsState
from tests.integration.billing.subscribers import price
from tests.integration.billing.test_usage_by_price_list import Sales, opened, utc
from tests.integration.state.visitor import sign_in
from tests.world import World

WALL = utc(2026, 3, 10, 9)


class Clock:
    """The customer's time, which stands until it is turned."""

    def __init__(self, sales: Sales, world: World) -> None:
        self.sales, self.world, self.id = sales, world, ""

    async def stand(self, shows: datetime) -> None:
        self.staff = self.world.actor(await self.world.organization(OrganizationKind.OPERATOR), Role.OPERATOR)
        async with crossing(Reason.STAFF, actor=self.staff, clock=FixedClock(WALL)) as uow:
            made = await clocks.create_test_clock(uow, self.sales.shop.customer.id, name="Trial", shows=shows)
        self.id = made.id

    async def turn(self, to: datetime) -> None:
        async with crossing(Reason.STAFF, actor=self.staff, clock=FixedClock(WALL)) as uow:
            await clock_turning.turn(uow, self.id, to=to)
        while await clock_turning.go_on(self.id, clock=FixedClock(WALL)):
            pass

    async def running(self, role: Role = Role.DEVELOPER) -> MonthSoFar:
        async with unit_of_work(self.world.actor(self.sales.shop.customer, role)) as uow:
            found = await usage_months.running(uow)
        assert found is not None
        return found


async def test_a_running_month_comes_to_what_is_billed_when_it_ends(world: World) -> None:
    sales = await opened(world, is_test=True)
    async with crossing(Reason.CATALOG) as uow:
        await uow.execute("update price set valid_from = '2025-01-01T00:00:00Z'")
    clock = Clock(sales, world)
    await clock.stand(utc(2025, 11, 20))
    await clock.turn(utc(2025, 11, 20, 1))
    await sales.call(utc(2025, 11, 25), 1_000)
    await clock.turn(utc(2025, 12, 5))  # November is billed: 2.503
    plan = await sales.sold.plan(price("out", "metered", "0.05", meter="completion_tokens"))
    sales.at(2025, 12, 5)
    await sales.sold.start(plan)

    await sales.call(utc(2025, 11, 26), 2_000)  # late: 5.003
    await sales.call(utc(2025, 12, 6), 100, 7)  # 0.253, and what is put out by the plan
    await sales.call(utc(2025, 12, 7), 33, model="n")
    await sales.call(utc(2025, 12, 8), 4_000, 9, paid_ahead=True)
    await clock.turn(utc(2025, 12, 20, 12))
    await sales.call(utc(2025, 12, 20, 11, 59, 59), 1)  # with the others: 0.2585, rounded once
    await sales.call(utc(2025, 12, 20, 12, 0, 1), 50, paid_ahead=True)  # later than it is

    found = await clock.running()
    assert (found.state, found.counted_until) == ("open", utc(2025, 12, 20, 12))
    assert (found.ends_at, found.bills_at) == (utc(2025, 12, 31, 23), utc(2026, 1, 1, 23))
    assert [(line.description, line.asked_minor) for line in found.lines] == [
        ("Usage of m", 26), ("Usage of n", 3), ("Late usage: Usage of m", 501)
    ]  # fmt: skip
    assert found.totals == (Money(530, "EUR"),)
    assert [(part.meter, part.quantity) for part in found.lines[0].parts] == [
        ("prompt_tokens", 101), ("requests", 2)
    ]  # fmt: skip
    assert [step.formula for step in found.lines[0].steps] == ["101 × 2.5 / 1000", "2 × 3 / 1000"]
    assert [(one.meter, one.quantity) for one in found.by_plans] == [("completion_tokens", 7)]
    assert [(one.currency, one.calls, one.cost) for one in found.paid_ahead] == [
        ("EUR", 1, Decimal("10.093"))
    ]  # fmt: skip

    await clock.turn(utc(2025, 12, 31, 23, 30))
    waiting = await clock.running()
    assert (waiting.lines, waiting.totals) == ((), ())  # January has begun
    await clock.turn(utc(2026, 1, 2))
    (made,) = [one for one in await sales.sold.invoices() if one.key == f"{found.id}.EUR"]
    assert (Money(made.charged_minor, made.currency),) == found.totals
    await sales.explained()


async def test_a_metered_plan_shows_what_its_period_comes_to_so_far(world: World) -> None:
    sales = await opened(world)
    tiers = [{"up_to": "10", "unit_amount": "0"}, {"up_to": None, "unit_amount": "0.05"}]
    metered = price("out", "metered", "0", meter="completion_tokens")
    plan = await sales.sold.plan(
        replace(metered, definition={"model": "graduated", "tiers": tiers}),
        price("in", "metered", "0.001", meter="prompt_tokens"),
        price("base", "flat", "60"), trial_days=10,
    )  # fmt: skip
    sales.at(2026, 3, 1)
    one = await sales.sold.start(plan)

    async def used(role: Role = Role.BILLING) -> list[UsedSoFar]:
        actor = world.actor(sales.shop.customer, role)
        async with unit_of_work(actor, clock=FixedClock(sales.shop.now)) as uow:
            return await used_so_far(uow, one.id)

    await sales.call(utc(2026, 3, 5), 1_000, 100)  # in the trial, which is free
    assert await used() == []
    await sales.call(utc(2026, 3, 12), 500, 31)
    await sales.call(utc(2026, 3, 13), 9, 9, paid_ahead=True)
    await sales.run(2026, 3, 20)
    found = await used()
    assert [(line.meter, line.quantity, line.amount_minor) for line in found] == [
        ("completion_tokens", 31, 105), ("prompt_tokens", 500, 50)
    ]  # fmt: skip
    assert [step.formula for step in found[0].steps] == ["10 × 0", "21 × 0.05"]
    assert {(line.since, line.bills_at) for line in found} == {(utc(2026, 3, 11), utc(2026, 4, 10, 23))}
    with pytest.raises(Forbidden):
        await used(Role.DEVELOPER)

    for when in ((4, 11), (4, 13)):
        await sales.run(2026, *when)
    billed = {line.metric: line.amount_minor for line in await sales.sold.lines() if line.metric}
    assert billed == {line.meter: line.amount_minor for line in found}


async def test_the_page_shows_the_month_that_runs_and_those_that_were_billed(
    world: World,
) -> None:
    sales = await opened(world, is_test=True)
    async with crossing(Reason.CATALOG) as uow:
        await uow.execute("update price set valid_from = '2025-01-01T00:00:00Z'")
    clock = Clock(sales, world)
    await clock.stand(utc(2025, 11, 20))
    await clock.turn(utc(2025, 11, 20, 1))
    await sales.call(utc(2025, 11, 25), 1_000)
    await clock.turn(utc(2025, 12, 10))
    customer = sales.shop.customer
    biller, _ = await sign_in(world, customer, Role.BILLING)
    builder, _ = await sign_in(world, customer, Role.DEVELOPER)
    stranger, _ = await sign_in(world, await world.organization())

    biller.at = "/portal/usage/months"
    seen, _ = await biller.call(UsageMonthsState, "load")
    assert ([row["state"] for row in seen.rows], seen.totals) == (["open", "closed"], [])
    (invoice,) = seen.rows[1]["invoices"]
    (billed,) = await sales.sold.invoices()
    assert (invoice["name"], invoice["amount"]) == (billed.number, f"{billed.total_minor / 100}")

    await sales.call(utc(2025, 12, 9), 400)
    seen, _ = await biller.call(UsageMonthsState, "follow")
    assert [(line["name"], line["amount"]) for line in seen.lines] == [("m", "1")]
    seen, _ = await biller.call(UsageMonthsState, "explain", seen.lines[0]["id"])
    assert [step["formula"] for step in seen.steps] == ["400 × 2.5 / 1000 = 1", "1 × 3 / 1000 = 0.003"]
    seen, _ = await biller.call(UsageMonthsState, "close", False)
    assert (seen.steps, seen.totals) == ([], [{"currency": "EUR", "amount": "1"}])

    closed = f"/portal/usage/months?month={seen.rows[1]['id']}"
    biller.at = closed
    seen, _ = await biller.call(UsageMonthsState, "load")
    assert (seen.month["state"], seen.lines) == ("closed", [])
    builder.at = closed
    seen, _ = await builder.call(UsageMonthsState, "load")
    assert (seen.status, seen.rows[1]["invoices"]) == ("ready", [])  # who builds sees no invoices
    stranger.at = closed
    seen, _ = await stranger.call(UsageMonthsState, "load")
    assert (seen.status, seen.month) == ("missing", {})
    for role, error in ((Role.VIEWER, Forbidden), (Role.OWNER, NotFound)):
        async with unit_of_work(world.actor(customer, role)) as uow:
            with pytest.raises(error):
                await usage_months.so_far(uow, "uper_\x00'")
