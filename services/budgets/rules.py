"""Budgets as arithmetic: the period a call counts in, which thresholds are reached, and what is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from models.budgets import BudgetMeasure, BudgetPeriod

LIMIT_MAX = Decimal(10) ** 12  # of tokens or of the currency's major unit
THRESHOLDS_MAX = 10
PERCENT_MAX = 1_000  # one may want to be told of ten times the limit
BUDGETS_MAX = 50  # of one organisation
STOPPING_MAX = 8  # of these stop or slow down: each is asked before each call
REQUESTS_PER_MINUTE_MAX = 1_000_000
_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Window:
    """[starts_at, ends_at) in UTC: a day or a month of the organisation's calendar."""

    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Terms:
    """What a budget is about. `zone` is the organisation's timezone, `currency` that of its costs."""

    id: str
    organization_id: str
    name: str
    key_id: str | None
    model: str | None
    measure: BudgetMeasure
    period: BudgetPeriod
    limit: Decimal
    zone: str
    currency: str

    def covers(self, *, key_id: str, model: str) -> bool:
        """Whether a call with this key to this model counts. A budget of no key is of all, playground included."""
        return self.key_id in (None, key_id) and self.model in (None, model)


@dataclass(frozen=True, slots=True)
class Throttle:
    """A budget whose limit is used up, and what passes of calls until `ends_at`."""

    terms: Terms
    requests_per_minute: int
    ends_at: datetime

    def covers(self, *, key_id: str, model: str, at: datetime) -> bool:
        return at < self.ends_at and self.terms.covers(key_id=key_id, model=model)


def window_of(at: datetime, period: BudgetPeriod, zone: str) -> Window:
    """The period that `at` lies in. Days have 23, 24 or 25 hours."""
    place = ZoneInfo(zone)
    first = at.astimezone(place).date()
    if period is BudgetPeriod.MONTH:
        first = first.replace(day=1)
        after = (first + timedelta(days=32)).replace(day=1)
    else:
        after = first + timedelta(days=1)
    return Window(_midnight(first, place), _midnight(after, place))


def _midnight(day: date, place: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=place).astimezone(UTC)


def reached(spent: Decimal, limit: Decimal, thresholds: Sequence[int], *, told: int) -> list[int]:
    """Thresholds, in percent and rising, that are reached and that nobody was told of in this period."""
    return [percent for percent in sorted(thresholds) if percent > told and spent * 100 >= limit * percent]


def free(limit: Decimal, *, spent: Decimal, held: Decimal) -> Decimal:
    """What may still be promised; nothing when more than the limit was used."""
    return max(limit - spent - held, _NOTHING)
