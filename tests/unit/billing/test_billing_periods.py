"""Billing periods: month ends from the anchor every time, local clocks kept, time tiled without gap or overlap."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from models.types import BillingInterval
from services.billing.periods import COUNT_MAX, DAYS, MONTHS, PERIODS_LISTED_MAX, Calendar, Span
from services.core.errors import Invalid

DAY, WEEK, MONTH = BillingInterval.DAY, BillingInterval.WEEK, BillingInterval.MONTH
QUARTER, HALF_YEAR, YEAR = BillingInterval.QUARTER, BillingInterval.HALF_YEAR, BillingInterval.YEAR
INSTANT = timedelta(microseconds=1)
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",  # turned back at 00:01 until 2011, over midnight
    "America/Sao_Paulo",  # skipped midnight until 2018
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Asia/Pyongyang",  # skipped 23:30 to 24:00 once
    "Australia/Lord_Howe",  # by half an hour
    "Pacific/Apia",  # skipped a day
]
NO_DAY = date(2011, 12, 30)  # in Apia


def local(text: str, zone: str = "UTC", *, fold: int = 0) -> datetime:
    """That local time as an instant in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


moments = st.datetimes(datetime(1985, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@dataclass(frozen=True)
class Numbered:
    calendar: Calendar
    number: int

    @property
    def happened(self) -> bool:
        return self.calendar.timezone != "Pacific/Apia" or self.calendar.day(self.number) != NO_DAY


@st.composite
def numbered(draw: st.DrawFn) -> Numbered:
    interval = draw(st.sampled_from(BillingInterval))
    count = draw(st.integers(1, min(6, COUNT_MAX[interval])))
    calendar = Calendar(draw(moments), draw(st.sampled_from(ZONES)), interval, count)
    first, last = calendar.number_at(local("1980-01-01")), calendar.number_at(local("2150-01-01"))
    return Numbered(calendar, draw(st.integers(max(first, -400), min(last, 400))))


# Anchor, interval, count, number of the first start in the list, local dates that periods start on.
STARTS: list[tuple[str, BillingInterval, int, int, str]] = [
    ("2024-01-31", MONTH, 1, 0, "2024-01-31 2024-02-29 2024-03-31 2024-04-30 2024-05-31"),
    ("2025-12-31", MONTH, 1, 1, "2026-01-31 2026-02-28 2026-03-31 2026-04-30"),
    ("2026-01-30", MONTH, 1, 0, "2026-01-30 2026-02-28 2026-03-30"),
    ("2026-03-31", MONTH, 1, -2, "2026-01-31 2026-02-28 2026-03-31"),
    ("2026-01-31", MONTH, 2, 0, "2026-01-31 2026-03-31 2026-05-31 2026-07-31 2026-09-30"),
    ("2025-11-30", QUARTER, 1, 0, "2025-11-30 2026-02-28 2026-05-30 2026-08-30"),
    ("2023-08-31", HALF_YEAR, 1, 0, "2023-08-31 2024-02-29 2024-08-31 2025-02-28"),
    ("2024-02-29", YEAR, 1, 0, "2024-02-29 2025-02-28 2026-02-28 2027-02-28 2028-02-29"),
    ("2024-02-29", YEAR, 1, 75, "2099-02-28 2100-02-28 2101-02-28"),
    ("2024-02-29", YEAR, 2, 0, "2024-02-29 2026-02-28 2028-02-29"),
    ("2024-02-29", MONTH, 1, 0, "2024-02-29 2024-03-29 2024-04-29"),
    ("2026-02-26", DAY, 1, 0, "2026-02-26 2026-02-27 2026-02-28 2026-03-01"),
    ("2026-02-26", DAY, 90, 0, "2026-02-26 2026-05-27"),
    ("2026-12-29", WEEK, 1, -1, "2026-12-22 2026-12-29 2027-01-05"),
]


@pytest.mark.parametrize(("anchor", "interval", "count", "first", "days"), STARTS)
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "America/Los_Angeles"])
def test_month_ends_are_clamped_from_the_anchor(
    anchor: str, interval: BillingInterval, count: int, first: int, days: str, zone: str
) -> None:
    calendar = Calendar(local(f"{anchor}T18:45", zone), zone, interval, count)

    for number, day in enumerate(days.split(), first):
        assert calendar.period(number).start == local(f"{day}T18:45", zone)
        assert calendar.day(number) == date.fromisoformat(day)


# A daily calendar: zone, anchor's local time, a local day, and the instant the period of that day starts.
CLOCKS: list[tuple[str, str, str, str]] = [
    ("Europe/Berlin", "02:30", "2026-03-28", "2026-03-28T01:30Z"),
    ("Europe/Berlin", "02:30", "2026-03-29", "2026-03-29T01:30Z"),  # skipped: 03:30 on the clock
    ("Europe/Berlin", "02:30", "2026-03-30", "2026-03-30T00:30Z"),
    ("Europe/Berlin", "02:30", "2026-10-25", "2026-10-25T00:30Z"),  # twice: the first
    ("Europe/Berlin", "03:30", "2026-10-25", "2026-10-25T02:30Z"),
    ("America/New_York", "02:00", "2026-03-08", "2026-03-08T07:00Z"),
    ("Australia/Lord_Howe", "02:15", "2026-10-04", "2026-10-03T15:45Z"),  # half an hour skipped: 02:45
    ("Australia/Lord_Howe", "01:45", "2026-04-05", "2026-04-04T14:45Z"),  # half an hour twice: the first
    ("Asia/Kathmandu", "00:00", "2026-03-29", "2026-03-28T18:15Z"),
    ("America/Sao_Paulo", "00:00", "2018-11-04", "2018-11-04T03:00Z"),  # no midnight: 01:00
    ("Asia/Pyongyang", "23:45", "2018-05-04", "2018-05-04T15:15Z"),  # 00:15 of the day after
]


@pytest.mark.parametrize(("zone", "time", "day", "start"), CLOCKS)
def test_periods_keep_the_anchor_s_time_of_day(zone: str, time: str, day: str, start: str) -> None:
    anchor = local(f"2018-01-10T{time}", zone)
    number = (date.fromisoformat(day) - date(2018, 1, 10)).days

    assert Calendar(anchor, zone, DAY).period(number).start == datetime.fromisoformat(start)


def test_lengths_follow_the_clocks() -> None:
    for zone, start, hours in [
        ("Europe/Berlin", "2026-03-01", 743),
        ("Europe/Berlin", "2026-10-01", 745),
        ("Australia/Lord_Howe", "2026-04-01", 720.5),
        ("UTC", "2024-02-01", 696),
    ]:
        period = Calendar(local(f"{start}T00:00", zone), zone, MONTH).period(0)
        assert (period.end - period.start) / timedelta(hours=1) == hours


def test_an_anchor_in_the_second_of_two_equal_hours_stays_where_it_is() -> None:
    anchor = local("2026-10-25T02:30", "Europe/Berlin", fold=1)
    calendar = Calendar(anchor, "Europe/Berlin", MONTH)

    assert calendar.period(0).start == anchor
    assert calendar.period(-1).end == anchor
    assert calendar.number_at(anchor - INSTANT) == -1
    assert calendar.period(1).start == local("2026-11-25T02:30", "Europe/Berlin")


def test_a_day_that_a_zone_skipped_is_no_period() -> None:
    calendar = Calendar(local("2011-12-28T00:00", "Pacific/Apia"), "Pacific/Apia", DAY)

    found = calendar.touching(Span(calendar.anchor, local("2012-01-01T00:00", "Pacific/Apia")))

    assert [period.number for period in found] == [0, 1, 3]  # and the 30th is missing without a gap
    assert [later.start for later in found[1:]] == [earlier.end for earlier in found[:-1]]
    with pytest.raises(Invalid, match="2011-12-30 did not happen"):
        calendar.period(2)


@given(numbered())
@example(Numbered(Calendar(local("2010-10-10T00:00:30", "America/St_Johns"), "America/St_Johns", DAY), 28))
@example(Numbered(Calendar(local("2011-12-01T12:00", "Pacific/Apia"), "Pacific/Apia", DAY), 28))
def test_every_instant_is_in_one_period(case: Numbered) -> None:
    calendar, number = case.calendar, case.number
    assume(case.happened)
    period = calendar.period(number)

    assert calendar.period_at(period.start) == period
    assert calendar.number_at(period.start + timedelta(minutes=30)) == number
    assert calendar.number_at(period.end - INSTANT) == number
    assert calendar.number_at(period.start - INSTANT) < number
    assert calendar.period_at(period.end).start == period.end


@given(case=numbered(), length_d=st.integers(0, 800))
def test_periods_tile_time(case: Numbered, length_d: int) -> None:
    assume(case.happened)
    start = case.calendar.period(case.number).start
    span = Span(start + INSTANT, start + timedelta(days=length_d, hours=7))

    found = case.calendar.touching(span)

    assert found[0].number == case.number
    assert found[-1].start < span.end <= found[-1].end
    assert all(earlier.end == later.start for earlier, later in pairwise(found))


@given(numbered())
def test_clamping_is_never_sticky(case: Numbered) -> None:
    calendar = case.calendar
    anchor, day = calendar.day(0), calendar.day(case.number)

    if calendar.interval in MONTHS:
        assert day.day == min(anchor.day, monthrange(day.year, day.month)[1])
        months = (day.year - anchor.year) * 12 + day.month - anchor.month
        assert months == case.number * MONTHS[calendar.interval] * calendar.count
    else:
        assert day - anchor == timedelta(case.number * DAYS[calendar.interval] * calendar.count)


REFUSED: list[tuple[str, str, BillingInterval, int, str]] = [
    ("2026-01-01T00:00Z", "Europe/Atlantis", MONTH, 1, "no timezone"),
    ("2026-01-01T00:00Z", "../etc/passwd", MONTH, 1, "no timezone"),
    ("2026-01-01T00:00Z", "Europe", MONTH, 1, "no timezone"),
    ("2026-01-01T00:00Z", "", MONTH, 1, "no timezone"),
    ("2026-01-01T00:00", "UTC", MONTH, 1, "offset"),
    ("1969-12-31T00:00Z", "UTC", MONTH, 1, "1970 to 2200"),
    *[("2026-01-01T00:00Z", "UTC", interval, 0, "cannot be 0") for interval in BillingInterval],
    *[("2026-01-01T00:00Z", "UTC", unit, most + 1, "cannot be") for unit, most in COUNT_MAX.items()],
]


@pytest.mark.parametrize(("anchor", "zone", "interval", "count", "words"), REFUSED)
def test_what_is_no_calendar_is_refused(
    anchor: str, zone: str, interval: BillingInterval, count: int, words: str
) -> None:
    with pytest.raises(Invalid, match=words):
        Calendar(datetime.fromisoformat(anchor), zone, interval, count)


def test_looking_ahead_has_an_end() -> None:
    daily = Calendar(local("2026-01-01T00:00"), "UTC", DAY)
    century = Calendar(local("2026-01-31T00:00"), "UTC", MONTH)

    assert century.period(2_000).start == local("2192-09-30T00:00")
    for act in (
        lambda: century.period(2_100),
        lambda: century.period(10**12),
        lambda: daily.period(-(10**12)),
        lambda: daily.period_at(local("9999-12-31T23:59:59")),
    ):
        with pytest.raises(Invalid, match="1970 to 2200"):
            act()
    longest = Span(daily.anchor, daily.anchor + timedelta(days=PERIODS_LISTED_MAX))
    assert len(daily.touching(longest)) == PERIODS_LISTED_MAX
    with pytest.raises(Invalid, match="1,001 billing periods are too many"):
        daily.touching(Span(longest.start, longest.end + INSTANT))
    assert daily.touching(Span(daily.anchor, daily.anchor)) == ()
    with pytest.raises(Invalid, match="is before"):
        Span(longest.end, longest.start)
