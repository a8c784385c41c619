"""From sums of usage to what the usage page draws. Pure; amounts stay exact."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from services.metering import calendar
from services.metering.calendar import Granularity
from services.metering.queries import Series, Total
from services.metering.sums import Figure, Filter, GroupBy
from state.format import decimal_text, instant_text

SERIES_MAX = 6  # more lines than that cannot be told apart: the smallest become one
BUCKETS_MAX = 400
OTHER = "other"
REST = "*"  # the id of a table's last row; no group is called that

METERS_OF: Mapping[str, tuple[str, ...]] = {
    "requests": ("requests",),
    "tokens": ("prompt_tokens", "completion_tokens"),
    # Any of them can have a price of its own.
    "cost": ("requests", "prompt_tokens", "completion_tokens"),
}


@dataclass(frozen=True, slots=True)
class Range:
    """What lies between a start and now, and the bucket it is drawn in unless another is chosen.

    `span` is its length, or its longest when it begins with the day or month of the organisation's calendar.
    """

    span: timedelta
    granularity: Granularity
    begins: Callable[[datetime, ZoneInfo], datetime] | None = None

    def start(self, now: datetime, zone: ZoneInfo) -> datetime:
        return self.begins(now, zone) if self.begins else now - self.span


RANGES: Mapping[str, Range] = {
    "1h": Range(timedelta(hours=1), Granularity.MINUTE),
    "today": Range(timedelta(days=1), Granularity.HOUR, calendar.day_start),
    "24h": Range(timedelta(hours=24), Granularity.HOUR),
    "7d": Range(timedelta(days=7), Granularity.DAY),
    "month": Range(timedelta(days=31), Granularity.DAY, calendar.month_start),
    "30d": Range(timedelta(days=30), Granularity.DAY),
    "90d": Range(timedelta(days=90), Granularity.DAY),
}
USUAL_RANGE = "30d"
USUAL_MEASURE = "requests"
GROUPS = {"model": GroupBy.MODEL, "key": GroupBy.KEY}

_SPANS: Mapping[Granularity, timedelta] = {
    Granularity.MINUTE: timedelta(minutes=1),
    Granularity.HOUR: timedelta(hours=1),
    Granularity.DAY: timedelta(days=1),
    Granularity.WEEK: timedelta(days=7),
    Granularity.MONTH: timedelta(days=28),
}


def fitting(span: timedelta) -> list[Granularity]:
    """Buckets in which `span` has at least two and at most BUCKETS_MAX points."""
    return [one for one, size in _SPANS.items() if 2 * size <= span <= BUCKETS_MAX * size]


@dataclass(frozen=True, slots=True)
class Question:
    """What the filters of the usage page ask for."""

    measure: str
    within: Range
    granularity: Granularity
    group_by: GroupBy | None
    where: Filter


def question(chosen: Mapping[str, str], *, with_cost: bool) -> Question:
    """The filters of an address; what cannot be told, drawn or seen by this person is as if it were not there."""
    within = RANGES.get(chosen.get("range", ""), RANGES[USUAL_RANGE])
    measure = chosen.get("measure", "")
    return Question(
        measure=measure if measure in measures(with_cost=with_cost) else USUAL_MEASURE,
        within=within,
        granularity=granularity_for(chosen.get("granularity", ""), within),
        group_by=GROUPS.get(chosen.get("group", "")),
        where=Filter(
            models=(chosen["model"],) if "model" in chosen else (),
            keys=(chosen["key"],) if "key" in chosen else (),
            projects=(chosen["project"],) if "project" in chosen else (),
        ),
    )


def measures(*, with_cost: bool) -> list[str]:
    """What may be drawn."""
    return [name for name in METERS_OF if with_cost or name != "cost"]


def granularity_for(chosen: str, within: Range) -> Granularity:
    """The bucket somebody chose, if the range can be drawn in it."""
    return next((one for one in fitting(within.span) if one.value == chosen), within.granularity)


@dataclass(frozen=True, slots=True)
class Drawing:
    """Rows and lines of a chart, with the sum of all and the largest single bucket."""

    rows: list[dict[str, Any]]
    lines: list[dict[str, str]]
    total: Decimal
    peak: Decimal


def drawing(measure: str, series: Sequence[Series], names: Mapping[str, str]) -> Drawing:
    """A chart of `measure` from the series of its meters, which share their buckets.

    `names` are those of groups. An empty label is the whole, OTHER the sum of the smallest: the page has the words.
    """
    groups, others = _by_group(measure, series)
    ranked = sorted(groups, key=lambda group: (-sum(groups[group], Decimal(0)), group))
    kept = ranked if len(ranked) + len(others) <= SERIES_MAX else ranked[: SERIES_MAX - 1]
    others += [groups[group] for group in ranked[len(kept) :]]
    columns = [groups[group] for group in kept]
    lines = [{"key": f"s{place}", "label": names.get(group, group)} for place, group in enumerate(kept)]
    if others:
        columns.append(_added(others))
        lines.append({"key": f"s{len(kept)}", "label": OTHER})
    starts = [instant_text(start) for start in series[0].edges[:-1]] if series else []
    rows: list[dict[str, Any]] = [
        {"x": start}
        | {line["key"]: decimal_text(column[at]) for line, column in zip(lines, columns, strict=True)}
        for at, start in enumerate(starts)
    ]
    sums = _added(columns) or [Decimal(0)]
    return Drawing(rows, lines, sum(sums, Decimal(0)), max(sums))


def _by_group(measure: str, series: Sequence[Series]) -> tuple[dict[str, list[Decimal]], list[list[Decimal]]]:
    """Figures of each group, added up over the series, and those of the groups that were not told apart."""
    groups: dict[str, list[Decimal]] = {}
    others: list[list[Decimal]] = []
    for line in (line for one in series for line in one.lines):
        values = [_amount(measure, figure) for figure in line.points]
        if line.group is None:
            others.append(values)
        else:
            groups[line.group] = _added([groups[line.group], values]) if line.group in groups else values
    return groups, [_added(others)] if others else []


def _amount(measure: str, figure: Figure) -> Decimal:
    return (figure.cost if measure == "cost" else figure.quantity) or Decimal(0)


def _added(columns: Sequence[Sequence[Decimal]]) -> list[Decimal]:
    return [sum(values, Decimal(0)) for values in zip(*columns, strict=True)] if columns else []


def table_rows(
    totals: Mapping[str, Sequence[Total]], names: Mapping[str, str], *, currency: str, with_cost: bool
) -> list[dict[str, Any]]:
    """One row a group from the totals by meter slug, the dearest first, and last the rest together."""
    by_group: dict[str | None, dict[str, Figure]] = {}
    for meter, found in totals.items():
        for total in found:
            by_group.setdefault(total.group, {})[meter] = total.figure
    rows = [
        _table_row(group, figures, names, with_cost=with_cost) | {"currency": currency}
        for group, figures in by_group.items()
    ]
    return sorted(
        rows, key=lambda row: (row["rest"], -Decimal(row["cost"] or 0), -Decimal(row["requests"]), row["id"])
    )


def _table_row(
    group: str | None, figures: Mapping[str, Figure], names: Mapping[str, str], *, with_cost: bool
) -> dict[str, Any]:
    def quantity(meter: str) -> str:
        return decimal_text((figures[meter].quantity if meter in figures else None) or Decimal(0))

    costs = [figures[meter].cost or Decimal(0) for meter in METERS_OF["cost"] if meter in figures]
    return {
        "id": REST if group is None else group or "-",
        "group": group or "",
        "rest": group is None,
        "name": names.get(group or "", group or ""),
        "requests": quantity("requests"),
        "failed": quantity("failed_requests"),
        "prompt_tokens": quantity("prompt_tokens"),
        "completion_tokens": quantity("completion_tokens"),
        "cost": decimal_text(sum(costs, Decimal(0))) if with_cost else "",
        "unpriced": sum(figures[meter].unpriced for meter in METERS_OF["cost"] if meter in figures),
    }
