"""Whatever happens in whatever order on a turned clock, money balances, documents explain themselves, each token is
billed once, and nothing is given back that did not come.

A history that fails is printed as a script: put it into CASES, and it is played each time.
"""

from __future__ import annotations

import asyncio
from ast import literal_eval
from itertools import cycle
from typing import Any

import pytest
from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from models.types import ProrationBehaviour
from tests.integration.billing import mixed_truth
from tests.integration.billing.mixed_history import Act, History
from tests.integration.billing.mixed_market import CURRENCIES, ZONES, Market
from tests.world import World

LATE_DAYS = 20  # a document comes at least each month, and usage is looked at for 35 days
PASSES = st.sampled_from([0, 0, 0, 1, 30, 24 * 9, 24 * 31])
WHICH, SEATS = st.integers(0, 3), st.integers(1, 4)
PLAN = st.sampled_from([0, 0, 1, 2, 3, 4, 5, 5, 6, 6])
BRAND, ENTITY, PAY_IN = st.integers(0, 6), st.integers(0, 2), st.sampled_from([None, 0, 3, 45])
EXTRA = st.sampled_from([False, False, True])
COUPON = st.sampled_from(["FIFTH", "LESS", "FREE", "TOKENS", "PLAN"])
CALL = st.tuples(st.integers(0, LATE_DAYS * 1_440), st.integers(0, 3_000), st.integers(0, 160))


class Mixed(RuleBasedStateMachine):
    """Random histories. `market` and `loop` are set by the test."""

    market: Market
    loop: asyncio.AbstractEventLoop

    def do(self, awaited: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(awaited, self.loop).result()

    @initialize(
        code=st.sampled_from(CURRENCIES),
        zone=st.sampled_from(ZONES),
        plan=PLAN,
        coupon=COUPON,
        extra=EXTRA,
        pace=st.lists(PASSES, min_size=1, max_size=7),
    )
    def begin(self, code: str, zone: str, plan: int, coupon: str, extra: bool, pace: list[int]) -> None:
        """`pace` is how many hours pass after each act, over and over. Left to be drawn as any other act, time hardly
        passed in most histories."""
        self.history, self.pace = History(self.market, code, zone), cycle(pace)
        self.do(self.history.begin())
        self.act("starts", plan, 2, 0, coupon, extra)

    def act(self, name: str, *given: Any) -> None:
        async def then_look(*acts: Act) -> None:
            for one in acts:
                await self.history.play(one)
                await mixed_truth.holds(self.history)

        hours = next(self.pace)
        self.do(then_look((name, *given), *([("turn", hours)] if hours else [])))

    @rule(hours=st.integers(1, 24 * 30))
    def turn(self, hours: int) -> None:
        self.act("turn", hours)

    @rule(zone=st.sampled_from(ZONES))
    def moves(self, zone: str) -> None:
        self.act("moves", zone)

    @rule(calls=st.lists(CALL, min_size=1, max_size=4), ahead=st.booleans(), twice=st.booleans())
    def calls_are_made(self, calls: list[tuple[int, int, int]], ahead: bool, twice: bool) -> None:
        self.act("calls_are_made", calls, ahead, twice)

    @rule(which=WHICH)
    def calls_are_told_again(self, which: int) -> None:
        self.act("calls_are_told_again", which)

    @rule(
        plan=PLAN,
        seats=SEATS,
        days_ago=st.sampled_from([0, 0, 3, 20]),
        coupon=st.one_of(st.just(""), COUPON),
        extra=EXTRA,
    )
    def starts(self, plan: int, seats: int, days_ago: int, coupon: str, extra: bool) -> None:
        self.act("starts", plan, seats, days_ago, coupon, extra)

    @rule(
        plan=PLAN,
        version=st.sampled_from([None, 1, 1, 2]),
        days=st.sampled_from([-3, 0, 1, 4, 9, 40]),
        pay_in=PAY_IN,
        coupon=st.one_of(st.just(""), COUPON),
    )
    def is_sold(self, plan: int, version: int | None, days: int, pay_in: int | None, coupon: str) -> None:
        self.act("is_sold", plan, version, days, pay_in, coupon)

    @rule(which=WHICH, pay_in=PAY_IN)
    def is_collected(self, which: int, pay_in: int | None) -> None:
        self.act("is_collected", which, pay_in)

    @rule(brand=BRAND)
    def comes_under(self, brand: int) -> None:
        self.act("comes_under", brand)

    @rule(entity=st.one_of(st.none(), ENTITY))
    def is_moved(self, entity: int | None) -> None:
        self.act("is_moved", entity)

    @rule(entity=ENTITY)
    def another_is_usual(self, entity: int) -> None:
        self.act("another_is_usual", entity)

    @rule(which=WHICH, coupon=COUPON)
    def takes_coupon(self, which: int, coupon: str) -> None:
        self.act("takes_coupon", which, coupon)

    @rule(
        which=WHICH,
        plan=PLAN,
        seats=SEATS,
        behaviour=st.sampled_from([None, *[one.value for one in ProrationBehaviour]]),
        extra=EXTRA,
    )
    def changes(self, which: int, plan: int, seats: int, behaviour: str | None, extra: bool) -> None:
        self.act("changes", which, plan, seats, behaviour, extra)

    @rule(which=WHICH, days=st.one_of(st.none(), st.integers(1, 10)))
    def pauses(self, which: int, days: int | None) -> None:
        self.act("pauses", which, days)

    @rule(which=WHICH, how=st.sampled_from(["resumes", "reactivates"]))
    def goes_on(self, which: int, how: str) -> None:
        self.act(how, which)

    @rule(which=WHICH, at_once=st.booleans())
    def cancels(self, which: int, at_once: bool) -> None:
        self.act("cancels", which, at_once)

    @rule(minor=st.integers(1, 50_000))
    def pays_ahead(self, minor: int) -> None:
        self.act("pays_ahead", minor)

    @rule(minor=st.integers(1, 5_000), days=st.integers(1, 40))
    def is_given(self, minor: int, days: int) -> None:
        self.act("is_given", minor, days)

    @rule(minor=st.integers(1, 30_000), brand=st.one_of(st.none(), BRAND))
    def is_billed(self, minor: int, brand: int | None) -> None:
        self.act("is_billed", minor, brand)

    @rule(which=WHICH, percent=st.integers(1, 110))
    def is_credited(self, which: int, percent: int) -> None:
        self.act("is_credited", which, percent)

    @rule(which=WHICH, how=st.sampled_from(["is_forgiven", "is_given_up"]))
    def is_let_off(self, which: int, how: str) -> None:
        self.act(how, which)

    @rule(which=WHICH, by_wallet=st.booleans())
    def pays(self, which: int, by_wallet: bool) -> None:
        self.act("pays", which, by_wallet)

    @rule(
        which=WHICH, percent=st.sampled_from([30, 100, 100, 130]), known=st.sampled_from([True, True, False])
    )
    def transfers(self, which: int, percent: int, known: bool) -> None:
        self.act("transfers", which, percent, known)

    @precondition(lambda self: self.history.paid)
    @rule(
        which=WHICH,
        how=st.sampled_from(["all", "part", "line", "credit"]),
        percent=st.sampled_from([1, 40, 60, 100, 101]),
        alone=st.sampled_from([True, True, False]),
    )
    def gives_back(self, which: int, how: str, percent: int, alone: bool) -> None:
        self.act("gives_back", which, how, percent, alone)

    @precondition(lambda self: self.history.asked_back)
    @rule(which=WHICH, what=st.sampled_from(["sends", "sends", "returns", "approves", "rejects", "gives_up"]))
    def refund_goes_on(self, which: int, what: str) -> None:
        self.act("refund_goes_on", which, what)

    def teardown(self) -> None:
        if hasattr(self, "history"):
            note(self.history.printed())
            self.do(mixed_truth.come_to_rest(self.history))
            self.do(mixed_truth.agrees(self.history))


# Histories that once went wrong, and one that does a little of everything.
CASES: list[tuple[str, str, list[Act]]] = [
    (
        "KWD",
        "Asia/Kolkata",
        [
            ("pays_ahead", 20_000), ("starts", 0, 2, 3, "FIFTH"), 
            ("calls_are_made", [(60, 500, 90), (5, 10, 20)], False, True),
            ("calls_are_made", [(30, 700, 50)], True, True), ("turn", 24 * 12), ("is_given", 900, 9),
            ("changes", 0, 1, 3, "invoice_now"), ("calls_are_made", [(20_000, 40, 40), (1, 900, 10)], False, False),
            ("is_sold", 0, 1, 4, 3, ""), ("comes_under", 1), ("is_collected", 0, 45), ("is_billed", 55, 2),
            ("moves", "America/New_York"), ("turn", 24 * 25), ("is_credited", 0, 40), ("changes", 0, 0, 1, None),
            ("pauses", 0, 6), ("calls_are_made", [(9_000, 3, 60)], False, False), ("turn", 24 * 30), ("is_billed", 777),
            ("pays", 1, True), ("cancels", 0, False), ("turn", 24 * 35),
            ("calls_are_made", [(28_000, 0, 9)], False, True),
        ],
    ),
    (
        "TND",
        "Australia/Lord_Howe",
        [
            ("starts", 0, 3, 0, "FIFTH"), ("is_billed", 5_000), ("turn", 30),
            ("calls_are_made", [(5, 400, 101), (1, 3, 7)], False, False), ("transfers", 1, 130, True),
            ("gives_back", 0, "part", 10, True), ("gives_back", 0, "line", 1, False),
            ("refund_goes_on", 0, "sends"), ("refund_goes_on", 0, "approves"), ("refund_goes_on", 0, "sends"),
            ("refund_goes_on", 0, "returns"), ("changes", 0, 0, 1, "invoice_now"), ("turn", 24 * 31),
            ("calls_are_told_again", 0), ("transfers", 0, 100, True), ("gives_back", 1, "credit", 40, True),
            ("gives_back", 1, "part", 101, True), ("gives_back", 1, "all", 1, True), ("gives_back", 1, "all", 1, True),
            ("refund_goes_on", 0, "gives_up"), ("turn", 1), ("transfers", 0, 100, False),
            ("gives_back", 2, "all", 1, False), ("gives_back", 0, "all", 1, True), ("refund_goes_on", 0, "rejects"),
            ("takes_coupon", 0, "LESS"), ("is_given_up", 4),
        ],
    ),
    (
        "TND",
        "Asia/Kathmandu",
        [
            ("starts", 5, 3, 0, "TOKENS"), ("calls_are_made", [(0, 180, 40)], False, False), ("turn", 30),
            ("pauses", 0, 1), ("turn", 30), ("calls_are_made", [(1, 150, 3), (1_900, 7, 0)], False, True), ("turn", 20),
            ("changes", 0, 4, 2, "invoice_now"), ("turn", 10), ("calls_are_made", [(1, 90, 3)], True, False),
            ("changes", 0, 5, 1, "invoice_now"), ("calls_are_made", [(0, 2_000, 3)], False, False), ("turn", 24 * 9),
            ("starts", 3, 1, 3, "PLAN", True), ("changes", 1, 3, 2, "next_invoice", False), ("turn", 24 * 10),
            ("changes", 0, 4, 1, None), ("calls_are_made", [(14_000, 33, 9)], False, False), ("turn", 24 * 20),
        ],
    ),
    (
        "JPY",
        "UTC",
        [
            ("starts", 0, 2, 0, "FIFTH"), ("calls_are_made", [(0, 0, 1)], False, False), ("starts", 0, 1, 0, ""),
            ("turn", 1),
        ],
    ),
    (
        "JPY",
        "UTC",
        [
            ("starts", 2, 2, 0, "FIFTH"), ("changes", 0, 0, 1, None), ("calls_are_made", [(0, 246, 13)], False, False),
            ("turn", 537),
        ],
    ),
    (
        "EUR",
        "Asia/Kathmandu",
        [
            ("starts", 2, 2, 0, ""), ("calls_are_made", [(0, 1, 11)], False, False), ("turn", 1),
            ("changes", 0, 0, 1, "invoice_now"), ("calls_are_made", [(0, 2, 12)], False, False), ("turn", 30),
            ("changes", 0, 1, 1, "invoice_now"), ("calls_are_made", [(0, 3, 13)], False, False), ("turn", 30),
            ("changes", 0, 0, 1, "invoice_now"), ("calls_are_made", [(0, 4, 14)], False, False), ("turn", 30),
            ("turn", 150), ("calls_are_made", [(0, 5, 15)], False, False),
        ],
    ),
    # A price that looks at each event asked for those that a wallet had paid.
    (
        "EUR",
        "UTC",
        [
            ("pays_ahead", 20_000), ("starts", 6, 1, 0, ""), ("calls_are_made", [(0, 50, 90)], True, False),
            ("calls_are_made", [(0, 70, 9)], False, False), ("turn", 24 * 32),
        ],
    ),
    # Another entity bills from now on, and does not credit what the first one billed; also while a draft waits.
    (
        "EUR",
        "Europe/Berlin",
        [
            ("starts", 1, 3, 0, ""), ("turn", 24 * 9), ("comes_under", 4), ("changes", 0, 1, 1, "invoice_now"),
            ("is_billed", 900, 1), ("turn", 24 * 9), ("comes_under", 0), ("changes", 0, 1, 4, "next_invoice"),
            ("comes_under", 1), ("changes", 0, 1, 2, "invoice_now"), ("is_credited", 1, 40), ("cancels", 0, True),
        ],
    ),
    # Moved among legal entities, two of which take the same tax, by name and by being the usual one.
    (
        "TND",
        "Europe/Berlin",
        [
            ("starts", 0, 3, 0, "FIFTH"), ("calls_are_made", [(0, 40, 120)], False, False), ("turn", 24 * 9),
            ("is_moved", 2), ("changes", 0, 1, 1, "invoice_now"), ("is_billed", 900, None), ("turn", 24 * 9),
            ("another_is_usual", 1), ("is_moved", None), ("changes", 0, 0, 2, "next_invoice"), ("turn", 24 * 30),
            ("calls_are_made", [(20_000, 90, 7)], False, True), ("another_is_usual", 0), ("is_credited", 1, 40),
            ("changes", 0, 3, 2, "invoice_now"), ("cancels", 0, True),
        ],
    ),
    (
        "EUR",
        "Europe/Berlin",
        [
            ("starts", 0, 1, 0, "FIFTH"), ("calls_are_made", [(0, 0, 90)], False, False), ("turn", 1),
            ("changes", 0, 1, 1, "invoice_now"), *[("is_credited", which, 60) for which in range(3)],
            ("turn", 30), ("changes", 0, 0, 1, "invoice_now"), ("calls_are_made", [(0, 0, 30)], False, False),
            ("turn", 24 * 35), *[("is_credited", which, 100) for which in range(5)],
            ("calls_are_made", [(60, 0, 3_000)], False, False),
        ],
    ),
    (  # what comes late of a period with a minimum, and stays below it
        "JPY", "UTC",
        [
            ("is_sold", 5, None, -3, None, ""), ("turn", 536), ("calls_are_made", [(422, 1_489, 20)], False, False),
            ("calls_are_made", [(15_781, 111, 0)], False, False),
        ],
    ),
]  # fmt: skip


async def machine(world: World, **how: Any) -> None:
    market, loop = await Market.open(world), asyncio.get_running_loop()
    mixed = type("Mixed", (Mixed,), {"market": market, "loop": loop})
    await asyncio.to_thread(run_state_machine_as_test, mixed, settings=settings(**how))


async def test_histories_that_once_went_wrong(world: World) -> None:
    market = await Market.open(world)
    for code, zone, script in CASES:
        history = History(market, code, zone)
        await history.begin()
        for act in script:
            await history.play(act)
            await mixed_truth.holds(history)
        assert literal_eval(history.printed()) == (code, zone, script)
        await mixed_truth.come_to_rest(history)
        await mixed_truth.agrees(history)


async def test_whatever_happens_money_balances_and_each_token_is_billed_once(world: World) -> None:
    await machine(world, max_examples=3, stateful_step_count=6, derandomize=True)


@pytest.mark.deep
@pytest.mark.timeout(3_600)
async def test_whatever_happens_money_balances_and_each_token_is_billed_once_many_times(world: World) -> None:
    await machine(world, max_examples=150, stateful_step_count=25)
