"""Changes of plan and quantity: what is credited and debited, when it is billed, and that nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.money import Money
from models.types import BillingInterval, ProrationBehaviour, ProrationPolicy
from services.billing.changes import (
    Billed,
    ChangePlan,
    Direction,
    Item,
    Undoable,
    direction,
    plan_change,
    termination_credit,
)
from services.billing.lines import Debited, Line, LineKind, Terms, debit, facts_of, read_line, replay, restore
from services.billing.periods import Calendar, Span
from services.billing.proration import Ruler
from services.core.errors import Invalid

MONTH, YEAR = BillingInterval.MONTH, BillingInterval.YEAR
SECOND, BY_DAY = ProrationPolicy.SECOND, ProrationPolicy.DAY
INVOICE_NOW, NEXT_INVOICE = ProrationBehaviour.INVOICE_NOW, ProrationBehaviour.NEXT_INVOICE
NEXT_PERIOD, RESET_CYCLE = ProrationBehaviour.NEXT_PERIOD, ProrationBehaviour.RESET_CYCLE
NONE = ProrationBehaviour.NONE


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def plan(
    price: str, *, seats: int = 1, interval: BillingInterval = MONTH, count: int = 1, currency: str = "USD"
) -> Terms:
    return Terms(f"prc_{price}", Decimal(seats), Fraction(price) * seats, currency, interval, count)


SOLO, TEAM, TEAM_YEARLY = plan("30"), plan("60"), plan("600", interval=YEAR)


@dataclass
class Subscription:
    """One item through its changes: books what a plan says as a document would, with discount and tax."""

    terms: Terms
    calendar: Calendar
    policy: ProrationPolicy = SECOND
    discount: Fraction = Fraction(0)
    tax: Fraction = Fraction(0)
    live: Debited | None = None
    undoable: dict[str, Undoable] = field(default_factory=dict[str, Undoable])
    booked: list[Line] = field(default_factory=list[Line])
    paid_minor: int = 0  # with discount and tax

    def start(self, at: datetime) -> Subscription:
        period = self.calendar.period_at(at)
        self.book(debit(self.terms, Ruler(self.policy, self.calendar, period), Span(at, period.end)))
        return self

    def plan(self, to: Terms, at: datetime, behaviour: ProrationBehaviour | None = None) -> ChangePlan:
        item = Item(self.terms, self.calendar, self.policy, self.live, tuple(self.undoable.values()))
        return plan_change(item, to, at=at, behaviour=behaviour)

    def change(
        self, to: Terms, at: datetime, behaviour: ProrationBehaviour | None = INVOICE_NOW
    ) -> ChangePlan:
        """For changes that count at once."""
        planned, before = self.plan(to, at, behaviour), self.calendar
        for line in planned.lines:
            self.book(line, before)
        self.terms, self.calendar = to, planned.calendar
        return planned

    def end(self, at: datetime) -> Line:
        assert self.live is not None
        line = termination_credit(self.live, at)
        self.book(line, self.calendar)
        return line

    def book(self, line: Line, before: Calendar | None = None) -> None:
        line_id = f"line_{len(self.booked)}"
        self.booked.append(line)
        if line.kind is LineKind.CREDIT:
            assert before is not None
            self.undoable[line_id] = Undoable(line_id, line, before)
            self.live = None
            self.paid_minor += line.amount.minor + line.tax.minor
            return
        if line.kind is LineKind.RESTORE:
            del self.undoable[line.source]
            discount, tax = Money(0, line.amount.currency), line.tax
        else:
            discount = line.amount.times(self.discount)
            tax = (line.amount - discount).times(self.tax)
        nothing = Money(0, line.amount.currency)
        net = line.amount - discount
        self.live = Debited(line_id, line, discount, net, tax, nothing, nothing)
        self.paid_minor += net.minor + tax.minor


def april(terms: Terms = SOLO, policy: ProrationPolicy = SECOND, **extra: Any) -> Subscription:
    """Billed for the 30 days of April 2026."""
    calendar = Calendar(day("2026-04-01"), "UTC", terms.interval, terms.count)
    return Subscription(terms, calendar, policy, **extra).start(day("2026-04-01"))


def amounts(planned: ChangePlan) -> list[int]:
    return [line.amount.minor for line in planned.lines]


# Policy, from, to, moment, credit and debit in cents.
CHANGES: list[tuple[ProrationPolicy, Terms, Terms, str, list[int]]] = [
    (SECOND, SOLO, TEAM, "2026-04-16", [-1500, 3000]),
    (SECOND, SOLO, TEAM, "2026-04-16T12:00", [-1450, 2900]),
    (ProrationPolicy.MINUTE, SOLO, TEAM, "2026-04-16T12:00:59", [-1450, 2900]),
    (BY_DAY, SOLO, TEAM, "2026-04-16T12:00", [-1500, 3000]),  # the whole day is the new plan's
    (BY_DAY, SOLO, TEAM, "2026-04-16T23:59:59", [-1500, 3000]),
    (BY_DAY, SOLO, TEAM, "2026-04-30T23:59", [-100, 200]),
    (SECOND, SOLO, TEAM, "2026-04-01", [-3000, 6000]),
    (BY_DAY, TEAM, SOLO, "2026-04-16", [-3000, 1500]),
    (SECOND, plan("1.10", seats=10), plan("1.10", seats=7), "2026-04-16", [-550, 385]),
    (SECOND, plan("1.10", seats=7), plan("1.10", seats=10), "2026-04-16", [-385, 550]),
    (
        SECOND,
        plan("1.10", seats=7),
        plan("2.05", seats=3),
        "2026-04-16",
        [-385, 308],
    ),  # both; 307.5 rounds up
    (SECOND, plan("0.333333333333", seats=100), plan("0", seats=1), "2026-04-11", [-2222, 0]),
    (BY_DAY, plan("1000", currency="JPY"), plan("2000", currency="JPY"), "2026-04-11", [-667, 1333]),
    (BY_DAY, plan("10", currency="KWD"), plan("20", currency="KWD"), "2026-04-11", [-6667, 13333]),
]


@pytest.mark.parametrize(("policy", "old", "new", "at", "expected"), CHANGES)
def test_a_change_credits_what_is_unused_and_debits_the_rest(
    policy: ProrationPolicy, old: Terms, new: Terms, at: str, expected: list[int]
) -> None:
    planned = april(old, policy).change(new, day(at))

    assert amounts(planned) == expected
    assert [line.kind for line in planned.lines] == [LineKind.CREDIT, LineKind.DEBIT]
    assert (planned.billed, planned.resets_cycle, planned.effective_at) == (Billed.NOW, False, day(at))
    assert all(line.span == Span(day(at), day("2026-05-01")) for line in planned.lines)


def test_a_stub_pays_and_gets_back_parts_of_the_whole_period() -> None:
    subscription = Subscription(SOLO, Calendar(day("2026-04-01"), "UTC", MONTH), BY_DAY).start(
        day("2026-04-10")
    )

    planned = subscription.change(TEAM, day("2026-04-17"))

    assert subscription.booked[0].amount == Money(2100, "USD")
    assert amounts(planned) == [-1400, 2800]


def test_two_changes_in_a_day_leave_the_day_to_the_last() -> None:
    subscription = april(SOLO, BY_DAY)

    first = subscription.change(TEAM, day("2026-04-16T09:00"))
    second = subscription.change(plan("90"), day("2026-04-16T17:00"))

    assert amounts(first) == [-1500, 3000]
    assert amounts(second) == [-3000, 4500]  # the first one cost nothing
    assert subscription.paid_minor == 1500 + 4500


@pytest.mark.parametrize("there", [TEAM, plan("20"), TEAM_YEARLY])
def test_there_and_back_within_a_day_costs_nothing_where_days_are_counted(there: Terms) -> None:
    by_day, by_second = (april(SOLO, policy, discount=Fraction(1, 3)) for policy in (BY_DAY, SECOND))
    for subscription in (by_day, by_second):
        subscription.change(there, day("2026-04-16T09:00"))
        back = subscription.change(SOLO, day("2026-04-16T17:00"))
        assert back.resets_cycle is (there is TEAM_YEARLY)

    assert (by_day.paid_minor, by_day.calendar) == (2000, april(SOLO).calendar)
    assert by_second.paid_minor != 2000  # eight hours were used


def test_credit_is_from_what_was_really_debited() -> None:
    subscription = april(SOLO, discount=Fraction(1, 2), tax=Fraction(19, 100))

    credited = subscription.plan(TEAM, day("2026-04-16"), INVOICE_NOW).lines[0]

    assert (credited.amount.minor, credited.tax.minor) == (-750, -143)  # half of 15.00 and of 2.85


def test_a_tax_inside_the_price_is_credited_once() -> None:
    subscription = april(SOLO)
    live = subscription.live
    assert live is not None
    subscription.live = replace(live, net=Money(2521, "USD"), tax=Money(479, "USD"))

    credited = subscription.plan(TEAM, day("2026-04-16"), INVOICE_NOW).lines[0]

    assert (credited.amount.minor, credited.tax.minor) == (-1261, -240)


@pytest.mark.parametrize(("noted", "left"), [(0, 1500), (1000, 1500), (2000, 1000), (3000, 0)])
def test_credit_is_capped_by_what_earlier_notes_left(noted: int, left: int) -> None:
    subscription = april(SOLO)
    live = subscription.live
    assert live is not None
    subscription.live = replace(live, credited=Money(noted, "USD"))

    assert amounts(subscription.plan(TEAM, day("2026-04-16"), INVOICE_NOW)) == [-left, 3000]


@dataclass(frozen=True)
class Decided:
    to: Terms
    behaviour: ProrationBehaviour | None
    chosen: ProrationBehaviour
    effective: str
    amounts: list[int]
    billed: Billed
    next_start: str  # of the period after the one that is billed

    @property
    def resets(self) -> bool:
        return self.to.interval is YEAR or self.chosen is RESET_CYCLE


DECIDED = [
    Decided(TEAM, None, INVOICE_NOW, "2026-04-16", [-1500, 3000], Billed.NOW, "2026-05-01"),
    Decided(plan("20"), None, NEXT_PERIOD, "2026-05-01", [], Billed.RENEWAL, "2026-06-01"),
    Decided(plan("20"), INVOICE_NOW, INVOICE_NOW, "2026-04-16", [-1500, 1000], Billed.NOW, "2026-05-01"),
    Decided(TEAM, NEXT_INVOICE, NEXT_INVOICE, "2026-04-16", [-1500, 3000], Billed.NEXT_INVOICE, "2026-05-01"),
    Decided(TEAM, NEXT_PERIOD, NEXT_PERIOD, "2026-05-01", [], Billed.RENEWAL, "2026-06-01"),
    Decided(TEAM, RESET_CYCLE, RESET_CYCLE, "2026-04-16", [-1500, 6000], Billed.NOW, "2026-05-16"),
    Decided(TEAM, NONE, NONE, "2026-04-16", [], Billed.RENEWAL, "2026-05-01"),
    # Another interval resets the cycle, and its first period is billed when it begins.
    Decided(TEAM_YEARLY, None, INVOICE_NOW, "2026-04-16", [-1500, 60000], Billed.NOW, "2027-04-16"),
    Decided(TEAM_YEARLY, NEXT_INVOICE, NEXT_INVOICE, "2026-04-16", [-1500, 60000], Billed.NOW, "2027-04-16"),
    Decided(TEAM_YEARLY, NEXT_PERIOD, NEXT_PERIOD, "2026-05-01", [], Billed.RENEWAL, "2027-05-01"),
    Decided(TEAM_YEARLY, NONE, NONE, "2026-04-16", [60000], Billed.NOW, "2027-04-16"),
]


@pytest.mark.parametrize("case", DECIDED, ids=lambda case: f"{case.to.price_id}-{case.behaviour}")
def test_the_behaviour_decides_when_a_change_counts_and_is_billed(case: Decided) -> None:
    planned = april(SOLO).plan(case.to, day("2026-04-16"), case.behaviour)

    assert (planned.behaviour, planned.effective_at) == (case.chosen, day(case.effective))
    assert (amounts(planned), planned.billed, planned.resets_cycle) == (
        case.amounts,
        case.billed,
        case.resets,
    )
    assert planned.calendar.period_at(planned.effective_at).end == day(case.next_start)


def test_an_interval_by_another_name_is_no_change_of_interval() -> None:
    subscription = april(plan("600", interval=YEAR))

    planned = subscription.plan(plan("660", interval=MONTH, count=12), day("2026-10-01"), INVOICE_NOW)

    assert not planned.resets_cycle
    assert planned.calendar.period(0).end == day("2027-04-01")


@pytest.mark.parametrize("behaviour", [None, *ProrationBehaviour])
@pytest.mark.parametrize("to", [TEAM, plan("20"), TEAM_YEARLY])
def test_changes_within_a_trial_bill_nothing(to: Terms, behaviour: ProrationBehaviour | None) -> None:
    calendar = Calendar(day("2026-04-15"), "UTC", MONTH)
    item = Item(SOLO, calendar, SECOND, trial_end=day("2026-04-15"))

    planned = plan_change(item, to, at=day("2026-04-08"), behaviour=behaviour)

    assert (planned.lines, planned.billed, planned.resets_cycle) == ((), Billed.RENEWAL, False)
    assert planned.effective_at == day("2026-04-15" if planned.behaviour is NEXT_PERIOD else "2026-04-08")
    assert planned.calendar.period(0).start == day("2026-04-15")


def test_a_change_back_after_one_that_was_not_billed_bills_nothing() -> None:
    subscription = april(SOLO)

    assert subscription.change(TEAM, day("2026-04-10"), NONE).lines == ()
    assert subscription.change(SOLO, day("2026-04-20")).lines == ()


# Policy, moment, credit in cents of 30.00 for April.
TERMINATIONS = [
    (SECOND, "2026-04-16", -1500),
    (BY_DAY, "2026-04-16", -1500),  # the 15th was the last day
    (BY_DAY, "2026-04-16T00:00:01", -1400),  # and now the 16th is
    (BY_DAY, "2026-04-30T08:00", 0),
    (BY_DAY, "2026-04-01T08:00", -2900),
    (BY_DAY, "2026-04-01", -3000),  # not used at all
    (SECOND, "2026-05-01", 0),
]


@pytest.mark.parametrize(("policy", "at", "expected"), TERMINATIONS)
def test_the_unit_a_termination_falls_in_is_consumed(policy: ProrationPolicy, at: str, expected: int) -> None:
    assert april(SOLO, policy).end(day(at)).amount.minor == expected


def test_what_ends_as_it_starts_was_not_used() -> None:
    subscription = april(SOLO, BY_DAY)
    subscription.change(TEAM, day("2026-04-16T09:00"))

    assert subscription.end(day("2026-04-16T09:00")).amount.minor == -3000


DIRECTIONS = [
    (plan("10"), plan("120", interval=YEAR), Direction.UPGRADE),  # equal
    (plan("120", interval=YEAR), plan("10"), Direction.UPGRADE),
    (plan("10"), plan("119.99", interval=YEAR), Direction.DOWNGRADE),
    (plan("100", interval=YEAR), plan("8.333333333333"), Direction.DOWNGRADE),  # a hair less
    (plan("1", interval=BillingInterval.DAY), plan("365", interval=YEAR), Direction.UPGRADE),
    (plan("7", interval=BillingInterval.WEEK), plan("30.41"), Direction.DOWNGRADE),
    (plan("30", interval=BillingInterval.QUARTER), plan("60", interval=BillingInterval.HALF_YEAR), Direction.UPGRADE),
    (plan("20", count=2), plan("9"), Direction.DOWNGRADE),
    (plan("5", seats=3), plan("5", seats=2), Direction.DOWNGRADE),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "expected"), DIRECTIONS)
def test_up_or_down_is_by_the_price_of_a_year(old: Terms, new: Terms, expected: Direction) -> None:
    assert direction(old, new) is expected


def test_what_makes_no_sense_is_refused() -> None:
    subscription = april(SOLO)
    subscription.change(TEAM, day("2026-04-16"))
    live, booked = subscription.live, subscription.booked
    assert live is not None
    refused: list[tuple[str, Callable[[], object]]] = [
        ("billed in USD", lambda: subscription.plan(plan("30", currency="EUR"), day("2026-04-20"))),
        ("outside the time", lambda: subscription.plan(SOLO, day("2026-04-15"), INVOICE_NOW)),
        ("outside the time", lambda: subscription.plan(SOLO, day("2026-05-01"), INVOICE_NOW)),
        ("offset", lambda: subscription.plan(SOLO, datetime(2026, 4, 20))),  # noqa: DTZ001
        ("not negative", lambda: plan("30", seats=-1)),
        ("not negative", lambda: replace(SOLO, period_amount=Fraction(-1))),
        ("not negative", lambda: replace(SOLO, quantity=Decimal("NaN"))),
        ("cannot be billed", lambda: debit(TEAM_YEARLY, live.line.ruler, live.line.span)),
        ("More was credited", lambda: replace(live, credited=Money(3001, "USD"))),
        ("not what it charged", lambda: replace(live, discount=Money(1, "USD"))),
        ("not a credit", lambda: restore("line_0", booked[0])),
        ("not from", lambda: termination_credit(live, day("2026-05-02"))),
        ("not known here", lambda: replay({**facts_of(booked[0]), "formula": 99})),
    ]
    for words, act in refused:
        with pytest.raises(Invalid, match=words):
            act()


# -- properties

prices = st.decimals(0, 2_000, places=12).map(str)
currencies = st.sampled_from(["USD", "JPY", "KWD"])
seconds = st.integers(0, 30 * 86_400 - 1)
immediate = st.sampled_from([INVOICE_NOW, NEXT_INVOICE, RESET_CYCLE])


@st.composite
def subscriptions(draw: st.DrawFn) -> Subscription:
    terms = plan(draw(prices), seats=draw(st.integers(0, 50)), currency=draw(currencies))
    calendar = Calendar(day("2026-04-01"), draw(st.sampled_from(["UTC", "Asia/Kathmandu"])), MONTH)
    rates = st.sampled_from([Fraction(0), Fraction(1, 3), Fraction(1, 2), Fraction(1)])
    subscription = Subscription(
        terms, calendar, draw(st.sampled_from(ProrationPolicy)), draw(rates), draw(rates)
    )
    return subscription.start(day("2026-04-01") + timedelta(seconds=draw(st.integers(0, 86_400))))


@st.composite
def offers(draw: st.DrawFn, currency: str) -> Terms:
    interval = draw(st.sampled_from([MONTH, MONTH, YEAR, BillingInterval.WEEK]))
    return plan(draw(prices), seats=draw(st.integers(0, 50)), interval=interval, currency=currency)


@given(subscription=subscriptions(), at=seconds, data=st.data())
def test_there_and_back_at_one_moment_costs_and_grants_nothing(
    subscription: Subscription, at: int, data: st.DataObject
) -> None:
    moment = subscription.calendar.anchor + timedelta(seconds=max(at, 86_400))
    terms, calendar, paid = subscription.terms, subscription.calendar, subscription.paid_minor
    offered = data.draw(
        st.lists(offers(terms.currency).filter(lambda to: to != terms), min_size=1, max_size=3)
    )

    for to in [*offered, terms, *offered, terms]:
        subscription.change(to, moment, data.draw(immediate))

    assert subscription.paid_minor == paid
    assert (subscription.terms, subscription.calendar) == (terms, calendar)
    left = subscription.live
    assert left is not None
    assert left.line.span == Span(moment, calendar.period_at(moment).end)


@given(policy=st.sampled_from(ProrationPolicy), data=st.data())
def test_a_period_costs_what_each_plan_had_of_it(policy: ProrationPolicy, data: st.DataObject) -> None:
    subscription = april(plan(data.draw(prices)), policy)
    ruler, used = subscription.booked[0].ruler, Fraction(0)
    moments = sorted(data.draw(st.lists(seconds, min_size=1, max_size=5)))
    begun = 0
    for index, second in enumerate(moments, 1):
        moment, terms = day("2026-04-01") + timedelta(seconds=second), subscription.terms
        used += terms.period_amount * Fraction(ruler.before(moment) - begun, ruler.whole)
        begun = ruler.before(moment)
        subscription.change(plan("0" if index == len(moments) else data.draw(prices)), moment)

    assert abs(subscription.paid_minor - used * 100) <= Fraction(len(subscription.booked), 2)


@given(subscription=subscriptions(), data=st.data())
def test_no_history_of_changes_gives_back_more_than_was_paid(
    subscription: Subscription, data: st.DataObject
) -> None:
    moment = subscription.calendar.anchor + timedelta(days=1)
    for _ in range(data.draw(st.integers(1, 5))):
        live = subscription.live
        assert live is not None
        room = (live.line.span.end - moment) // timedelta(seconds=2)
        moment += timedelta(seconds=data.draw(st.integers(0, room)))
        subscription.change(data.draw(offers(subscription.terms.currency)), moment, data.draw(immediate))
    subscription.end(moment)

    debited = {
        f"line_{n}": line for n, line in enumerate(subscription.booked) if line.kind is not LineKind.CREDIT
    }
    for line in subscription.booked:
        if line.kind is LineKind.CREDIT:
            assert 0 <= -line.amount.minor <= debited[line.source].amount.minor
    assert subscription.paid_minor >= 0
    for line in subscription.booked:
        facts = json.loads(json.dumps(facts_of(line)))
        assert read_line(facts) == line
        again = replay({**facts, "amount_minor": 0, "tax_minor": 0})
        assert (again.amount, again.tax) == (line.amount, line.tax)
