"""The calendar of a subscription: its billing periods, counted from one anchor. Pure, no I/O.

A period is a half-open interval of instants [start, end). Each start is worked out from the anchor alone and
never from the period before, so that a month end is clamped afresh every time: 31 January, 28 February,
31 March. Source: docs/decisions/0021-billing-periods.md.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from models.types import BillingInterval
from models.values import value
from services.core.errors import Invalid

YEAR_MIN, YEAR_MAX = 1970, 2200  # a period outside is refused: nobody is billed that far ahead
PERIODS_LISTED_MAX = 1_000  # of one answer: almost three years of days, 83 years of months
PERIODS_KEPT = 1_000  # that were asked for lately
COUNT_MAX: dict[BillingInterval, int] = {  # intervals in one period: a year of days or weeks, else five years
    BillingInterval.DAY: 365,
    BillingInterval.WEEK: 52,
    BillingInterval.MONTH: 60,
    BillingInterval.QUARTER: 20,
    BillingInterval.HALF_YEAR: 10,
    BillingInterval.YEAR: 5,
}
MONTHS: dict[BillingInterval, int] = {
    BillingInterval.MONTH: 1,
    BillingInterval.QUARTER: 3,
    BillingInterval.HALF_YEAR: 6,
    BillingInterval.YEAR: 12,
}
DAYS: dict[BillingInterval, int] = {BillingInterval.DAY: 1, BillingInterval.WEEK: 7}

_INSTANT = timedelta(microseconds=1)  # the least time between two instants
_ORDINAL_MIN, _ORDINAL_MAX = date(YEAR_MIN, 1, 1).toordinal(), date(YEAR_MAX, 12, 31).toordinal()


@value
class Span:
    """Half-open [start, end), kept in UTC; may be empty. Raises Invalid for times without an offset or an end
    before the start."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        start, end = in_utc(self.start, "start"), in_utc(self.end, "end")
        if start is not self.start or end is not self.end:
            object.__setattr__(self, "start", start)
            object.__setattr__(self, "end", end)
        if self.end < self.start:
            raise Invalid(
                f"{self.end.isoformat()} is before {self.start.isoformat()}, where this starts.", field="end"
            )

    def contains(self, at: datetime) -> bool:
        return self.start <= at < self.end

    def holds(self, other: Span) -> bool:
        return self.start <= other.start and other.end <= self.end


@value
class Period(Span):
    """A billing period. `number` counts from the anchor: 0 starts there, -1 ends there."""

    number: int


@dataclass(frozen=True, slots=True)
class Calendar:
    """Billing periods of `count` intervals each, from `anchor` (an aware instant) on the clocks of `timezone`.

    Every period starts at the anchor's local time of day. Where clocks skip that time, it starts as much later
    as they skip; where they show it twice, the first time. `count` is within COUNT_MAX. Raises Invalid for an
    unknown timezone, a count out of bounds, or an anchor without offset or outside YEAR_MIN to YEAR_MAX.
    """

    anchor: datetime
    timezone: str
    interval: BillingInterval
    count: int = 1
    zone: ZoneInfo = field(init=False, repr=False, compare=False)
    _wall: datetime = field(init=False, repr=False, compare=False)  # the anchor as local clocks show it

    def __post_init__(self) -> None:
        most = COUNT_MAX[self.interval]
        if type(self.count) is not int or not 1 <= self.count <= most:
            raise Invalid(
                f"A billing period cannot be {self.count} of one {self.interval}.",
                field="count",
                next_step=f"Choose from 1 to {most}.",
            )
        anchor, zone = in_utc(self.anchor, "anchor"), zone_named(self.timezone)
        object.__setattr__(self, "anchor", anchor)
        object.__setattr__(self, "zone", zone)
        object.__setattr__(self, "_wall", anchor.astimezone(zone).replace(tzinfo=None))

    def period(self, number: int) -> Period:
        """Period `number` in UTC. Costs the same for every number.

        Raises Invalid outside YEAR_MIN to YEAR_MAX, and for a daily period that did not happen: a zone that
        crosses the date line may skip a whole day (Apia had no 30 December 2011).
        """
        start, end = self._start(number), self._start(number + 1)
        if start == end:
            raise Invalid(f"{self.day(number)} did not happen in {self.timezone}.", field="number")
        return Period(start, end, number)

    def number_at(self, at: datetime) -> int:
        """The number of the period that `at` falls in; `period(n).start` is in n. Raises as `period`."""
        at = in_utc(at, "at")
        # The guess goes by local dates. Times of day, and clocks that were turned back over midnight, make it
        # one less or one more; a skipped day makes it two less.
        number = self._guess(at.astimezone(self.zone).date()) + 1
        while self._start(number) > at:
            number -= 1
        return number

    def period_at(self, at: datetime) -> Period:
        """The period that `at` falls in. Raises as `period`."""
        return _period_at(self, at)

    def touching(self, span: Span) -> tuple[Period, ...]:
        """All periods that share time with `span`, in order: they tile it without gap or overlap.

        Raises Invalid for more than PERIODS_LISTED_MAX of them, and as `period`.
        """
        if span.start == span.end:
            return ()
        first, last = self.number_at(span.start), self.number_at(span.end - _INSTANT)
        if last - first >= PERIODS_LISTED_MAX:
            raise Invalid(
                f"{last - first + 1:,} billing periods are too many at once; "
                f"at most {PERIODS_LISTED_MAX:,} are listed.",
                field="end",
                next_step="Ask for a shorter time.",
            )
        starts = [self._start(number) for number in range(first, last + 2)]
        return tuple(
            Period(start, starts[index + 1], first + index)
            for index, start in enumerate(starts[:-1])
            if start < starts[index + 1]
        )

    def day(self, number: int) -> date:
        """The local date that period `number` starts on, by the calendar. Raises Invalid as `period`."""
        if self.interval in MONTHS:
            return self.month_day(number, 0)
        ordinal = self._wall.toordinal() + number * DAYS[self.interval] * self.count
        if not _ORDINAL_MIN <= ordinal <= _ORDINAL_MAX:
            raise _too_far()
        return date.fromordinal(ordinal)

    def month_day(self, number: int, months: int) -> date:
        """The anchor's day in the month that is `months` after the start of period `number`, or that month's
        last day if it is shorter. Only for intervals of months. Raises Invalid as `period`."""
        wall = self._wall
        after = number * MONTHS[self.interval] * self.count + months
        year, month = divmod(wall.year * 12 + wall.month - 1 + after, 12)
        if not YEAR_MIN <= year <= YEAR_MAX:
            raise _too_far()
        return date(year, month + 1, min(wall.day, monthrange(year, month + 1)[1]))

    @property
    def same_length(self) -> tuple[str, int]:
        """Equal for calendars whose periods are equally long: 3 months are a quarter, 4 quarters a year."""
        months = MONTHS.get(self.interval)
        return (
            ("days", DAYS[self.interval] * self.count) if months is None else ("months", months * self.count)
        )

    def _start(self, number: int) -> datetime:
        if number == 0:
            return self.anchor  # also where it is the second time that clocks show
        day, wall = self.day(number), self._wall
        # PEP 495: with fold=0 a skipped time is read by the offset before the gap, hence as much later as
        # clocks skip, and a time that comes twice is the first one. The first, so that a period never starts
        # after clocks have shown its start already.
        local = datetime(
            day.year, day.month, day.day, wall.hour, wall.minute, wall.second, wall.microsecond, self.zone
        )
        return local.astimezone(UTC)

    def _guess(self, day: date) -> int:
        wall = self._wall
        months = MONTHS.get(self.interval)
        if months is None:
            return (day - wall.date()).days // (DAYS[self.interval] * self.count)
        return ((day.year - wall.year) * 12 + day.month - wall.month) // (months * self.count)


@lru_cache(maxsize=PERIODS_KEPT)
def calendar_of(anchor: datetime, timezone: str, interval: BillingInterval, count: int) -> Calendar:
    """The calendar of these, which every item of a subscription asks for. Raises as Calendar."""
    return Calendar(anchor, timezone, interval, count)


@lru_cache(maxsize=PERIODS_KEPT)
def _period_at(calendar: Calendar, at: datetime) -> Period:
    """Every item of a subscription asks for the same one."""
    return calendar.period(calendar.number_at(at))


def in_utc(at: datetime, name: str) -> datetime:
    """`at` in UTC. Raises Invalid naming `name` for a time without offset or outside YEAR_MIN to YEAR_MAX."""
    if at.tzinfo is None:
        raise Invalid(
            "A time needs its offset from UTC.",
            field=name,
            next_step="Write it as 2026-03-01T12:00:00Z (RFC 3339).",
        )
    if not YEAR_MIN <= at.year <= YEAR_MAX:
        raise _too_far(name)
    return at if at.tzinfo is UTC else at.astimezone(UTC)


def zone_named(name: str) -> ZoneInfo:
    """The timezone of that name in the IANA database. Raises Invalid."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; a path out of the database; a folder of it
        raise Invalid(
            f"There is no timezone {name[:64]!r}.",
            field="timezone",
            next_step="Use a name like Europe/Berlin or UTC.",
        ) from None


def _too_far(name: str = "number") -> Invalid:
    return Invalid(f"Billing periods are kept for the years {YEAR_MIN} to {YEAR_MAX}.", field=name)


def day_begins(day: date, timezone: str, *, hour: int = 0) -> datetime:
    """In UTC, when a day (or an hour of it) begins somewhere."""
    return datetime(day.year, day.month, day.day, hour, tzinfo=ZoneInfo(timezone)).astimezone(UTC)
