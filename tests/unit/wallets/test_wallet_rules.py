"""Wallets as arithmetic: the right lots in the right order, and nothing made or lost in any history."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_DOWN, Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.wallets import rules
from services.wallets.rules import Lot, NotEnough, Part, TopUpRule

START = datetime(2026, 3, 1, tzinfo=UTC)
SCALE = 100


def lot(name: str, left: int, *, priority: int = 50, days: int | None = None, age: int = 0) -> Lot:
    ends = None if days is None else START + timedelta(days=days)
    return Lot(name, priority, ends, START + timedelta(days=age), left)


@pytest.mark.parametrize(
    ("lots", "order"),
    [
        ([lot("a", 1, priority=2), lot("b", 1, priority=1)], "ba"),
        ([lot("a", 1), lot("b", 1, days=9), lot("c", 1, days=3)], "cba"),
        ([lot("a", 1, age=2), lot("b", 1, age=1)], "ba"),
        ([lot("a", 1, priority=2, days=1), lot("b", 1, priority=1)], "ba"),  # priority comes before the end
        ([lot("b", 1), lot("a", 1)], "ab"),
    ],
)
def test_lots_are_burnt_by_priority_then_end_then_age(lots: list[Lot], order: str) -> None:
    assert "".join(part.lot_id for part in rules.burn(lots, len(lots))) == order


def test_a_debit_takes_exactly_what_it_asks_for_or_nothing() -> None:
    lots = [lot("a", 30), lot("b", 5, priority=1)]
    assert rules.burn(lots, 12) == (Part("b", 5), Part("a", 7))
    assert rules.burn(lots, 0) == ()
    with pytest.raises(NotEnough):
        rules.burn(lots, 36)


def test_what_has_ended_is_lost_but_for_what_usage_may_still_take() -> None:
    now = START + timedelta(days=3)
    lots = [lot("first", 10, priority=1, days=9), lot("ended", 20, days=3), lot("later", 20, days=4)]
    assert rules.expired(lots, now - timedelta(microseconds=1), promised=0) == ()
    assert rules.expired(lots, now, promised=0) == (Part("ended", 20),)
    assert rules.expired(lots, now, promised=10) == (Part("ended", 20),)  # the first lot keeps the promise
    assert rules.expired(lots, now, promised=13) == (Part("ended", 17),)
    assert rules.expired(lots, now, promised=90) == ()


@pytest.mark.parametrize(
    ("left", "asked", "due"), [(999, 0, True), (1_000, 0, False), (0, 5_000, True), (0, 5_001, False)]
)
def test_a_refill_is_due_below_the_threshold_and_within_the_month(left: int, asked: int, due: bool) -> None:
    rule = TopUpRule(threshold=1_000, refill=5_000, ceiling=10_000)
    assert rules.top_up_due(rule, left=left, this_month=asked) is due


def test_a_month_is_the_organisations_own() -> None:
    late = datetime(2026, 3, 31, 23, 30, tzinfo=UTC)
    assert rules.month_of(late, "UTC") == date(2026, 3, 1)
    assert rules.month_of(late, "Europe/Berlin") == date(2026, 4, 1)


@settings(max_examples=60)
@given(
    free=st.decimals(0, 1_000, places=12),
    need=st.decimals(0, 1_000, places=12),
    more=st.decimals(0, 1_000, places=12),
)
def test_a_process_is_never_given_more_than_there_is(free: Decimal, need: Decimal, more: Decimal) -> None:
    given = rules.share_to_hold(free, need=need, more=more)
    assert given == 0 if need > free else need <= given <= min(free, need + more)


@dataclass
class Purse:
    """A wallet in memory, kept by the rules alone."""

    lots: list[Lot] = field(default_factory=list[Lot])
    inbound: int = 0
    outbound: int = 0
    breakage: int = 0
    accrued: Decimal = Decimal(0)
    held: Decimal = Decimal(0)
    used: Decimal = Decimal(0)  # cost that was covered, exactly
    invoiced: int = 0
    now: datetime = START

    @property
    def left(self) -> int:
        return sum(one.left for one in self.lots)

    @property
    def promised(self) -> Decimal:
        return self.accrued + self.held

    def spendable(self) -> Decimal:
        return rules.spendable(self.lots, self.now, promised=self.promised, minor_per_major=SCALE)

    def take(self, parts: tuple[Part, ...]) -> None:
        by_lot = {part.lot_id: part.minor for part in parts}
        self.lots = [replace(one, left=one.left - by_lot.get(one.id, 0)) for one in self.lots]


class Wallets(RuleBasedStateMachine):
    """inbound = outbound + left + breakage at every moment, and nothing that was promised is ever missing."""

    def __init__(self) -> None:
        super().__init__()
        self.purse = Purse()

    @rule(minor=st.integers(1, 500), priority=st.integers(0, 2), days=st.none() | st.integers(1, 20))
    def something_comes_in(self, minor: int, priority: int, days: int | None) -> None:
        ends = None if days is None else self.purse.now + timedelta(days=days)
        name = f"{len(self.purse.lots):04}"
        self.purse.lots.append(Lot(name, priority, ends, self.purse.now, minor))
        self.purse.inbound += minor

    @rule(minor=st.integers(1, 400))
    def an_invoice_is_paid_as_far_as_it_goes(self, minor: int) -> None:
        most = rules.payable(
            self.purse.lots, self.purse.now, promised=self.purse.promised, minor_per_major=SCALE
        )
        paid = min(minor, most)
        self.purse.take(rules.burn(self.purse.lots, paid))
        self.purse.outbound += paid
        self.purse.invoiced += paid

    @rule(need=st.decimals("0.000001", "3", places=6), more=st.decimals(0, 3, places=6))
    def a_process_holds_a_share(self, need: Decimal, more: Decimal) -> None:
        self.purse.held += rules.share_to_hold(self.purse.spendable(), need=need, more=more)

    @precondition(lambda self: self.purse.held > 0)
    @rule(quarters=st.integers(1, 4))
    def it_gives_a_part_back(self, quarters: int) -> None:
        self.purse.held -= (self.purse.held * quarters / 4).quantize(Decimal(1).scaleb(-12), ROUND_DOWN)

    @rule(cost=st.decimals(0, 4, places=12))
    def usage_is_settled(self, cost: Decimal) -> None:
        purse = self.purse
        purse.held -= min(cost, purse.held)
        taken = rules.take_usage(
            cost, accrued=purse.accrued, held=purse.held, left=purse.left, minor_per_major=SCALE
        )
        purse.take(rules.burn(purse.lots, taken.minor))
        purse.outbound += taken.minor
        purse.accrued = taken.accrued
        purse.used += cost - taken.uncovered

    @rule(days=st.integers(0, 8))
    def time_passes_and_lots_end(self, days: int) -> None:
        purse = self.purse
        purse.now += timedelta(days=days)
        lost = rules.expired(purse.lots, purse.now, promised=rules.whole_minor_up(purse.promised, SCALE))
        purse.take(lost)
        purse.breakage += sum(part.minor for part in lost)

    @invariant()
    def lots_balance(self) -> None:
        purse = self.purse
        assert purse.inbound == purse.outbound + purse.left + purse.breakage
        assert all(one.left >= 0 for one in purse.lots)
        assert purse.promised * SCALE <= purse.left
        assert 0 <= purse.accrued * SCALE < 1
        assert purse.used * SCALE == purse.outbound - purse.invoiced + purse.accrued * SCALE


TestWallets = Wallets.TestCase
TestWallets.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
