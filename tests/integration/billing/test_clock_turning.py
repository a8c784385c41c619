"""However a clock is turned, the same documents are made, the same journals booked, and all stands alike."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.billing import Invoice
from models.clock import TestClock
from models.identity import Organization
from models.money import Money
from models.payments import ProviderAccount
from models.subscriptions import Collection
from models.types import ProrationBehaviour, Role
from services.billing import customer_credits, finalizing, invoices, notes, profiles
from services.billing.series import SERIES
from services.billing_runs import clock_turning, running
from services.core import listing_sql
from services.core.actor import system
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.errors import Conflict, Forbidden, Invalid
from services.core.ids import new_id
from services.core.work import UnitOfWork, unit_of_work
from services.identity import clocks
from services.identity import queries as identity
from services.metering.rules import UsageEventIn
from services.metering.service import ensure_platform_meters, record
from services.payments import charging, queries, setups, transfers
from services.subscriptions import subscriptions
from services.subscriptions.arranging import Arrangement
from services.subscriptions.selecting import Wanted
from services.wallets import wallets
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.integration.billing.papers_made import EVERYTHING, papers_made
from tests.integration.billing.shop import BUYER, line, open_shop
from tests.integration.billing.subscribers import Subscribers, price
from tests.world import World

WALL = FixedClock(datetime(2026, 3, 10, 9, tzinfo=UTC))
BEGAN = datetime(2026, 1, 31, 10, 30, tzinfo=UTC)
DAY = timedelta(days=1)
LENGTH = timedelta(days=40)


class Trial:
    """Two organisations on one clock, with much that is to happen to them by itself."""

    def __init__(self, sold: Subscribers) -> None:
        self.world, self.sold = sold.shop.world, sold
        self.clock: TestClock
        self.organizations: list[Organization] = []
        self.staff: Any = None

    async def begin(self, *, follows_wall: bool = False) -> None:
        self.organizations = [await self.world.organization(name=name) for name in ("One", "Two")]
        operator = await self.world.organization(name="House")
        self.staff = self.world.actor(operator, Role.OPERATOR)
        async with crossing(Reason.STAFF, actor=self.staff, clock=WALL) as uow:
            self.clock = await clocks.create_test_clock(
                uow, self.organizations[0].id, name="Trial", shows=BEGAN, follows_wall=follows_wall
            )
            other = await uow.get(Organization, self.organizations[1].id)
            assert other is not None
            other.test_clock_id = self.clock.id
            await ensure_platform_meters(uow)
        plans = [
            await self.sold.plan(
                price("base", "flat", base),
                price("tokens", "metered", "0.01", meter="prompt_tokens"),
                trial_days=days,
            )
            for base, days in (("31", 0), ("7", 34))
        ]
        unmetered = await self.sold.plan(price("base", "flat", "29"))
        await self.sold.publish(unmetered, price("base", "flat", "31"))
        for number, organization in enumerate(self.organizations):
            async with self.work(organization) as uow:
                await wallets.grant(
                    uow, money=Money(900, "EUR"), key="g", expires_at=BEGAN + (12 + 9 * number) * DAY
                )
                if number == 0:
                    await profiles.set_profile(uow, BUYER)
                one = await subscriptions.start(uow, Wanted(plans[number].id, "EUR", "month"), key="s")
                if number == 0:
                    await subscriptions.change(
                        uow, one.id, Wanted(plans[1].id, "EUR", "month"),
                        behaviour=ProrationBehaviour.NEXT_PERIOD,
                    )  # fmt: skip
                    two = await subscriptions.start(uow, Wanted(unmetered.id, "EUR", "month"), key="t")
                    await subscriptions.pause(uow, two.id, resume_at=BEGAN + 33 * DAY)
                else:
                    await subscriptions.start(
                        uow, Wanted(unmetered.id, "EUR", "month"), key="later",
                        arranged=Arrangement(
                            BEGAN + 24 * DAY, plan_version=1, collection=Collection.SEND, payment_days=3
                        ),
                    )  # fmt: skip
        async with crossing(Reason.DEMO) as uow:
            await record(uow, [_used(self.organizations[0], n, BEGAN + n * 3 * DAY) for n in range(30)])

    def work(self, organization: Organization) -> Any:
        return unit_of_work(system(organization.id), clock=WALL)

    async def turn(self, to: datetime) -> None:
        async with crossing(Reason.STAFF, actor=self.staff, clock=WALL) as uow:
            await clock_turning.turn(uow, self.clock.id, to=to)
        await self.arrive()

    async def arrive(self) -> None:
        while (await self.read()).target_at is not None:
            await clock_turning.turn_due(clock=WALL)

    async def read(self) -> TestClock:
        async with crossing(Reason.BILLING) as uow:
            row = await uow.get(TestClock, self.clock.id)
            assert row is not None
            return row


def _used(organization: Organization, number: int, at: datetime) -> UsageEventIn:
    return UsageEventIn(
        "gateway", f"e{number}", "ai.request", at,
        {"prompt_tokens": 1_000, "completion_tokens": 0, "status": 200}, "m", "k", organization.id,
    )  # fmt: skip


async def opened(world: World, *, is_test: bool = True) -> Subscribers:
    return Subscribers(await open_shop(world, is_test=is_test, payment_days=10, grace_hours=30))


async def played(sold: Subscribers, cuts: Sequence[timedelta]) -> list[dict[str, Any]]:
    """All that is made when a clock is turned to each of these in turn, and then to the end."""
    trial = Trial(sold)
    await trial.begin()
    for cut in sorted(cuts):
        await trial.turn(BEGAN + cut)
    await trial.turn(BEGAN + LENGTH)
    return await papers_made(trial.clock.id, of=EVERYTHING)


async def hold(world: World, examples: int) -> None:
    sold, loop = await opened(world), asyncio.get_running_loop()
    at_once = await played(sold, ())
    lost = [one["happened_at"] for one in at_once if one.get("kind") == "breakage"]
    assert lost == [BEGAN + 21 * DAY]  # of who is not billed; the other one's paid an invoice

    @settings(max_examples=examples)
    @given(st.lists(st.timedeltas(timedelta(0), LENGTH), max_size=30))
    @example([DAY * number for number in range(1, LENGTH.days)])
    def splits(cuts: list[timedelta]) -> None:
        assert asyncio.run_coroutine_threadsafe(played(sold, cuts), loop).result() == at_once

    await asyncio.to_thread(splits)
    await assert_invariants(but=MADE_BY_HAND)


async def test_however_time_is_turned_the_same_is_made(world: World) -> None:
    await hold(world, examples=2)


@pytest.mark.deep
@pytest.mark.timeout(900)
async def test_however_time_is_turned_the_same_is_made_many_times(world: World) -> None:
    await hold(world, examples=60)


async def nobody_bills(trial: Trial, draft: Invoice, invoice: Invoice) -> None:
    """Each of staff's acts on documents and wallets waits until the clock is there."""
    staff = replace(trial.staff, organization_id=trial.organizations[0].id)
    euro = Money(100, "EUR")
    acts: dict[str, Callable[[UnitOfWork], Awaitable[object]]] = {
        "draft": lambda uow: invoices.create_draft(uow, key="n", currency="EUR"),
        "lines": lambda uow: invoices.add_lines(uow, draft.id, [line("1")]),
        "finalise": lambda uow: finalizing.finalize(uow, draft.id),
        "give up": lambda uow: invoices.void(uow, draft.id, reason="No"),
        "void": lambda uow: invoices.void(uow, invoice.id, reason="No"),
        "uncollectible": lambda uow: invoices.mark_uncollectible(uow, invoice.id),
        "note": lambda uow: notes.issue(uow, invoice.id, key="n", reason="No", asked=notes.Asked()),
        "credits": lambda uow: customer_credits.pay_by_credits(uow, invoice.id),
        "grant": lambda uow: wallets.grant(uow, money=euro, key="n"),
        "top-up": lambda uow: wallets.top_up(uow, money=euro, payment_key="n"),
    }
    for name, act in acts.items():
        with pytest.raises(Conflict) as refused:
            async with unit_of_work(staff, clock=WALL) as uow:
                await act(uow)
        assert refused.value.error_code == "clock_is_turning", (name, refused.value)


async def test_a_clock_that_is_turned_lets_nobody_act_until_it_is_there(world: World) -> None:
    trial = Trial(await opened(world))
    await trial.begin()
    first, second = trial.organizations
    to = BEGAN + 20 * DAY
    async with trial.work(first) as uow:
        draft, invoice = [
            await invoices.create_draft(uow, key=key, currency="EUR") for key in ("draft", "invoice")
        ]
        for one in (draft, invoice):
            await invoices.add_lines(uow, one.id, [line("10")])
        await finalizing.finalize(uow, invoice.id)
    with pytest.raises(Forbidden):
        async with crossing(Reason.STAFF, actor=world.actor(first), clock=WALL) as uow:
            await clock_turning.turn(uow, trial.clock.id, to=to)
    async with crossing(Reason.STAFF, actor=trial.staff, clock=WALL) as uow:
        await clock_turning.turn(uow, trial.clock.id, to=to)
    assert await clock_turning.go_on(trial.clock.id, clock=WALL, stops=2) == 2  # then its worker dies
    under_way = await trial.read()
    assert BEGAN < under_way.now_at < to
    for organization in (first, second):
        with pytest.raises(Conflict, match="is being turned to"):
            async with trial.work(organization) as uow:
                await subscriptions.start(uow, Wanted("plan_x", "EUR", "month"), key="n")
    await nobody_bills(trial, draft, invoice)
    with pytest.raises(Conflict, match="is being turned to"):
        async with crossing(Reason.STAFF, actor=trial.staff, clock=WALL) as uow:
            await clock_turning.turn(uow, trial.clock.id, to=to + DAY)

    await asyncio.gather(*(clock_turning.turn_due(clock=WALL) for _ in range(3)))  # others take it up
    await trial.arrive()
    row = await trial.read()
    assert (row.now_at, row.target_at) == (to, None)
    async with crossing(Reason.INVARIANTS) as uow:
        told = await uow.execute(
            "select type, count(*) from event where type like 'test_clock.%' group by 1 order by 1"
        )
        assert [tuple(one) for one in told] == [
            ("test_clock.advanced", 2), ("test_clock.created", 1), ("test_clock.turned", 2)
        ]  # fmt: skip
    with pytest.raises(Invalid, match="forward only"):
        await trial.turn(to - DAY)


async def test_a_clock_that_catches_up_with_the_wall_becomes_it(world: World) -> None:
    trial = Trial(await opened(world, is_test=False))
    await trial.begin(follows_wall=True)
    await trial.turn(WALL.at + 400 * DAY)
    row = await trial.read()
    assert (row.now_at, row.target_at) == (clocks.LATEST, None)
    assert (await running.bill_due(clock=WALL)).due == 0  # all was done on the way
    later = FixedClock(WALL.at + 40 * DAY)
    assert (await running.bill_due(clock=later)).due > 0


async def test_who_has_anything_real_is_not_put_on_a_clock(world: World) -> None:
    """By none of what it may have, so that no real document comes under an invented time."""
    sold = await opened(world, is_test=False)
    shop, plan = sold.shop, await sold.plan(price("base", "flat", "31"), trial_days=9)
    staff = world.actor(await world.organization(name="House"), Role.OPERATOR)

    async def subscribes() -> None:
        async with shop.work() as uow:
            await subscriptions.start(uow, Wanted(plan.id, "EUR", "month"), key="s")

    async def is_granted() -> None:
        async with shop.work() as uow:
            await wallets.grant(uow, money=Money(900, "EUR"), key="g")

    async def pays() -> None:
        async with shop.work() as uow:
            await transfers.record(uow, money=Money(900, "EUR"), key="t")

    for has in (
        subscribes,
        is_granted,
        pays,
        partial(shop.draft, line("10")),
        partial(shop.invoice, line("10")),
    ):
        whose = await shop.new_customer()
        await has()
        with pytest.raises(Conflict) as refused:
            async with crossing(Reason.STAFF, actor=staff, clock=WALL) as uow:
                await clocks.create_test_clock(uow, whose.id, name="Trial", shows=BEGAN)
        assert refused.value.error_code == "organization_in_use"


async def test_what_is_on_a_clock_is_marked_and_nobody_pays_real_money_there(world: World) -> None:
    """Nor is a way to do so offered, or kept."""
    shop = (await opened(world)).shop
    staff = world.actor(await world.organization(name="House"), Role.OPERATOR)
    async with crossing(Reason.STAFF, actor=staff, clock=WALL) as uow:
        await clocks.create_test_clock(uow, shop.customer.id, name="Trial", shows=BEGAN)
        real, play = new_id("pacc"), new_id("pacc")
        for name, is_test in ((real, False), (play, True)):
            uow.add(
                ProviderAccount(
                    id=name, provider="stripe", name=name, is_test=is_test, settings={}, secrets=b"",
                    created_at=BEGAN,
                )
            )  # fmt: skip
    invoice = await shop.invoice(line("10"))

    async with shop.work() as uow:
        assert [way.id for way in await queries.ways(uow)] == [play]
        for asked in (
            charging.start(uow, charging.Wanted(invoice.id, real, "k")),
            setups.start(uow, real, key="k"),
        ):
            with pytest.raises(Invalid) as refused:
                await asked
            assert refused.value.error_code == "provider_account_kind"
        assert (await charging.start(uow, charging.Wanted(invoice.id, play, "k"))).state == "sending"
    async with crossing(Reason.STAFF, actor=staff, clock=WALL) as uow:
        tried = await listing_sql.select(uow, identity.ORGANIZATIONS, ("on_clock", "true"))
        assert [one.id for one in tried] == [shop.customer.id]
        for is_test, numbered in (("true", 1), ("false", 0)):
            assert len(await listing_sql.select(uow, SERIES, ("is_test", is_test))) == numbered
