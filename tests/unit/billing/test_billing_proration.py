"""Parts of a billing period: each policy's units, worked cases, and pieces that always add up to the whole."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.money import Money
from models.types import BillingInterval, ProrationPolicy
from services.billing.periods import Calendar, Span
from services.billing.proration import CUTS_MAX, Ending, Portion, Ruler, split
from services.core.errors import Invalid

SECOND, MINUTE = ProrationPolicy.SECOND, ProrationPolicy.MINUTE
BY_DAY, FIXED_30 = ProrationPolicy.DAY, ProrationPolicy.FIXED_30
MONTH = BillingInterval.MONTH
# No two are a day apart, so that their dates differ by one at most.
ZONES = [
    "UTC",
    "America/Los_Angeles",
    "America/St_Johns",
    "Europe/Berlin",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
]


def local(text: str, zone: str = "UTC") -> datetime:
    """That local time as an instant in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def ruler(
    policy: ProrationPolicy, anchor: str, zone: str = "UTC", interval: BillingInterval = MONTH
) -> Ruler:
    calendar = Calendar(local(anchor, zone), zone, interval)
    return Ruler(policy, calendar, calendar.period(0))


@dataclass(frozen=True)
class Measured:
    """`before` units belong to the old plan at a change, `consumed` ones at a termination."""

    policy: ProrationPolicy
    anchor: str
    at: str
    before: int
    consumed: int
    whole: int
    zone: str = "UTC"
    interval: BillingInterval = MONTH


MEASURED = [
    Measured(SECOND, "2026-04-01", "2026-04-16", 1_296_000, 1_296_000, 2_592_000),
    Measured(SECOND, "2026-04-01", "2026-04-16T00:00:00.5", 1_296_000, 1_296_001, 2_592_000),
    Measured(SECOND, "2026-04-01T00:00:00.7", "2026-04-01T00:00:01.2", 1, 2, 2_592_000),
    Measured(MINUTE, "2026-04-01", "2026-04-01T10:30:59", 630, 631, 43_200),
    # Days of 23, 25 and 24.5 hours.
    Measured(SECOND, "2026-03-01", "2026-03-30", 2_502_000, 2_502_000, 743 * 3_600, "Europe/Berlin"),
    Measured(BY_DAY, "2026-03-01", "2026-03-30", 29, 29, 31, "Europe/Berlin"),
    Measured(MINUTE, "2026-10-01", "2026-10-26", 25 * 1_440 + 60, 25 * 1_440 + 60, 745 * 60, "Europe/Berlin"),
    Measured(BY_DAY, "2026-10-01", "2026-10-25T23:59", 24, 25, 31, "Europe/Berlin"),
    Measured(MINUTE, "2026-04-01", "2026-04-06", 5 * 1_440 + 30, 5 * 1_440 + 30, 43_230, "Australia/Lord_Howe"),
    # The day of a change is the new plan's; a day that a termination falls in is used up.
    Measured(BY_DAY, "2026-04-01", "2026-04-16T10:00", 15, 16, 30),
    Measured(BY_DAY, "2026-04-01", "2026-04-16", 15, 15, 30),
    Measured(BY_DAY, "2026-04-01", "2026-04-01T23:59", 0, 1, 30),
    Measured(BY_DAY, "2026-04-01", "2026-04-01", 0, 0, 30),
    Measured(BY_DAY, "2026-04-01", "2026-04-30T23:59:59", 29, 30, 30),
    # A date belongs to the period that starts on it, at whatever time of day.
    Measured(BY_DAY, "2026-03-15T10:00", "2026-03-15T23:00", 0, 1, 31),
    Measured(BY_DAY, "2026-03-15T10:00", "2026-04-14T09:00", 30, 31, 31),
    Measured(BY_DAY, "2026-03-15T10:00", "2026-04-15T09:00", 31, 31, 31),
    # Days of the zone: 18:15 UTC is midnight in Kathmandu.
    Measured(BY_DAY, "2026-04-01", "2026-04-11", 10, 10, 30, "Asia/Kathmandu"),
    Measured(BY_DAY, "2026-04-01", "2026-04-10T23:59:59", 9, 10, 30, "Asia/Kathmandu"),
    Measured(BY_DAY, "2018-11-01", "2018-11-04T01:00", 3, 3, 30, "America/Sao_Paulo"),  # midnight was skipped
    # Thirty units a month: a 31st day has none, the end of a short month what is left.
    Measured(FIXED_30, "2026-02-01", "2026-02-16", 15, 15, 30),
    Measured(FIXED_30, "2026-02-01", "2026-02-28T12:00", 27, 30, 30),
    Measured(FIXED_30, "2026-05-01", "2026-05-31", 30, 30, 30),
    Measured(FIXED_30, "2026-05-01", "2026-05-30T12:00", 29, 30, 30),
    Measured(FIXED_30, "2026-01-31", "2026-02-27T12:00", 27, 30, 30),
    Measured(FIXED_30, "2025-11-30", "2026-01-15", 46, 46, 90, interval=BillingInterval.QUARTER),
    Measured(FIXED_30, "2026-01-01", "2026-07-16", 195, 195, 360, interval=BillingInterval.YEAR),
    Measured(FIXED_30, "2026-04-06", "2026-04-08T12:00", 2, 3, 7, interval=BillingInterval.WEEK),
    Measured(BY_DAY, "2024-01-01", "2024-03-01", 60, 60, 366, interval=BillingInterval.YEAR),
]  # fmt: skip


@pytest.mark.parametrize("case", MEASURED, ids=lambda case: f"{case.policy}-{case.anchor}-{case.at}")
def test_each_policy_counts_its_units(case: Measured) -> None:
    measured = ruler(case.policy, case.anchor, case.zone, case.interval)
    at, period = local(case.at, case.zone), measured.period

    assert (measured.before(at), measured.consumed(at), measured.whole) == (
        case.before,
        case.consumed,
        case.whole,
    )
    assert measured.portion(period) == Portion(case.whole, case.whole)
    assert measured.unused(period, at, Ending.CHANGE) == case.whole - case.before
    assert measured.unused(period, at, Ending.TERMINATION) == case.whole - case.consumed


def test_clocks_turned_back_over_midnight_do_not_bring_a_day_back() -> None:
    measured = ruler(BY_DAY, "2010-11-01", "America/St_Johns")
    midnight = local("2010-11-07T00:00", "America/St_Johns")  # and at 00:01 it was 23:01 again

    counted = [measured.before(midnight + timedelta(minutes=minutes)) for minutes in (-1, 0, 2, 60, 62)]

    assert counted == [5, 6, 6, 6, 6]


def test_a_day_whose_end_clocks_skipped_is_a_day_all_the_same() -> None:
    calendar = Calendar(local("2018-05-03T23:45", "Asia/Pyongyang"), "Asia/Pyongyang", BillingInterval.DAY)
    measured = Ruler(BY_DAY, calendar, calendar.period(1))  # from 00:15 on the 5th, where 23:45 should be

    assert measured.whole == 1
    assert measured.portion(measured.period) == Portion(1, 1)


def test_a_stub_is_measured_against_the_whole_period() -> None:
    for policy, part, whole in [(SECOND, 21 * 86_400, 30 * 86_400), (BY_DAY, 21, 30), (FIXED_30, 21, 30)]:
        measured = ruler(policy, "2026-04-01")
        stub = Span(local("2026-04-10"), measured.period.end)
        assert measured.portion(stub) == Portion(part, whole)


def test_what_reaches_out_of_the_period_is_refused() -> None:
    measured = ruler(BY_DAY, "2026-04-01")
    period = measured.period
    span = Span(local("2026-04-10"), local("2026-04-20"))

    for act in (
        lambda: measured.portion(Span(local("2026-03-31"), period.end)),
        lambda: measured.before(local("2026-05-02")),
        lambda: measured.consumed(local("2026-03-31")),
        lambda: measured.unused(span, local("2026-04-21"), Ending.CHANGE),
        lambda: measured.before(datetime(2026, 4, 2)),  # noqa: DTZ001
        lambda: split(Money(1, "USD"), measured, span, [local("2026-04-21")]),
        lambda: split(Money(1, "USD"), measured, span, [local("2026-04-15"), local("2026-04-12")]),
        lambda: split(Money(1, "USD"), measured, span, [span.start] * (CUTS_MAX + 1)),
    ):
        with pytest.raises(Invalid):
            act()


# Item, cuts on days of April, pieces.
SPLITS = [
    (Money(1, "USD"), [16], [1, 0]),
    (Money(2, "USD"), [8, 16, 23], [0, 1, 0, 1]),
    (Money(100, "JPY"), [11, 21], [33, 34, 33]),
    (Money(-100, "JPY"), [11, 21], [-33, -34, -33]),
    (Money(1_000, "BHD"), [2], [33, 967]),
    (Money(1_000, "EUR"), [16, 16], [500, 0, 500]),
    (Money(0, "EUR"), [16], [0, 0]),
]


@pytest.mark.parametrize(("item", "days", "pieces"), SPLITS)
def test_the_last_piece_takes_the_residual(item: Money, days: list[int], pieces: list[int]) -> None:
    measured = ruler(BY_DAY, "2026-04-01")
    cuts = [local(f"2026-04-{day:02}") for day in days]

    found = split(item, measured, measured.period, cuts)

    assert [piece.amount.minor for piece in found] == pieces
    assert sum(piece.portion.fraction for piece in found) == 1


def test_an_item_within_one_unit_goes_to_its_last_piece() -> None:
    measured = ruler(BY_DAY, "2026-04-01")
    afternoon = Span(local("2026-04-30T12:00"), local("2026-04-30T18:00"))

    found = split(Money(100, "EUR"), measured, afternoon, [local("2026-04-30T15:00")])

    assert [piece.amount.minor for piece in found] == [0, 100]


# -- properties

policies = st.sampled_from(ProrationPolicy)
zones = st.sampled_from(ZONES)
moneys = st.builds(Money, st.integers(-(10**9), 10**9), st.sampled_from(["USD", "JPY", "KWD"]))
places = st.integers(0, 10_000)  # in a period, as ten-thousandths of it


@st.composite
def rulers(draw: st.DrawFn) -> Ruler:
    anchor = draw(st.datetimes(datetime(2012, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
    calendar = Calendar(anchor, draw(zones), draw(st.sampled_from(BillingInterval)), draw(st.integers(1, 4)))
    return Ruler(draw(policies), calendar, calendar.period(draw(st.integers(-10, 20))))


def place(span: Span, ten_thousandths: int) -> datetime:
    return span.start + (span.end - span.start) * ten_thousandths / 10_000


@given(item=moneys, measured=rulers(), ends=st.tuples(places, places), cuts=st.lists(places, max_size=8))
@example(Money(1, "USD"), ruler(BY_DAY, "2026-04-01"), (0, 10_000), [2_500, 5_000, 7_500])
def test_pieces_add_up_to_the_item(
    item: Money, measured: Ruler, ends: tuple[int, int], cuts: list[int]
) -> None:
    span = Span(*(place(measured.period, end) for end in sorted(ends)))

    pieces = split(item, measured, span, [place(span, cut) for cut in sorted(cuts)])

    assert sum(piece.amount.minor for piece in pieces) == item.minor
    assert [piece.span.start for piece in pieces[1:]] == [piece.span.end for piece in pieces[:-1]]
    for piece in pieces:
        assert piece.amount.minor * item.minor >= 0
        if measured.units(span):
            assert abs(piece.amount.minor - item.minor * piece.portion.fraction) <= 1


@given(measured=rulers(), cuts=st.lists(places, max_size=8))
def test_units_tile_the_period(measured: Ruler, cuts: list[int]) -> None:
    period = measured.period
    instants = [period.start, *(place(period, cut) for cut in sorted(cuts)), period.end]
    before = [measured.before(at) for at in instants]
    consumed = [measured.consumed(at) for at in instants]

    assert before == sorted(before)
    assert consumed == sorted(consumed)
    assert (before[0], consumed[0]) == (0, 0)
    assert before[-1] == consumed[-1] == measured.whole > 0
    assert all(owned <= begun for owned, begun in zip(before, consumed, strict=True))


@given(measured=rulers(), other=zones, cut=places)
def test_only_another_timezone_moves_at_most_one_day(measured: Ruler, other: str, cut: int) -> None:
    here = measured.calendar
    there = Calendar(here.anchor, other, here.interval, here.count)
    # Where the anchor has another date, the months after the first are others, too.
    number = measured.period.number if here.day(0) == there.day(0) else 0
    rulers = [Ruler(BY_DAY, calendar, calendar.period(number)) for calendar in (here, there)]
    both = Span(max(r.period.start for r in rulers), min(r.period.end for r in rulers))

    days = [r.before(place(both, cut)) for r in rulers]

    assert abs(days[0] - days[1]) <= 1
    for policy in ProrationPolicy:
        whole = Ruler(policy, there, there.period(measured.period.number))
        assert (
            whole.portion(whole.period).fraction == 1
        )  # a flat fee for a whole period is the same everywhere
    if here.day(0) == there.day(0):
        assert rulers[0].whole == rulers[1].whole
