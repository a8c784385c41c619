"""Credits that prices include, through random histories: they follow the time that is paid for, whatever is used."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.types import ProrationBehaviour
from services.billing import included
from services.billing.included import Given
from services.core.errors import Conflict
from services.subscriptions import rules as subscription_rules
from services.subscriptions.subscribed import Made, Selection, Turn
from tests.unit.billing.test_subscription_histories import BEGAN, YEAR, Life, charged, selection

B = ProrationBehaviour
PLANS = {name: selection("EUR", name, seats) for name, seats in (("9.99", 1), ("60", 2), ("100", 3))}
YEARLY = selection("EUR", "60", 2, length=YEAR)
# Half of what is charged comes back as credits: so money says what is right.
INCLUDED = {
    one.price.id: Decimal(str(float(one.price.terms(Decimal(1)).period_amount))) / 2
    for plan in (*PLANS.values(), YEARLY)
    for one in plan.choices
}


@dataclass
class Purse(Life):
    """A life whose credits are kept as its wallet keeps them. Amounts in minor units."""

    lots: list[list[Any]] = field(default_factory=list[list[Any]])  # [until, left], the latest last
    given: int = 0
    taken: int = 0
    used: int = 0
    expired: int = 0
    ahead: int = 0

    @property
    def left(self) -> int:
        return sum(lot[1] for lot in self.lots)

    def advance(self, to: datetime) -> None:
        while (moment := subscription_rules.next_moment(self.now)) is not None and moment <= to:
            self.at = moment
            self.take(subscription_rules.turn(self.now, moment))
        self.at = to
        self._expire()

    def take(self, turn: Turn) -> list[Made]:
        self._expire()
        changes = included.changes([one.line for one in turn.lines if one.line], INCLUDED, now=self.at)
        taken = self._take(included.owed(changes))
        settled = included.settle(changes, taken=taken)
        self.taken += taken
        self.ahead += settled.ahead
        for one in settled.given:
            assert one.minor > 0
            assert one.until > self.at
            self.lots.append([one.until, one.minor])
            self.given += one.minor
        return super().take(turn)

    def use(self, minor: int) -> None:
        self.used += self._take(minor, latest=False)

    def _take(self, most: int, *, latest: bool = True) -> int:
        taken = 0
        for lot in reversed(self.lots) if latest else self.lots:
            part = min(lot[1], most - taken)
            lot[1] -= part
            taken += part
        return taken

    def _expire(self) -> None:
        self.expired += sum(left for until, left in self.lots if until <= self.at)
        self.lots = [lot for lot in self.lots if lot[0] > self.at]


def purse(plan: Selection) -> Purse:
    made = Purse(subscription_rules.start("sub_1", plan, at=BEGAN, timezone="Europe/Berlin"))
    made.advance(BEGAN)
    return made


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("advance"), st.integers(0, 40 * 86_400)),
        st.tuples(st.just("change"), st.sampled_from([*PLANS.values(), YEARLY]),
                  st.sampled_from([B.INVOICE_NOW, B.NEXT_INVOICE, B.NEXT_PERIOD, B.RESET_CYCLE])),
        st.tuples(st.just("use"), st.integers(0, 9_000)),
        st.just(("pause", 0)),
        st.just(("resume",)),
    ),
    max_size=12,
)  # fmt: skip


def play(made: Purse, acts: list[tuple[Any, ...]]) -> None:
    for act in acts:
        if act[0] == "use":
            made.use(act[1])
        else:
            made.try_(act)
        assert made.given - made.taken == made.used + made.expired + made.left


@given(plan=st.sampled_from(list(PLANS.values())), acts=ACTS)
def test_what_was_used_is_never_more_than_the_time_that_was_paid_for_includes(
    plan: Selection, acts: list[tuple[Any, ...]]
) -> None:
    life = purse(plan)
    play(life, acts)
    life.try_(("resume",))
    life.act(("end",))

    money = Fraction(charged(life.made, "EUR").minor)
    assert life.left == 0 or life.now.ended_at is not None
    assert abs(life.given - life.taken - life.ahead - money / 2) <= len(life.made)  # each rounded once
    assert life.used <= money / 2 + life.ahead + len(life.made)


@given(acts=ACTS, low=st.sampled_from(["9.99", "60"]))
def test_up_and_straight_down_again_costs_and_grants_nothing(acts: list[tuple[Any, ...]], low: str) -> None:
    life = purse(PLANS[low])
    play(life, acts)
    try:
        life.act(("change", PLANS[low], B.INVOICE_NOW))
    except Conflict:
        return  # it is paused
    life.act(("advance", 1))  # so that nothing else was changed at this moment
    before = (life.left, life.ahead, life.given - life.taken)
    lines = life.act(("change", PLANS["100"], B.INVOICE_NOW))
    lines += life.act(("change", PLANS[low], B.INVOICE_NOW))
    assert (life.left, life.ahead, life.given - life.taken) == before
    assert charged(lines, "EUR").minor == 0


@pytest.mark.parametrize(
    ("used", "expected"),
    [(0, (1_500, 1_500, 0)), (1_000, (1_500, 500, 0)), (1_500, (1_500, 0, 0)), (2_500, (500, 0, 1_000))],
    ids=["nothing", "less than is left", "what time has earned", "all but a little"],
)
def test_what_was_used_ahead_of_time_is_not_credited(used: int, expected: tuple[int, int, int]) -> None:
    """Of 30.00 half is left when half of the period is. (taken back, still there, used ahead)"""
    now, ends = BEGAN, BEGAN + timedelta(days=15)
    changes = {ends: -1_500}
    taken = min(included.owed(changes), 3_000 - used)
    settled = included.settle(changes, taken=taken)
    assert now < ends
    assert (settled.taken, 3_000 - used - taken, settled.ahead) == expected
    assert settled.given == ()


def test_what_was_used_ahead_is_given_less_of_what_comes() -> None:
    soon, later = BEGAN + timedelta(days=15), BEGAN + timedelta(days=30)
    settled = included.settle({soon: -1_500, later: 4_000}, taken=500)
    assert settled.given == (Given(later, 3_000),)
    assert (settled.taken, settled.ahead) == (500, 0)
    settled = included.settle({soon: -1_500, later: 400}, taken=500)
    assert (settled.given, settled.ahead) == ((), 600)
