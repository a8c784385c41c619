"""The billing run: all that is due is billed once, by whoever gets to it, and what cannot be waits alone."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from models.identity import Organization
from models.plans import Plan
from models.subscriptions import Subscription
from models.types import Role
from services.billing import policies, profiles
from services.billing_runs import overdue, parking, run_records, running
from services.billing_runs.running import Counts, TooMuchAtOnce
from services.core import listing_sql
from services.core.actor import system
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.errors import Conflict, Forbidden
from services.core.permissions import Capability
from services.core.work import unit_of_work
from services.invariants.book import RevenueIsEarnedInTime
from services.metering.rules import UsageEventIn
from services.metering.service import ensure_platform_meters, record
from services.subscriptions import billing as subscription_billing
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.integration.billing.papers_made import papers_made
from tests.integration.billing.shop import BUYER, Shop, open_shop
from tests.integration.billing.subscribers import Subscribers, price
from tests.world import World

APRIL = datetime(2026, 4, 1, 12, tzinfo=UTC)
NOT_HERE = (*MADE_BY_HAND, RevenueIsEarnedInTime)  # no relay runs, and no revenue
MAY = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
async def shop(world: World) -> Shop:
    return await open_shop(world, payment_days=14, grace_hours=0)


@pytest.fixture
def sold(shop: Shop) -> Subscribers:
    shop.now = APRIL
    return Subscribers(shop)


async def run(shop: Shop) -> Counts:
    return await running.bill_due(clock=FixedClock(shop.now))


async def customers(
    sold: Subscribers, plan: Plan, count: int, interval: str = "month"
) -> list[tuple[Organization, Subscription]]:
    made: list[tuple[Organization, Subscription]] = []
    for number in range(count):
        await sold.shop.new_customer(name=f"Customer {number}")
        made.append((sold.shop.customer, await sold.start(plan, interval)))
    return made


async def standing(organization: Organization, subscription: Subscription) -> Subscription:
    async with unit_of_work(system(organization.id)) as uow:
        return await policies.subscription_for(
            uow, subscription.id, Capability.SUBSCRIPTIONS_READ, lock=False
        )


async def test_what_is_due_is_billed_once_however_often_and_by_however_many(sold: Subscribers) -> None:
    plan = await sold.plan(price("base", "flat", "60"))
    await customers(sold, plan, 6)
    assert await run(sold.shop) == Counts()
    before = await papers_made()

    sold.shop.now = MAY
    counts = await asyncio.gather(*(run(sold.shop) for _ in range(3)))
    again = await run(sold.shop)

    assert sum(one.billed for one in counts) == 6
    assert (again, [one.parked for one in counts]) == (Counts(), [0, 0, 0])
    assert len(await papers_made()) == len(before) + 6
    await assert_invariants(but=NOT_HERE)
    async with crossing(Reason.BILLING) as uow:
        runs = await listing_sql.select(uow, run_records.RUNS)
    assert {(one.ended_at, one.started_at) for one in runs} == {(MAY, MAY)}
    assert sum(one.billed for one in runs) == 6
    await run_records.forget_old_runs(clock=FixedClock(MAY + run_records.KEPT))
    async with crossing(Reason.BILLING) as uow:
        assert await listing_sql.select(uow, run_records.RUNS) == []


async def test_one_that_cannot_be_billed_waits_alone_and_goes_on_when_it_can(
    sold: Subscribers, world: World
) -> None:
    plan = await sold.plan(price("base", "flat", "60"), trial_days=30)
    ((good, billed),) = await customers(sold, plan, 1)
    bad = await sold.shop.new_customer(None)
    parked = await sold.start(plan, started_at=MAY, trial_days=0)
    sold.shop.now = MAY
    assert await run(sold.shop) == Counts(due=2, billed=1, parked=1)
    row = await standing(bad, parked)
    assert row.parked_reason is not None
    assert row.parked_reason.endswith("Enter its billing profile: name, address and country.")
    assert (row.attempts, row.retry_at) == (1, MAY + parking.RETRY_WAITS[0])
    assert (await standing(good, billed)).next_at == datetime(2026, 6, 1, 12, tzinfo=UTC)

    assert await run(sold.shop) == Counts()  # it is not its turn
    for attempt, wait in enumerate((*parking.RETRY_WAITS[1:], parking.RETRY_WAITS[-1]), start=2):
        assert row.retry_at is not None
        sold.shop.now = row.retry_at
        assert await run(sold.shop) == Counts(due=1, parked=1)
        row = await standing(bad, parked)
        assert (row.attempts, row.retry_at) == (attempt, sold.shop.now + wait)
    async with crossing(Reason.INVARIANTS) as uow:
        told = await uow.execute("select count(*) from event where type = 'subscription.parked'")
        assert told.scalar_one() == 1

    staff = world.actor(bad, Role.OPERATOR)
    with pytest.raises(Forbidden):
        async with crossing(Reason.STAFF, actor=world.actor(bad)) as uow:
            await running.try_again(uow, parked.id)
    sold.shop.customer = bad
    async with sold.shop.work() as uow:
        await profiles.set_profile(uow, BUYER)
    async with crossing(Reason.STAFF, actor=staff) as uow:
        await running.try_again(uow, parked.id)
    assert await run(sold.shop) == Counts(due=1, billed=1)
    row = await standing(bad, parked)
    assert (row.parked_at, row.parked_reason, row.retry_at, row.attempts) == (None, None, None, 0)
    assert len(await sold.invoices()) == 1
    with pytest.raises(Conflict, match="not parked"):
        async with crossing(Reason.STAFF, actor=staff) as uow:
            await running.try_again(uow, parked.id)
    await assert_invariants(but=NOT_HERE)


async def test_a_subscription_that_makes_too_many_lines_is_not_billed(
    sold: Subscribers, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = await sold.plan(price("base", "flat", "1", interval="day"))
    ((organization, one),) = await customers(sold, plan, 1, "day")
    monkeypatch.setattr(running, "LINES_PER_DAY_MAX", 30)
    sold.shop.now = APRIL + timedelta(days=60)
    assert await run(sold.shop) == Counts(due=1, parked=1)
    row = await standing(organization, one)
    assert row.parked_reason is not None
    assert row.parked_reason.startswith("It made almost 30 lines within a day.")
    assert 20 <= len(await sold.invoices()) <= 30
    assert TooMuchAtOnce.status == 409

    while row.retry_at is not None:  # a day later the rest goes on, thirty at a time
        sold.shop.now = row.retry_at
        await run(sold.shop)
        row = await standing(organization, one)
    billed = await sold.invoices()
    assert len(billed) == (sold.shop.now - APRIL).days + 1
    assert row.next_at is not None
    assert row.next_at > sold.shop.now


async def test_a_draft_that_somebody_finalised_leaves_nothing_due(sold: Subscribers) -> None:
    plan = await sold.plan(price("base", "flat", "60"))
    ((organization, one),) = await customers(sold, plan, 1)
    async with crossing(Reason.DEMO) as uow:  # as if it had waited for a draft that is gone
        await uow.execute("update subscription set next_at = :at", at=APRIL + timedelta(days=2))
    sold.shop.now = APRIL + timedelta(days=3)
    assert await run(sold.shop) == Counts(due=1, billed=1)
    assert (await standing(organization, one)).next_at == MAY


async def test_an_overdue_invoice_makes_it_past_due_until_it_is_paid(sold: Subscribers) -> None:
    plan = await sold.plan(price("base", "flat", "60"))
    ((organization, one),) = await customers(sold, plan, 1)
    (invoice,) = await sold.invoices()
    assert invoice.due_date == date(2026, 4, 15)

    async def marked(*at: int) -> tuple[int, str]:
        changed = await overdue.mark_due(clock=FixedClock(datetime(*at, tzinfo=UTC)))  # type: ignore[arg-type]
        return changed, (await standing(organization, one)).state

    # Where it was issued it is summer: the day begins two hours before it does in UTC.
    assert await marked(2026, 4, 15, 21, 59) == (0, "active")
    assert await marked(2026, 4, 15, 22) == (1, "past_due")
    assert await marked(2026, 4, 15, 23) == (0, "past_due")
    sold.shop.now = datetime(2026, 4, 20, tzinfo=UTC)
    await sold.shop.credit(invoice)
    assert await marked(2026, 4, 20) == (1, "active")
    async with crossing(Reason.INVARIANTS) as uow:
        told = await uow.execute(
            "select payload->>'after' from event where type = 'subscription.state_changed' order by id"
        )
        assert list(told.scalars()) == ["past_due", "active"]


def used(organization: Organization, number: int, at: datetime, tokens: int) -> UsageEventIn:
    return UsageEventIn(
        "gateway", f"e{number}", "ai.request", at,
        {"prompt_tokens": tokens, "completion_tokens": 0, "status": 200}, "m", "k", organization.id,
    )  # fmt: skip


async def test_usage_that_comes_late_is_billed_once_with_the_next_invoice_under_its_own_period(
    sold: Subscribers,
) -> None:
    async with crossing(Reason.DEMO) as uow:
        await ensure_platform_meters(uow)
    plan = await sold.plan(
        price("base", "flat", "60"), price("tokens", "metered", "0.01", meter="prompt_tokens")
    )
    ((organization, one),) = await customers(sold, plan, 1)
    events = [used(organization, n, APRIL + timedelta(days=n), 100) for n in range(10)]

    async def send(*numbers: int) -> None:
        async with crossing(Reason.DEMO) as uow:
            await record(uow, [events[number] for number in numbers])

    async def billed(*at: int) -> list[tuple[str, Decimal, int, int]]:
        sold.at(*at)
        assert (await run(sold.shop)).parked == 0
        lines = await sold.shop.lines((await sold.invoices())[-1])
        return [(n.description, n.quantity, n.amount_minor, n.net_minor) for n in lines if n.metric]

    await send(0, 1, 2)
    assert await billed(2026, 5, 1, 12) == [("Tokens", 300, 300, 300)]
    await send(7, 1, 3, 0)  # late, in disorder, and some again
    assert await billed(2026, 6, 1, 12) == [("Tokens", 0, 0, 0), ("Late usage: Tokens", 500, 500, 200)]
    assert await billed(2026, 7, 1, 12) == [("Tokens", 0, 0, 0)]
    await send(8, 9)  # April is over for longer than it is looked at
    assert await billed(2026, 8, 1, 12) == [("Tokens", 0, 0, 0)]
    async with sold.shop.work() as uow:
        found = await uow.execute(
            "select distinct period_start, period_end from invoice_line where description like 'Late%'"
        )
        assert [tuple(row) for row in found] == [(APRIL, MAY)]
        row = await policies.subscription_for(uow, one.id, Capability.SUBSCRIPTIONS_WRITE)
        assert await subscription_billing.catch_up(uow, row, Capability.SUBSCRIPTIONS_WRITE) == 0
    await assert_invariants(but=NOT_HERE)
