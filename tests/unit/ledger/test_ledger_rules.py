"""Journals balance, and revenue is earned to the last minor unit, whatever the period, calendar and currency."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.ledger import AccountKind, JournalKind, Measure, Purpose, Step
from models.money import Money, UnknownCurrency
from services.ledger import rules
from services.ledger.rules import BadDeferral, BadJournal, Deferral, Draft, Entry, credit, debit

CURRENCIES = ("USD", "EUR", "JPY", "KWD", "CLF", "HUF")
ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "America/Santiago", "Pacific/Apia")
JANUARY = datetime(2024, 1, 31, 23, 50, tzinfo=UTC)

moneys = st.builds(Money, st.integers(-(10**12), 10**12).filter(bool), st.sampled_from(CURRENCIES))
starts = st.integers(0, 4 * 365 * 86_400).map(
    lambda seconds: datetime(2023, 1, 1, tzinfo=UTC) + timedelta(0, seconds)
)
deferrals = st.builds(
    lambda money, start, lasts, measure, step, zone: Deferral(
        "line_1", money, start, start + lasts, measure, step, zone
    ),
    moneys,
    starts,
    st.timedeltas(timedelta(microseconds=1), timedelta(days=800)),
    st.sampled_from(Measure),
    st.sampled_from(Step),
    st.sampled_from(ZONES),
)


def draft(*entries: Entry, **more: str) -> Draft:
    return Draft("org_1", "key", JournalKind.INVOICE, "inv_1", entries, **more)  # type: ignore[arg-type]


@given(deferrals)
@example(
    Deferral("l", Money(50, "USD"), JANUARY, JANUARY + timedelta(days=100), step=Step.DAY)
)  # half a cent a day
def test_slices_add_up_to_the_whole_and_none_runs_against_it(deferral: Deferral) -> None:
    slices = rules.schedule(deferral)

    assert sum(piece.money.minor for piece in slices) == deferral.money.minor
    assert all(piece.money.minor * deferral.money.minor >= 0 for piece in slices)
    assert [piece.number for piece in slices] == list(range(len(slices)))
    assert (slices[0].starts_at, slices[-1].ends_at) == (deferral.starts_at, deferral.ends_at)
    assert all(piece.starts_at < piece.ends_at for piece in slices)
    assert all(one.ends_at == other.starts_at for one, other in itertools.pairwise(slices))
    for piece in slices[:-1]:
        local = piece.ends_at.astimezone(ZoneInfo(deferral.zone))
        assert local.day == 1 or deferral.step is Step.DAY
        # What is booked for a month counts in that month.
        assert piece.booked_at.astimezone(ZoneInfo(deferral.zone)).date() < local.date()


@given(deferrals)
def test_a_credit_takes_back_exactly_what_the_charge_earned(deferral: Deferral) -> None:
    back = Deferral(
        "line_2",
        -deferral.money,
        deferral.starts_at,
        deferral.ends_at,
        deferral.measure,
        deferral.step,
        deferral.zone,
    )
    pairs = zip(rules.schedule(deferral), rules.schedule(back), strict=True)
    assert all(one.money.minor + other.money.minor == 0 for one, other in pairs)


@pytest.mark.parametrize(
    ("measure", "step", "zone", "start", "end", "minor", "expected"),
    [
        # A quarter by seconds: 31, 29 and 31 days of 91.
        ("second", "month", "UTC", "2024-01-01", "2024-04-01", 9100, [3100, 2900, 3100]),
        ("second", "month", "UTC", "2024-01-31T12:00", "2024-02-29T12:00", 5800, [100, 5700]),
        # By days both days that are touched count whole.
        ("day", "month", "UTC", "2024-01-31T12:00", "2024-02-29T12:00", 3000, [100, 2900]),
        ("day", "day", "Europe/Berlin", "2024-03-30T23:00", "2024-04-01T22:00", 200, [100, 100]),
        # The day on which clocks go forward has 23 of the 47 hours.
        ("second", "day", "Europe/Berlin", "2024-03-30T23:00", "2024-04-01T22:00", 4700, [2300, 2400]),
        ("second", "day", "UTC", "2024-01-01", "2024-01-04", 1, [0, 1, 0]),
        ("second", "month", "UTC", "2024-01-01", "2024-04-01", -1, [0, -1, 0]),
    ],
)  # fmt: skip
def test_worked_cases(
    measure: str, step: str, zone: str, start: str, end: str, minor: int, expected: list[int]
) -> None:
    starts_at, ends_at = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (start, end))
    deferral = Deferral("l", Money(minor, "JPY"), starts_at, ends_at, Measure(measure), Step(step), zone)
    assert [piece.money.minor for piece in rules.schedule(deferral)] == expected


def test_no_time_and_too_much_of_it_are_refused() -> None:
    with pytest.raises(BadDeferral):
        rules.schedule(Deferral("l", Money(1, "USD"), JANUARY, JANUARY))
    century = Deferral("l", Money(1, "USD"), JANUARY, JANUARY.replace(year=2124), step=Step.DAY)
    with pytest.raises(BadDeferral):
        rules.schedule(century)


@given(st.lists(moneys, min_size=1, max_size=20))
def test_what_is_debited_and_credited_balances_and_one_unit_more_does_not(moved: list[Money]) -> None:
    entries = [
        entry
        for money in moved
        for entry in (debit(Purpose.RECEIVABLE, money), credit(Purpose.REVENUE, money))
    ]
    assert rules.sound(draft(*entries)).entries == tuple(entries)
    with pytest.raises(BadJournal, match="balance"):
        rules.sound(draft(*entries, debit(Purpose.ROUNDING, Money(1, moved[0].currency))))


def test_entries_of_nothing_are_left_out_and_what_no_ledger_takes_is_refused() -> None:
    one, other = debit(Purpose.CASH, Money(5, "USD")), credit(Purpose.RECEIVABLE, Money(5, "USD"))
    nothing = debit(Purpose.TAX_OWED, Money(0, "USD"))
    assert rules.sound(draft(one, nothing, other)).entries == (one, other)
    huge = Money(rules.MINOR_MAX + 1, "USD")
    mixed = (debit(Purpose.CASH, Money(5, "USD")), credit(Purpose.RECEIVABLE, Money(5, "EUR")))
    for bad in (
        draft(nothing),
        draft(one),
        draft(*mixed),
        draft(*[one, other] * rules.ENTRIES_MAX),
        draft(debit(Purpose.CASH, huge), credit(Purpose.RECEIVABLE, huge)),
        draft(one, other, note="x" * (rules.NOTE_CHARACTERS_MAX + 1)),
        Draft("org_1", "", JournalKind.INVOICE, "inv_1", (one, other)),
    ):
        with pytest.raises(BadJournal):
            rules.sound(bad)
    with pytest.raises(UnknownCurrency):
        rules.sound(draft(Entry(Purpose.CASH, 5, "XXX"), Entry(Purpose.RECEIVABLE, -5, "XXX")))


def test_content_is_what_is_booked_in_whatever_order_and_whenever() -> None:
    one, other = debit(Purpose.CASH, Money(5, "USD")), credit(Purpose.RECEIVABLE, Money(5, "USD"))
    first = rules.content_hash(draft(one, other))
    assert rules.content_hash(draft(other, one, note="again")) == first
    assert rules.content_hash(draft(one, credit(Purpose.REVENUE, Money(5, "USD")))) != first


def test_every_purpose_has_its_side() -> None:
    assert set(rules.KIND_OF) == set(Purpose)
    assert rules.in_own_sense(AccountKind.ASSET, 5) == rules.in_own_sense(AccountKind.REVENUE, -5) == 5
