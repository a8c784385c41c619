"""Buckets of local calendars: days of 23 and 25 hours, zones at half hours, and tiles that cover them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.errors import Invalid
from services.metering import calendar
from services.metering.calendar import Granularity, Rollup, edges, tiles

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "America/Sao_Paulo",
    "America/Havana",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Asia/Beirut",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
]
zones = st.sampled_from(ZONES).map(ZoneInfo)
moments = st.datetimes(datetime(2005, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def local(text: str, zone: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


def hours_between(found: list[datetime]) -> list[float]:
    return [(later - earlier) / timedelta(hours=1) for earlier, later in pairwise(found)]


DAYS: list[tuple[str, str, list[float]]] = [
    ("2026-03-28", "Europe/Berlin", [24, 23, 24]),  # clocks go forward on the 29th
    ("2026-10-24", "Europe/Berlin", [24, 25, 24]),
    ("2026-03-07", "America/St_Johns", [24, 23, 24]),
    ("2026-10-03", "Australia/Lord_Howe", [24, 23.5, 24]),  # by half an hour
    ("2026-04-04", "Australia/Lord_Howe", [24, 24.5, 24]),
    ("2018-11-03", "America/Sao_Paulo", [24, 23, 24]),  # midnight itself is skipped
    ("2018-02-16", "America/Sao_Paulo", [24, 25, 24]),  # and comes twice
    ("2026-10-31", "America/Havana", [24, 25, 24]),
    ("2011-12-28", "Pacific/Apia", [24, 24, 24]),  # the 30th did not happen
    ("2026-06-01", "Asia/Kathmandu", [24, 24, 24]),
]


@pytest.mark.parametrize(("first", "zone", "lengths"), DAYS)
def test_local_days_have_their_own_lengths(first: str, zone: str, lengths: list[float]) -> None:
    start = local(first, zone)
    found = edges(start, start.astimezone(UTC) + timedelta(hours=70), Granularity.DAY, ZoneInfo(zone))

    assert hours_between(found)[:3] == lengths


def test_a_day_that_a_zone_skipped_is_no_bucket() -> None:
    found = edges(
        local("2011-12-29", "Pacific/Apia"),
        local("2012-01-01", "Pacific/Apia"),
        Granularity.DAY,
        ZoneInfo("Pacific/Apia"),
    )
    dates = [edge.astimezone(ZoneInfo("Pacific/Apia")).date().isoformat() for edge in found]
    assert dates == ["2011-12-29", "2011-12-31", "2012-01-01"]


@pytest.mark.parametrize(
    ("zone", "minute"), [("Asia/Kolkata", 30), ("Asia/Kathmandu", 15), ("America/St_Johns", 30), ("UTC", 0)]
)
def test_hours_start_where_the_local_clock_is_full(zone: str, minute: int) -> None:
    start = datetime(2026, 7, 1, 5, 50, tzinfo=UTC)
    found = edges(start, start + timedelta(hours=3), Granularity.HOUR, ZoneInfo(zone))

    assert {edge.minute for edge in found} == {minute}
    assert found[0] <= start < found[1]


def test_the_hour_that_comes_twice_is_two_buckets() -> None:
    found = edges(
        local("2026-10-25", "Europe/Berlin"),
        local("2026-10-26", "Europe/Berlin"),
        Granularity.HOUR,
        ZoneInfo("Europe/Berlin"),
    )
    assert len(found) - 1 == 25
    assert [edge.astimezone(ZoneInfo("Europe/Berlin")).hour for edge in found][:5] == [0, 1, 2, 2, 3]


def test_weeks_start_on_monday_and_months_on_the_first() -> None:
    zone = ZoneInfo("Europe/Berlin")
    weeks = edges(local("2026-03-26", zone.key), local("2026-04-07", zone.key), Granularity.WEEK, zone)
    months = edges(local("2026-01-31", zone.key), local("2026-03-02", zone.key), Granularity.MONTH, zone)

    def dates(found: list[datetime]) -> list[str]:
        return [edge.astimezone(zone).date().isoformat() for edge in found]

    assert dates(weeks) == ["2026-03-23", "2026-03-30", "2026-04-06", "2026-04-13"]
    assert dates(months) == ["2026-01-01", "2026-02-01", "2026-03-01", "2026-04-01"]


@given(
    start=moments, minutes=st.integers(1, 60 * 24 * 100), granularity=st.sampled_from(Granularity), zone=zones
)
def test_buckets_cover_the_window_and_nothing_lies_between_them(
    start: datetime, minutes: int, granularity: Granularity, zone: ZoneInfo
) -> None:
    if granularity is Granularity.MINUTE:
        minutes = minutes % 1_000 + 1
    elif granularity is Granularity.HOUR:
        minutes = minutes % 60_000 + 1
    end = start + timedelta(minutes=minutes)
    found = edges(start, end, granularity, zone)

    assert found[0] <= start < found[1]
    assert found[-2] < end <= found[-1]
    assert all(earlier < later for earlier, later in pairwise(found))
    assert all(edge.second == edge.microsecond == 0 for edge in found)
    # Widening a window to whole buckets changes nothing: series of neighbours fit together.
    assert edges(found[0], found[-1], granularity, zone) == found


@given(start=moments, days=st.integers(1, 60), zone=zones)
def test_finer_edges_contain_the_coarser_ones(start: datetime, days: int, zone: ZoneInfo) -> None:
    coarse = edges(start, start + timedelta(days=days), Granularity.DAY, zone)
    fine = edges(coarse[0], coarse[-1], Granularity.HOUR, zone)

    assert set(coarse) <= set(fine)
    assert (fine[0], fine[-1]) == (coarse[0], coarse[-1])


@given(start=moments, spans=st.lists(st.integers(1, 60 * 24 * 20), min_size=1, max_size=12))
def test_tiles_cover_each_bucket_once_with_whole_rollups(start: datetime, spans: list[int]) -> None:
    bounds = [calendar.minute_floor(start)]
    for minutes in spans:
        bounds.append(bounds[-1] + timedelta(minutes=minutes))
    laid = sorted(tiles(bounds), key=lambda tile: tile.start)

    assert (laid[0].start, laid[-1].end) == (bounds[0], bounds[-1])
    assert all(one.end == other.start for one, other in pairwise(laid))
    lengths = {Rollup.MINUTE: 60, Rollup.HOUR: 3_600, Rollup.DAY: 86_400}
    for tile in laid:
        assert tile.start.timestamp() % lengths[tile.rollup] == 0
        assert tile.end.timestamp() % lengths[tile.rollup] == 0
    # No roll-up reaches over the edge between two buckets.
    for bound in bounds[1:-1]:
        (tile,) = [tile for tile in laid if tile.start <= bound < tile.end]
        assert bound.timestamp() % lengths[tile.rollup] == 0


def test_long_windows_are_read_from_few_rows() -> None:
    """A year in Berlin: days inside, hours at the edges of each month, no minutes."""
    zone = ZoneInfo("Europe/Berlin")
    months = edges(local("2026-01-01", zone.key), local("2027-01-01", zone.key), Granularity.MONTH, zone)
    laid = tiles(months)

    rows = {Rollup.HOUR: timedelta(hours=1), Rollup.DAY: timedelta(days=1)}
    assert sum((tile.end - tile.start) // rows[tile.rollup] for tile in laid) < 365 + 12 * 26


BAD: list[tuple[str, str, Granularity, str]] = [
    ("2026-01-02T00:00Z", "2026-01-01T00:00Z", Granularity.DAY, "end"),
    ("2026-01-01T00:00Z", "2026-01-01T00:00Z", Granularity.DAY, "end"),
    ("2026-01-01T00:00", "2026-01-02T00:00Z", Granularity.DAY, "start"),
    ("2026-01-01T00:00Z", "2026-01-02T00:00", Granularity.DAY, "end"),
    ("0001-01-01T00:00Z", "2026-01-02T00:00Z", Granularity.DAY, "start"),
    ("2026-01-01T00:00Z", "9999-12-31T00:00Z", Granularity.MONTH, "end"),
    ("2026-01-01T00:00Z", "2026-01-02T01:01Z", Granularity.MINUTE, "granularity"),
]


@pytest.mark.parametrize(("start", "end", "granularity", "field"), BAD)
def test_windows_that_make_no_sense_are_refused(
    start: str, end: str, granularity: Granularity, field: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        edges(datetime.fromisoformat(start), datetime.fromisoformat(end), granularity, ZoneInfo("UTC"))
    assert refusal.value.field == field


def test_a_series_has_its_most_buckets_and_not_one_more() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    most = timedelta(minutes=calendar.BUCKETS_MAX)

    assert len(edges(start, start + most, Granularity.MINUTE, ZoneInfo("UTC"))) == calendar.BUCKETS_MAX + 1
    with pytest.raises(Invalid):
        edges(start, start + most + timedelta(seconds=1), Granularity.MINUTE, ZoneInfo("UTC"))
