"""Measuring parts of a billing period, and splitting money over them. Pure, no I/O.

One engine for every policy: a policy only says how many whole units of a period lie before an instant. Parts
are differences of that count, so they tile the period whatever the policy, and the denominator is always the
whole billing period, for a stub as well. Source: docs/decisions/0021-billing-periods.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise

from models.money import Money
from models.types import ProrationPolicy
from models.values import value
from services.billing.periods import MONTHS, Calendar, Period, Span, in_utc
from services.core.errors import Invalid

CUTS_MAX = 1_000  # of one item
MONTH_DAYS = 30  # of every month under `fixed_30`

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
_LENGTH = {ProrationPolicy.SECOND: timedelta(seconds=1), ProrationPolicy.MINUTE: timedelta(minutes=1)}


class Ending(StrEnum):
    """Who owns the unit in which something ends: after a change the new plan, after a termination the old."""

    CHANGE = "change"
    TERMINATION = "termination"


@value
class Portion:
    """`numerator` of `denominator` units, not reduced, so that people recognise their days."""

    numerator: int
    denominator: int

    @property
    def fraction(self) -> Fraction:
        return Fraction(self.numerator, self.denominator)


WHOLE = Portion(1, 1)


@value
class Ruler:
    """Measures parts of one period of a calendar in the unit of a policy. `whole` is the period's units.

    - `second`, `minute`: whole ones since 1970 in UTC; days of 23 and 25 hours have as many as they have.
    - `day`: local dates; a date belongs to the period that starts on it.
    - `fixed_30`: each month from the anchor has 30 units, one a local day. A 31st day takes none, the last day
      of a shorter month takes what is left. In periods of days and weeks a day is a day.
    """

    policy: ProrationPolicy
    calendar: Calendar
    period: Period
    whole: int = field(init=False)

    def __post_init__(self) -> None:
        length = _LENGTH.get(self.policy)
        if length is not None:
            whole = _floor(self.period.end, length) - _floor(self.period.start, length)
        elif self.policy is ProrationPolicy.FIXED_30 and self.calendar.interval in MONTHS:
            whole = MONTH_DAYS * MONTHS[self.calendar.interval] * self.calendar.count
        else:
            number = self.period.number
            whole = (self.calendar.day(number + 1) - self.calendar.day(number)).days
        object.__setattr__(self, "whole", whole)

    def before(self, at: datetime) -> int:
        """Units of the period before the one that `at` falls in: 0 at its start, `whole` at its end.

        Raises Invalid for an instant outside the period.
        """
        at = self._inside(at)
        length = _LENGTH.get(self.policy)
        # By dates a start that clocks skip over midnight would count as the day after.
        if at == self.period.start:
            return 0
        if at == self.period.end:
            return self.whole
        if length is not None:
            return _floor(at, length) - _floor(self.period.start, length)
        return self._before_day(_local_day(at, self.calendar))

    def consumed(self, at: datetime) -> int:
        """Units of the period that were begun before `at`: the one it falls in counts, unless it begins there.

        Raises Invalid for an instant outside the period.
        """
        at = self._inside(at)
        length = _LENGTH.get(self.policy)
        if at == self.period.start:
            return 0
        if length is not None:
            return min(self.whole, -_floor(at, -length) - _floor(self.period.start, length))
        day = _local_day(at, self.calendar)
        return self._before_day(day if at == _first_instant(day, self.calendar) else day + _DAY)

    def units(self, span: Span) -> int:
        """Units of the period that `span` owns when what comes after it owns the unit it ends in."""
        return self.before(span.end) - self.before(span.start)

    def portion(self, span: Span) -> Portion:
        """The part of the whole period that `span` is: 1 for all of it. Raises Invalid when it reaches out."""
        if span.start == self.period.start and span.end == self.period.end:
            return Portion(self.whole, self.whole)
        return Portion(self.units(span), self.whole)

    def unused(self, span: Span, at: datetime, ending: Ending) -> int:
        """Units of `span` that are left when it ends early, at `at`. Raises Invalid for `at` outside `span`.

        What ends at the instant it starts was not used at all, whoever owns the unit.
        """
        at = in_utc(at, "at")
        if not span.start <= at <= span.end:
            raise _outside(at, span)
        consumes = ending is Ending.TERMINATION and at > span.start
        gone = self.consumed(at) if consumes else self.before(at)
        return max(0, self.before(span.end) - gone)

    def _inside(self, at: datetime) -> datetime:
        at = in_utc(at, "at")
        if not self.period.start <= at <= self.period.end:
            raise _outside(at, self.period)
        return at

    def _before_day(self, day: date) -> int:
        """Units before a local day. Days outside the period, where clocks skip over midnight, are clamped."""
        calendar, number = self.calendar, self.period.number
        first = calendar.day(number)
        if day <= first:
            return 0
        if day >= calendar.day(number + 1):
            return self.whole
        if self.policy is ProrationPolicy.DAY or calendar.interval not in MONTHS:
            return (day - first).days
        months = (day.year - first.year) * 12 + day.month - first.month
        if calendar.month_day(number, months) > day:
            months -= 1
        return MONTH_DAYS * months + (day - calendar.month_day(number, months)).days


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an item: its time, its share of the item's units, and its money."""

    span: Span
    portion: Portion
    amount: Money


def split(item: Money, ruler: Ruler, span: Span, cuts: Sequence[datetime]) -> tuple[Piece, ...]:
    """`item`, which pays for `span`, in pieces from cut to cut that add up to it.

    A piece is what the running sum, rounded half away from zero, grows by. So the last one takes the residual,
    and none is more than a minor unit off its share or of the other sign. If `span` has no unit of its own,
    the last piece takes all. Raises Invalid for cuts outside `span` or out of order, or more than CUTS_MAX.
    """
    if len(cuts) > CUTS_MAX:
        raise Invalid(f"{len(cuts):,} cuts are too many; at most {CUTS_MAX:,} are made.", field="cuts")
    edges = [span.start, *cuts, span.end]
    if any(later < earlier for earlier, later in pairwise(edges)):
        raise Invalid("Cuts lie inside what they cut, in order.", field="cuts")
    first, whole = ruler.before(span.start), ruler.units(span)
    before = [ruler.before(edge) - first for edge in edges]
    sums = [item.times(Fraction(units, whole)) if whole else Money(0, item.currency) for units in before[:-1]]
    sums.append(item)
    return tuple(
        Piece(
            Span(*edges[i : i + 2]), Portion(before[i + 1] - before[i], max(whole, 1)), sums[i + 1] - sums[i]
        )
        for i in range(len(edges) - 1)
    )


def _floor(at: datetime, length: timedelta) -> int:
    return (at - _EPOCH) // length


def _local_day(at: datetime, calendar: Calendar) -> date:
    """The local date of an instant. Clocks that are turned back over midnight stay on the new date, since a day
    begins once."""
    day = at.astimezone(calendar.zone).date()
    return day + _DAY if _first_instant(day + _DAY, calendar) <= at else day


def _first_instant(day: date, calendar: Calendar) -> datetime:
    """When a local day begins: where clocks skip midnight, when they do."""
    return datetime(day.year, day.month, day.day, tzinfo=calendar.zone).astimezone(UTC)


def _outside(at: datetime, span: Span) -> Invalid:
    return Invalid(
        f"{at.isoformat()} is not from {span.start.isoformat()} to {span.end.isoformat()}.", field="at"
    )
