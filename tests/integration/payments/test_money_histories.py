"""Whatever happens in whatever order, and whoever dies on the way: our ledger is the provider's to the cent and the
chain's to the unit, nobody pays twice, what was paid is known as paid, and nothing stays unknown.

A history that fails is printed as a `script`: put it into CASES, and it is played each time.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from itertools import count, cycle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from services.core import crypto
from services.core.postgres import EmbeddedPostgres
from tests.integration.payments import money_chain, money_house, money_truth
from tests.integration.payments.money_history import Act, History
from tests.integration.payments.money_house import PAYPAL, STRIPE, Providers

WHICH, CODE = st.integers(0, 3), st.sampled_from([0, 0, 1, 2])
WHO = st.sampled_from([STRIPE, PAYPAL])
PAGE_CARDS = st.sampled_from(
    ["visa", "visa", "visa_chargeDeclined", "refundFail", "createDispute", "authenticationRequired"]
)
FAULTS = st.sampled_from(
    ["close_before", "close_after", "error_before", "error_after", "in_use", "locked", "limited"]
)
# How a bill is paid to begin with: acts upon the number of it.
WAY = st.sampled_from(
    [
        [], [("pays", "card")], [("pays", "page"), ("agrees", "visa")], [("pays", "buyer"), ("agrees", "visa")],
        [("pays", "wallet")], [("asks", "ETH"), ("sends_coins", 100)], [("asks", "USDX"), ("sends_coins", 130)],
        [("pays_at_bank", 100, True)], [("transfers", 130, True)],
    ]
)  # fmt: skip
PACE: list[Act | None] = [
    None, None, ("hears",), ("mines", 3), ("watches",), ("bank_tells", 1), ("turn", 26), ("reads_books",), ("collects",)
]  # fmt: skip
_numbers = count()


class Bench:
    """Where histories are played, one after the other, each in a house of its own."""

    def __init__(self, postgres: EmbeddedPostgres, providers: Providers, written: io.StringIO) -> None:
        self.postgres, self.providers, self.written = postgres, providers, written
        self._open = AsyncExitStack()

    async def begin(self) -> History:
        await self.end()
        name = f"history_{next(_numbers)}"
        house = await self._open.enter_async_context(money_house.opened(self.postgres, self.providers, name))
        return History(house, await money_chain.opened(house))

    async def end(self) -> None:
        await self._open.aclose()

    async def play(self, history: History, *acts: Act) -> None:
        for act in acts:
            await history.play(act)
            await money_truth.holds(history)
        self._say_nothing_went_wrong()

    async def settle(self, history: History) -> None:
        await money_truth.come_to_rest(history)
        await money_truth.agrees(history)
        self._say_nothing_went_wrong()

    def _say_nothing_went_wrong(self) -> None:
        """What is caught and tried again later is in the log, and none of it is meant to happen."""
        said = [json.loads(line) for line in self.written.getvalue().splitlines() if line.startswith("{")]
        self.written.truncate(0)
        self.written.seek(0)
        faults = [one for one in said if one.get("level") == "error"]
        assert not faults, "\n".join(str(one.get("exception") or one) for one in faults)


@pytest.fixture(scope="module")
def providers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Providers]:
    with money_house.started(tmp_path_factory.mktemp("providers")) as both:
        yield both


@pytest.fixture
def bench(postgres: EmbeddedPostgres, providers: Providers, tmp_path: Path, written: io.StringIO) -> Bench:
    crypto.install(crypto.file_vault(tmp_path))
    return Bench(postgres, providers, written)


class Money(RuleBasedStateMachine):
    """Random histories. `bench` and `loop` are set by the test."""

    bench: Bench
    loop: asyncio.AbstractEventLoop

    def do(self, awaited: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(awaited, self.loop).result()

    def act(self, name: str, *given: Any) -> None:
        works = next(self.pace)
        self.do(self.bench.play(self.history, (name, *given), *([works] if works else [])))

    @initialize(
        bills=st.lists(st.tuples(CODE, st.integers(100, 50_000), WAY), min_size=1, max_size=3),
        pace=st.lists(st.sampled_from(PACE), min_size=1, max_size=7),
    )
    def begin(self, bills: list[tuple[int, int, list[Act]]], pace: list[Act | None]) -> None:
        """Each bill is paid in some way, and `pace` is who works after each act, over and over: or else there is
        nothing yet to which most of what is drawn could happen."""
        self.history, self.pace = self.do(self.bench.begin()), cycle(pace)
        for number, (code, minor, way) in enumerate(bills):
            self.act("is_billed", code, minor)
            for name, *given in way:
                self.act(name, number, *given)

    @rule(code=CODE, minor=st.integers(60, 50_000))
    def is_billed(self, code: int, minor: int) -> None:
        self.act("is_billed", code, minor)

    @rule(which=WHICH, how=st.sampled_from(["card", "empty", "asks", "page", "wallet", "buyer"]))
    def pays(self, which: int, how: str) -> None:
        self.act("pays", which, how)

    @rule(which=WHICH, card=PAGE_CARDS)
    def agrees(self, which: int, card: str) -> None:
        self.act("agrees", which, card)

    @rule(which=WHICH, is_it=st.booleans())
    def authenticates(self, which: int, is_it: bool) -> None:
        self.act("authenticates", which, is_it)

    @rule(which=WHICH, what=st.sampled_from(["comes_back", "comes_back", "leaves"]))
    def looks(self, which: int, what: str) -> None:
        self.act(what, which)

    @rule(which=WHICH, asset=st.sampled_from(["ETH", "USDX"]))
    def asks(self, which: int, asset: str) -> None:
        self.act("asks", which, asset)

    @rule(which=WHICH, percent=st.sampled_from([1, 40, 60, 100, 100, 130]))
    def sends_coins(self, which: int, percent: int) -> None:
        self.act("sends_coins", which, percent)

    @rule(blocks=st.integers(1, 4))
    def mines(self, blocks: int) -> None:
        self.act("mines", blocks)

    @rule(blocks=st.integers(1, 6), comes_again=st.booleans())
    def goes_another_way(self, blocks: int, comes_again: bool) -> None:
        self.act("goes_another_way", blocks, comes_again)

    @rule()
    def comes_again(self) -> None:
        self.act("comes_again")

    @rule(for_now=st.booleans())
    def is_another_chain(self, for_now: bool) -> None:
        self.act("is_another_chain", for_now)

    @rule(which=WHICH, percent=st.sampled_from([30, 100, 130]), known=st.booleans())
    def transfers(self, which: int, percent: int, known: bool) -> None:
        self.act("transfers", which, percent, known)

    @rule(
        which=WHICH,
        percent=st.sampled_from([30, 100, 100, 130]),
        names_it=st.sampled_from([True, True, False]),
    )
    def pays_at_bank(self, which: int, percent: int, names_it: bool) -> None:
        self.act("pays_at_bank", which, percent, names_it)

    @rule(again=st.integers(0, 2))
    def bank_tells(self, again: int) -> None:
        self.act("bank_tells", again)

    @rule(percent=st.sampled_from([50, 97, 100, 173]))
    def rates_move(self, percent: int) -> None:
        self.act("rates_move", percent)

    @rule(which=WHICH, inquiry=st.booleans())
    def charges_back(self, which: int, inquiry: bool) -> None:
        self.act("charges_back", which, inquiry)

    @rule(which=WHICH, what=st.sampled_from(["won", "lost", "escalate"]))
    def decides(self, which: int, what: str) -> None:
        self.act("decides", which, what)

    @rule(which=WHICH, what=st.sampled_from(["warns", "sends_back", "pays_back"]))
    def goes_back(self, which: int, what: str) -> None:
        self.act(what, which)

    @rule(who=WHO, code=CODE)
    def pays_out(self, who: str, code: int) -> None:
        self.act("pays_out", who, code)

    @rule(
        who=WHO,
        kind=FAULTS,
        what=st.sampled_from(["asks", "pays", "page", "gives", "reads"]),
        method=st.sampled_from(["POST", "POST", "GET"]),
        times=st.sampled_from([1, 1, 4]),
    )
    def goes_wrong(self, who: str, kind: str, what: str, method: str, times: int) -> None:
        self.act("goes_wrong", who, kind, what, method, times)

    @rule(who=WHO)
    def declines(self, who: str) -> None:
        self.act("declines", who)

    @rule(who=WHO, kind=st.sampled_from(["duplicate", "reorder", "delay", "drop"]), times=st.integers(1, 3))
    def garbles(self, who: str, kind: str, times: int) -> None:
        self.act("garbles", who, kind, times)

    @rule(looks=st.integers(1, 12))
    def dies(self, looks: int) -> None:
        self.act("dies", looks)

    @rule(
        which=WHICH,
        how=st.sampled_from(["all", "part", "line", "credit"]),
        percent=st.sampled_from([1, 40, 60, 100]),
        at_once=st.sampled_from([1, 1, 2]),
    )
    def gives_back(self, which: int, how: str, percent: int, at_once: int) -> None:
        self.act("gives_back", which, how, percent, at_once)

    @rule(which=WHICH, percent=st.sampled_from([10, 60, 100]))
    def credits(self, which: int, percent: int) -> None:
        self.act("credits", which, percent)

    @rule(which=WHICH, how=st.sampled_from(["void", "uncollectible"]))
    def gives_up(self, which: int, how: str) -> None:
        self.act("gives_up", which, how)

    @rule(which=WHICH)
    def accepts(self, which: int) -> None:
        self.act("accepts", which)

    @rule(
        what=st.sampled_from(
            [
                "hears",
                "hears",
                "watches",
                "watches",
                "looks_after",
                "collects",
                "reads_books",
                "sends",
                "says_rates",
            ]
        )
    )
    def works(self, what: str) -> None:
        self.act(what)

    @rule(hours=st.sampled_from([1, 4, 20, 24 * 3, 24 * 15]))
    def turn(self, hours: int) -> None:
        self.act("turn", hours)

    def teardown(self) -> None:
        if hasattr(self, "history"):
            note(f"script: {self.history.script!r}")
            try:
                self.do(self.bench.settle(self.history))
            finally:
                self.do(self.bench.end())


class Crowded(Money):
    """Where everybody may do everything at once, which comes out differently each time."""

    @rule(which=WHICH)
    def meet(self, which: int) -> None:
        self.act("meet", which)


# One that does a little of everything, and those that once went wrong.
CASES: list[list[Act]] = [
    [
        ("is_billed", 0, 10_000), ("pays", 0, "card"), ("gives_back", 0, "part", 40, 1), ("charges_back", 0, False),
        ("hears",), ("decides", 0, "won"), ("is_billed", 1, 5_000), ("pays", 1, "buyer"), ("agrees", 0, "visa"),
        ("hears",), ("reads_books",), ("turn", 72), ("pays_out", "stripe", 0), ("pays_out", "paypal", 1),
        ("is_billed", 2, 700), ("goes_wrong", "stripe", "close_after", "pays", "POST", 1), ("dies", 5),
        ("pays", 2, "card"), ("looks_after",), ("turn", 1), ("looks_after",), ("transfers", 2, 130, True),
        ("pays_at_bank", 2, 100, True), ("dies", 6), ("bank_tells", 0), ("pays_at_bank", 1, 40, False),
        ("bank_tells", 1),
    ],
    # A card was declined on the page, and the address of the page was gone. And answers are lost at both providers,
    # while the customer tries another way at once.
    [
        ("is_billed", 0, 10_000), ("pays", 0, "page"), ("agrees", 0, "visa_chargeDeclined"),
        ("comes_back", 0), ("agrees", 0, "visa"), ("hears",), ("is_billed", 0, 8_000),
        ("goes_wrong", "paypal", "close_after", "pays", "POST", 1),
        ("pays", 1, "wallet"), ("pays", 1, "card"), ("is_billed", 1, 9_000),
        ("goes_wrong", "stripe", "error_after", "pays", "POST", 1), ("pays", 2, "card"), ("pays", 2, "wallet"),
        ("turn", 4), ("looks_after",),
    ],
    # Two tabs and a transfer, a second dispute of a payment, and money for what was given up.
    [
        ("is_billed", 0, 10_000), ("pays", 0, "page"), ("transfers", 0, 100, True), ("agrees", 0, "visa"),
        ("agrees", 0, "visa"), ("is_billed", 0, 6_000), ("hears",), ("pays", 1, "card"),
        ("gives_back", 2, "part", 40, 2),
        ("charges_back", 1, False), ("hears",), ("decides", 0, "won"), ("hears",), ("charges_back", 1, True),
        ("hears",),
        ("decides", 1, "escalate"), ("hears",), ("is_billed", 0, 30_000), ("pays", 2, "buyer"),
        ("gives_up", 2, "uncollectible"), ("agrees", 0, "visa"), ("hears",), ("charges_back", 2, False),
    ],
    # The fee of a dispute was booked before anybody had followed it, and then once more. Nobody told that a refund had
    # come back; staff accepted the case of it, and then it was told.
    [
        ("is_billed", 0, 4_000), ("pays", 0, "card"), ("charges_back", 0, False), ("reads_books",), ("hears",),
        ("is_billed", 0, 3_000), ("pays", 1, "card"), ("reads_books",), ("decides", 0, "lost"), ("hears",),
        ("gives_back", 1, "part", 40, 1), ("turn", 4), ("reads_books",),
        ("garbles", "stripe", "drop", 3), ("sends_back", 0), ("turn", 72),
        ("goes_wrong", "stripe", "error_before", "reads", "GET", 2), ("reads_books",), ("turn", 72), ("reads_books",),
        ("accepts", 0), ("reads_books",),
    ],
    # A card was charged by the schedule and disputed, and the schedule charged it again while the bank decided.
    [
        ("is_billed", 0, 10_000), ("turn", 360), ("collects",), ("charges_back", 0, False), ("hears",), ("turn", 4),
        ("collects",), ("is_billed", 0, 5_000), ("decides", 0, "won"), ("hears",), ("turn", 360), ("collects",),
    ],
    # A chain: a part and the rest, one that is over, a late one, what counted and went with its blocks, and came again.
    [
        ("is_billed", 0, 10_000), ("asks", 0, "ETH"), ("sends_coins", 0, 40), ("mines", 2), ("watches",),
        ("sends_coins", 0, 60), ("mines", 3), ("watches",), ("is_billed", 1, 5_000), ("asks", 1, "USDX"),
        ("sends_coins", 1, 130), ("mines", 3), ("watches",), ("reads_books",), ("goes_another_way", 6, False),
        ("watches",), ("turn", 20), ("reads_books",), ("comes_again",), ("mines", 3), ("dies", 9), ("watches",),
        ("watches",), ("is_billed", 0, 700), ("asks", 2, "ETH"), ("turn", 1), ("watches",),
        ("rates_move", 173), ("sends_coins", 2, 100),
        ("mines", 4), ("is_another_chain", True), ("watches",), ("pays", 2, "card"), ("turn", 72),
    ],
    # Coins came, and nobody watched until their address was watched no more.
    [
        ("is_billed", 0, 4_000), ("asks", 0, "USDX"), ("sends_coins", 0, 40), ("mines", 4), ("turn", 360),
        ("turn", 360), ("turn", 72), ("watches",),
    ],
    # What was over had paid the next invoice when its chain took it away; then it came again.
    [
        ("is_billed", 0, 5_000), ("asks", 0, "USDX"), ("sends_coins", 0, 130), ("mines", 3), ("watches",),
        ("is_billed", 0, 700), ("reads_books",), ("goes_another_way", 3, False), ("watches",), ("turn", 72),
        ("reads_books",), ("comes_again",), ("mines", 3), ("watches",), ("turn", 72),
    ],
    # Somebody pays, and sends again what was gone, while the node follows another chain.
    [
        ("is_billed", 0, 315), ("asks", 0, "ETH"), ("sends_coins", 0, 40), ("mines", 2),
        ("goes_another_way", 2, False), ("is_another_chain", True), ("sends_coins", 0, 100), ("comes_again",),
        ("mines", 3), ("watches",), ("is_another_chain", False), ("comes_again",), ("mines", 3), ("watches",),
    ],
]  # fmt: skip


# A life of a payment, in which to die anywhere.
LIFE: list[Act] = [
    ("is_billed", 0, 10_000), ("pays", 0, "card"), ("gives_back", 0, "part", 40, 1), ("is_billed", 0, 2_000),
    ("pays", 1, "buyer"), ("agrees", 0, "visa"), ("hears",), ("charges_back", 0, False), ("hears",),
    ("decides", 0, "won"), ("sends_back", 0), ("hears",), ("turn", 30), ("looks_after",), ("reads_books",),
    ("gives_back", 1, "all", 100, 1), ("pays_out", "stripe", 0), ("turn", 360), ("collects",), ("reads_books",),
]  # fmt: skip


async def machine(bench: Bench, of: type[Money] = Money, **how: Any) -> None:
    random = type(of.__name__, (of,), {"bench": bench, "loop": asyncio.get_running_loop()})
    await asyncio.to_thread(run_state_machine_as_test, random, settings=settings(**how))


@pytest.mark.parametrize("script", CASES, ids=range(len(CASES)))
async def test_histories_of_money_that_once_went_wrong(bench: Bench, script: list[Act]) -> None:
    try:
        history = await bench.begin()
        await bench.play(history, *script)
        await bench.settle(history)
    finally:
        await bench.end()


async def test_whatever_happens_our_ledger_is_the_providers(bench: Bench) -> None:
    await machine(bench, max_examples=2, stateful_step_count=8, derandomize=True)


@pytest.mark.deep
@pytest.mark.timeout(7_200)
async def test_whatever_happens_our_ledger_is_the_providers_many_times(bench: Bench) -> None:
    await machine(bench, Crowded, max_examples=100, stateful_step_count=40)


@pytest.mark.deep
@pytest.mark.timeout(7_200)
async def test_whoever_dies_before_any_transaction_leaves_nothing_undone_and_nothing_done_twice(
    bench: Bench,
) -> None:
    try:
        for looks in count(1):
            history = await bench.begin()
            await bench.play(history, ("dies", looks), *LIFE)
            await bench.settle(history)
            if not history.deaths:
                break
    finally:
        await bench.end()
