"""Buckets of an organisation's calendar, and which roll-ups they are summed from: pure, no I/O.

A bucket is a half-open interval of instants. Days have 23, 24 or 25 hours, months 28 to 31 days, and hours
start where the local clock shows a full one: at :30 or :15 UTC in some zones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from zoneinfo import ZoneInfo

from services.core.errors import Invalid

BUCKETS_MAX = 1_500  # of one series: a day of minutes, two months of hours, four years of days

_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Granularity(StrEnum):
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"  # from Monday
    MONTH = "month"


class Rollup(StrEnum):
    """The tables of sums, by the length of their UTC buckets."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"


_LENGTH = {Rollup.MINUTE: _MINUTE, Rollup.HOUR: _HOUR, Rollup.DAY: _DAY}
_FINER = {Rollup.DAY: Rollup.HOUR, Rollup.HOUR: Rollup.MINUTE}


@dataclass(frozen=True, slots=True)
class Tile:
    """Buckets of one roll-up in [start, end)."""

    rollup: Rollup
    start: datetime
    end: datetime


def edges(start: datetime, end: datetime, granularity: Granularity, zone: ZoneInfo) -> list[datetime]:
    """Edges in UTC of the buckets that touch [start, end), in order: n buckets have n + 1 edges.

    Raises Invalid for a window that is empty, has no offset, or holds more than BUCKETS_MAX buckets.
    """
    check_window(start, end)
    found: list[datetime] = []
    for edge in _edges_from(start.astimezone(UTC), granularity, zone):
        if edge <= start:
            found = [edge]
        elif not found or edge > found[-1]:  # a calendar day that a zone skipped has no length
            found.append(edge)
        if edge >= end:
            return found
        if len(found) > BUCKETS_MAX:
            break
    raise Invalid(
        f"This window holds more than {BUCKETS_MAX:,} buckets of one {granularity}.",
        field="granularity",
        next_step="Choose a shorter window or a coarser granularity.",
    )


def check_window(start: datetime, end: datetime) -> None:
    """Raises Invalid for a window that is empty, has no offset from UTC, or lies where no usage can be."""
    for name, moment in (("start", start), ("end", end)):
        if moment.tzinfo is None:
            raise Invalid("A time needs its offset from UTC.", field=name)
        if not 1970 <= moment.year <= 2200:
            raise Invalid(f"{moment.isoformat()} is no time that usage can have.", field=name)
    if start >= end:
        raise Invalid("The window ends before it starts.", field="end")


def minute_floor(moment: datetime) -> datetime:
    """The UTC minute that `moment` falls in: the finest bucket that is kept."""
    return moment.astimezone(UTC).replace(second=0, microsecond=0)


def minute_ceiling(moment: datetime) -> datetime:
    """The first whole UTC minute at or after `moment`."""
    floor = minute_floor(moment)
    return floor if floor == moment else floor + _MINUTE


def day_start(moment: datetime, zone: ZoneInfo) -> datetime:
    """When the local day of `moment` began, in UTC."""
    return _midnight(moment.astimezone(zone).date(), zone)


def month_start(moment: datetime, zone: ZoneInfo) -> datetime:
    """When the local month of `moment` began, in UTC."""
    return _midnight(moment.astimezone(zone).date().replace(day=1), zone)


def next_day(start: datetime, zone: ZoneInfo) -> datetime:
    """When the local day after the one that began at `start` begins, in UTC."""
    return _midnight(start.astimezone(zone).date() + _DAY, zone)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a local day. Where clocks skip midnight, the zone's rules give the same instant
    by the offset before the gap."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def _edges_from(start: datetime, granularity: Granularity, zone: ZoneInfo) -> Iterator[datetime]:
    """Edges for ever, the first at or before `start`."""
    if granularity is Granularity.MINUTE:
        edge = minute_floor(start)
        while True:
            yield edge
            edge += _MINUTE
    day = start.astimezone(zone).date()
    if granularity is Granularity.HOUR:
        edge = _midnight(day, zone)
        while True:
            yield edge
            edge += timedelta(minutes=60 - edge.astimezone(zone).minute)
    day = _first_day(day, granularity)
    while True:
        yield _midnight(day, zone)
        day = _following(day, granularity)


def _first_day(day: date, granularity: Granularity) -> date:
    if granularity is Granularity.WEEK:
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if granularity is Granularity.MONTH else day


def _following(day: date, granularity: Granularity) -> date:
    if granularity is Granularity.MONTH:
        return (day + timedelta(days=31)).replace(day=1)
    return day + timedelta(days=7 if granularity is Granularity.WEEK else 1)


def tiles(bounds: list[datetime]) -> list[Tile]:
    """The coarsest UTC roll-ups that cover each bucket between `bounds` (whole minutes) exactly once."""
    merged: list[Tile] = []
    for start, end in pairwise(bounds):
        for tile in _tile(start, end, Rollup.DAY):
            last = merged[-1] if merged else None
            if last is not None and last.rollup is tile.rollup and last.end == tile.start:
                merged[-1] = Tile(tile.rollup, last.start, tile.end)
            else:
                merged.append(tile)
    return merged


def _tile(start: datetime, end: datetime, rollup: Rollup) -> Iterator[Tile]:
    if start >= end:
        return
    finer = _FINER.get(rollup)
    if finer is None:
        yield Tile(rollup, start, end)
        return
    length = _LENGTH[rollup]
    inner_start, inner_end = -_floor(-_since_epoch(start), length), _floor(_since_epoch(end), length)
    if inner_start >= inner_end:
        yield from _tile(start, end, finer)
        return
    first, last = _EPOCH + inner_start, _EPOCH + inner_end
    yield from _tile(start, first, finer)
    yield Tile(rollup, first, last)
    yield from _tile(last, end, finer)


def _since_epoch(moment: datetime) -> timedelta:
    return moment - _EPOCH


def _floor(span: timedelta, length: timedelta) -> timedelta:
    return span // length * length
