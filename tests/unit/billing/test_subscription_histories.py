"""Subscriptions through random histories, without a database: what was charged is what the time cost, to the cent.

A failing history is printed as a list of acts, which can be pasted into CASES.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import money
from models.money import Money
from models.plans import ChargeKind, ChargeTiming
from models.subscriptions import SubscriptionState
from models.types import BillingInterval, ProrationBehaviour, ProrationPolicy
from services.catalog.charges import Charge, Flat, PerUnit
from services.catalog.plan_rules import Length, PlannedCharge
from services.core.errors import Conflict
from services.subscriptions import changes as subscription_changes
from services.subscriptions import rules as subscription_rules
from services.subscriptions.subscribed import Choice, Made, Price, Selection, Source, Subscribed, Turn

S, B = SubscriptionState, ProrationBehaviour
BEGAN = datetime(2027, 10, 31, 10, 30, tzinfo=UTC)  # month ends, a leap day and changes of clocks lie ahead
MONTH, YEAR = Length(BillingInterval.MONTH, 1), Length(BillingInterval.YEAR, 1)
Act = tuple[Any, ...]


def priced(
    key: str, amount: str, currency: str, length: Length, *, addon: str = "", timing: str = "advance"
) -> Price:
    """So much for one, in `second` units, by seats unless it is the base."""
    kind = ChargeKind.FLAT if key == "base" else ChargeKind.SEAT
    model = Flat(Decimal(amount)) if kind is ChargeKind.FLAT else PerUnit(Decimal(amount))
    charge = PlannedCharge(
        key, key.title(), kind, currency, Charge(model), length, ChargeTiming(timing), ProrationPolicy.SECOND, None,
        Decimal(0), None,
    )  # fmt: skip
    plan = addon or f"plan_{amount}"
    return Price(f"pchg_{key}{amount}{length.interval}{timing}", plan, f"plnv_{amount}", charge, bool(addon))


def selection(
    currency: str,
    base: str,
    seats: int,
    *,
    length: Length = MONTH,
    addon: bool = False,
    timing: str = "advance",
) -> Selection:
    factor = 1 if length == MONTH else 10
    amount = str(Decimal(base) * factor)
    choices = [
        Choice(priced("base", amount, currency, length), Decimal(1)),
        Choice(
            priced("seats", str(Decimal("7.77") * factor), currency, length, timing=timing), Decimal(seats)
        ),
    ]
    if addon:
        choices.append(Choice(priced("base", "3.33", currency, length, addon="plan_addon"), Decimal(1)))
    return Selection(f"plan_{base}", f"plnv_{base}", currency, length, tuple(choices))


@dataclass
class Life:
    """One subscription in time, with all the lines that it made."""

    now: Subscribed
    at: datetime = BEGAN
    made: list[Made] = field(default_factory=list[Made])

    def take(self, turn: Turn) -> list[Made]:
        self.now = turn.subscribed
        self.made += turn.lines
        return list(turn.lines)

    def advance(self, to: datetime) -> None:
        while (moment := subscription_rules.next_moment(self.now)) is not None and moment <= to:
            self.take(subscription_rules.turn(self.now, moment))
        self.at = to

    def act(self, act: Act) -> list[Made]:
        match act:
            case ("advance", seconds):
                self.advance(self.at + timedelta(seconds=seconds))
                return []
            case ("change", to, behaviour):
                made = subscription_changes.change(self.now, to, at=self.at, behaviour=behaviour)
                return self.take(made.turn)
            case ("pause", seconds):
                until = self.at + timedelta(seconds=seconds) if seconds else None
                return self.take(subscription_rules.pause(self.now, self.at, resume_at=until))
            case ("resume",):
                return self.take(subscription_rules.resume(self.now, self.at))
            case ("cancel",):
                self.now = subscription_rules.cancel(self.now, self.now.period_end(self.at))
            case ("reactivate",):
                self.now = subscription_rules.reactivate(self.now, self.at)
            case ("end",) if self.now.state is S.SCHEDULED:
                return self.take(subscription_rules.give_up(self.now, self.at))
            case ("end",):
                return self.take(subscription_rules.end(self.now, self.at))
            case _:
                raise AssertionError(act)
        return []

    def try_(self, act: Act) -> list[Made]:
        """What does not fit the state is refused and changes nothing."""
        before = (self.now, len(self.made))
        try:
            return self.act(act)
        except Conflict:
            assert before == (self.now, len(self.made))
            return []


def charged(lines: list[Made], currency: str) -> Money:
    return sum((one.line.amount for one in lines if one.line is not None), Money(0, currency))


def lived(to: Selection, *, trial_days: int = 0, later_days: int = 0, timezone: str = "UTC") -> Life:
    """Agreed to at BEGAN, to begin so many days later."""
    at = BEGAN + timedelta(days=later_days)
    trial = at + timedelta(days=trial_days) if trial_days else None
    now = subscription_rules.start("sub_1", to, at=at, timezone=timezone, trial_end=trial)
    life = Life(subscription_rules.begins_later(now) if later_days else now)
    life.advance(BEGAN)
    return life


CURRENCIES = st.sampled_from(["EUR", "USD", "JPY", "KRW", "KWD", "BHD"])
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])
SECONDS = st.one_of(
    st.integers(0, 3 * 86_400), st.integers(0, 90 * 86_400), st.sampled_from([0, 86_400, 31 * 86_400])
)
SELECTIONS = st.builds(
    lambda base, seats, length, addon, timing: (base, seats, length, addon, timing),
    st.sampled_from(["0", "9.99", "60", "100"]),
    st.integers(0, 9),
    st.sampled_from([MONTH, MONTH, MONTH, YEAR]),
    st.booleans(),
    st.sampled_from(["advance", "advance", "arrears"]),
)
LATER = st.sampled_from([0, 0, 21])
NOW = st.sampled_from([B.INVOICE_NOW, B.NEXT_INVOICE, B.RESET_CYCLE])
ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("advance"), SECONDS),
        st.tuples(st.just("advance"), SECONDS),
        st.tuples(st.just("change"), SELECTIONS, st.one_of(NOW, st.sampled_from([None, B.NEXT_PERIOD]))),
        st.tuples(st.just("pause"), st.sampled_from([0, 86_400, 40 * 86_400])),
        st.tuples(st.just("resume")),
        st.tuples(st.just("cancel")),
        st.tuples(st.just("reactivate")),
    ),
    max_size=14,
)


def of(currency: str, chosen: tuple[str, int, Length, bool, Literal["advance", "arrears"]]) -> Selection:
    base, seats, length, addon, timing = chosen
    return selection(currency, base, seats, length=length, addon=addon, timing=timing)


def spelled(currency: str, act: Act) -> Act:
    return ("change", of(currency, act[1]), act[2]) if act[0] == "change" else act


@dataclass
class Meter:
    """What time really costs: the price of each second that was given, exactly, in major units."""

    owed: Fraction = Fraction(0)

    def watch(self, life: Life, act: Act) -> None:
        """Do the act, and count the time it lets pass, period by period."""
        if act[0] != "advance":
            life.try_(act)
            return
        end = life.at + timedelta(seconds=act[1])
        while life.at < end:
            moment = subscription_rules.next_moment(life.now)
            until = min(end, moment) if moment is not None else end
            if life.now.state in (S.ACTIVE, S.CANCELED):
                self.owed += cost(life.now, life.at, until)
            life.advance(until)


def cost(now: Subscribed, start: datetime, end: datetime) -> Fraction:
    """Of what runs, from `start` to `end`, between which nothing happens."""
    total = Fraction(0)
    for item in now.running:
        if item.billed_until is None or item.price.charge.length is None:
            continue
        if now.trial_end is not None and start < now.trial_end:
            continue
        period = now.calendar(item.price.charge.length).period_at(start)
        part = Fraction(int((end - start).total_seconds()), int((period.end - period.start).total_seconds()))
        total += item.price.terms(item.quantity).period_amount * part
    return total


@given(CURRENCIES, ZONES, SELECTIONS, st.sampled_from([0, 0, 14]), LATER, ACTS)
def test_what_is_charged_in_the_end_is_what_the_time_cost(
    currency: str, zone: str, first: Any, trial_days: int, later_days: int, acts: list[Act]
) -> None:
    chosen = of(currency, first)
    life, meter = lived(chosen, trial_days=trial_days, later_days=later_days, timezone=zone), Meter()
    for act in acts:
        meter.watch(life, spelled(currency, act))
    if life.now.state is not S.ENDED:
        life.act(("end",))

    assert subscription_rules.next_moment(life.now) is None
    of_time = [one for one in life.made if one.source is Source.ITEM]
    difference = abs(Fraction(charged(of_time, currency).amount) - meter.owed)
    assert difference <= Fraction(len(of_time), 10 ** money.currency(currency).exponent)
    assert len({one.key for one in life.made}) == len(life.made)


@given(CURRENCIES, ZONES, SELECTIONS, LATER, st.lists(SECONDS, min_size=1, max_size=6))
def test_however_time_is_turned_the_lines_are_the_same(
    currency: str, zone: str, first: Any, later_days: int, steps: list[int]
) -> None:
    in_steps, at_once = (
        lived(of(currency, first), trial_days=14, later_days=later_days, timezone=zone) for _ in range(2)
    )
    for step in steps:
        in_steps.act(("advance", step))
    at_once.act(("advance", sum(steps)))

    assert in_steps.made == at_once.made
    assert in_steps.now == at_once.now


@given(CURRENCIES, ZONES, SELECTIONS, SELECTIONS, NOW, SECONDS)
def test_going_up_and_straight_back_costs_and_grants_nothing(
    currency: str, zone: str, first: Any, other: Any, behaviour: ProrationBehaviour, later: int
) -> None:
    life = lived(of(currency, first), timezone=zone)
    life.act(("advance", later))
    there = life.act(("change", of(currency, other), behaviour))
    back = life.act(("change", of(currency, first), behaviour))

    to_come = [one for one in (*there, *back) if one.line is not None and one.line.span.end > life.at]
    assert charged(to_come, currency).minor == 0


def test_what_ended_under_another_interval_is_taken_up_again_by_the_one_of_now() -> None:
    life = lived(selection("EUR", "60", 1, addon=True))
    for length, addon in ((YEAR, True), (YEAR, False), (MONTH, False), (MONTH, True)):
        life.act(("advance", 86_400))
        before = life.now.anchor
        lines = life.act(("change", selection("EUR", "60", 1, length=length, addon=addon), B.INVOICE_NOW))
    assert life.now.anchor == before  # nothing but the add-on has changed
    assert [item.price.charge.length for item in life.now.running] == [MONTH] * 3
    assert [one.item.price.addon for one in lines if one.line and one.line.amount.minor] == [True]


def test_one_that_was_cancelled_and_ended_is_not_said_to_be_uncancelled() -> None:
    now = lived(selection("EUR", "60", 1)).now
    ended = subscription_rules.end(now, BEGAN + timedelta(days=1), credits_unused=False).subscribed
    for one, why in ((now, "is active and was not cancelled"), (ended, "is ended and cannot go on")):
        with pytest.raises(Conflict, match=why):
            subscription_rules.reactivate(one, BEGAN + timedelta(days=2))
