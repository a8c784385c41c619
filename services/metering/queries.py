"""Reads of usage, of one organisation. Figures always equal the raw events, compacted or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from models.types import Aggregation
from services.core.errors import Invalid, not_found
from services.core.permissions import Capability
from services.core.work import UnitOfWork, statements_within
from services.identity import key_queries
from services.metering import calendar, sums
from services.metering.calendar import Granularity
from services.metering.rules import MeterRule
from services.metering.sums import EVERYTHING, Figure, Filter, GroupBy, Measure, Sum

GROUPS_MAX = 100  # told apart in one answer, those with most: senders choose names, there may be millions
SERIES_FIGURES_MAX = 50_000  # of all lines of one series
READ_S_MAX = 10.0  # of one statement
OVERVIEW_REQUESTS = 10


@dataclass(frozen=True, slots=True)
class MeterRow:
    id: str
    slug: str
    name: str
    event_type: str
    aggregation: Aggregation
    value_property: str | None
    unit: str
    platform: bool  # one of the platform's own, the same for every organisation

    @property
    def rule(self) -> MeterRule:
        owner = None if self.platform else ""
        return MeterRule(self.id, owner, self.slug, self.event_type, self.aggregation, self.value_property)


@dataclass(frozen=True, slots=True)
class Line:
    """One figure a bucket. `group` is a model's slug or a key's id, "" when the series is not grouped, and None
    for all groups together that are not told apart."""

    group: str | None
    points: tuple[Figure, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """Bucket n is [edges[n], edges[n + 1]), instants in UTC: whole calendar units of `timezone`."""

    meter: MeterRow
    granularity: Granularity
    timezone: str
    currency: str
    edges: tuple[datetime, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Total:
    """One figure of a window; `group` as in a line."""

    group: str | None
    figure: Figure


@dataclass(frozen=True, slots=True)
class _Home:
    zone: ZoneInfo
    currency: str


async def meters(uow: UnitOfWork) -> list[MeterRow]:
    """The platform's meters and the organisation's own, by name of slug."""
    uow.actor.require(Capability.USAGE_READ)
    found = await uow.execute(
        "select id, organization_id, slug, name, event_type, aggregation, value_property, unit from meter"
        " where coalesce(organization_id, '') = any(:owners) and archived_at is null order by slug",
        owners=["", uow.organization_id],
    )
    return [
        MeterRow(
            row.id,
            row.slug,
            row.name,
            row.event_type,
            Aggregation(row.aggregation),
            row.value_property,
            row.unit,
            row.organization_id is None,
        )
        for row in found
    ]


async def platform_meters(uow: UnitOfWork) -> dict[str, str]:
    """Names by slug of the meters that are the same for every organisation."""
    found = await uow.execute("select slug, name from meter where organization_id is null")
    return {row.slug: row.name for row in found}


async def series(
    uow: UnitOfWork,
    *,
    meter: str,
    start: datetime,
    end: datetime,
    granularity: Granularity,
    group_by: GroupBy | None = None,
    where: Filter = EVERYTHING,
) -> Series:
    """A meter (by slug) over time, in whole buckets of the organisation's calendar that touch [start, end).

    A series that is not grouped has exactly one line. A grouped one has a line for each group seen, at most
    GROUPS_MAX and SERIES_FIGURES_MAX points: those with most, and last the rest together.
    Raises NotFound for the meter, and Invalid for a window that is empty, too fine or too large to read.
    """
    (one,) = await series_of(
        uow, meters=[meter], start=start, end=end, granularity=granularity, group_by=group_by, where=where
    )
    return one


async def series_of(
    uow: UnitOfWork,
    *,
    meters: Sequence[str],
    start: datetime,
    end: datetime,
    granularity: Granularity,
    group_by: GroupBy | None = None,
    where: Filter = EVERYTHING,
    measure: Measure = Measure.QUANTITY,
    groups_max: int | None = None,
) -> list[Series]:
    """As `series`, of several meters that tell the same groups apart: those with most of `measure` over all.

    When grouped, the meters are such as `sums.leading` can rank together. `groups_max` asks for fewer lines.
    """
    rows = await _meters(uow, meters)
    home = await _home(uow)
    edges = calendar.edges(start, end, granularity, home.zone)
    buckets = len(edges) - 1
    most = min(groups_max or GROUPS_MAX, GROUPS_MAX, SERIES_FIGURES_MAX // buckets - 1)
    ranking = _Ranking(rows, measure, most)
    found = await _read(uow, rows, edges, group_by, where, ranking)
    return [
        Series(
            row,
            granularity,
            home.zone.key,
            home.currency,
            tuple(edges),
            tuple(_lines(uow, row, found, buckets, grouped=group_by is not None)),
        )
        for row in rows
    ]


def _lines(
    uow: UnitOfWork, meter: MeterRow, found: Sequence[Sum], buckets: int, *, grouped: bool
) -> list[Line]:
    own = [one for one in found if one.meter_id == meter.id]
    groups = sorted({one.group for one in own}, key=_by_name) if grouped else [""]
    blank = _shown(uow, sums.empty(meter.aggregation))
    points = {group: [blank] * buckets for group in groups}
    for one in own:
        points[one.group][one.bucket] = _shown(uow, one.figure)
    return [Line(group, tuple(figures)) for group, figures in points.items()]


def _by_name(group: str | None) -> tuple[bool, str]:
    """The rest together stands last."""
    return group is None, group or ""


async def totals(
    uow: UnitOfWork,
    *,
    meter: str,
    start: datetime,
    end: datetime,
    group_by: GroupBy | None = None,
    where: Filter = EVERYTHING,
) -> list[Total]:
    """A meter (by slug) over the whole minutes that touch [start, end), as one figure for each group: at most
    GROUPS_MAX, those with most, and last the rest together.

    Not the sum of a series for meters that are no sums: ten users on each of two days may be ten users.
    Raises NotFound for the meter, and Invalid for a window that is empty or too large to read.
    """
    found = await totals_of(uow, meters=[meter], start=start, end=end, group_by=group_by, where=where)
    return found[meter]


async def totals_of(
    uow: UnitOfWork,
    *,
    meters: Sequence[str],
    start: datetime,
    end: datetime,
    group_by: GroupBy | None = None,
    where: Filter = EVERYTHING,
    ranked_by: Sequence[str] = (),
    measure: Measure = Measure.QUANTITY,
) -> dict[str, list[Total]]:
    """As `totals`, by slug, of several meters that tell the same groups apart: those with most of `measure` over
    the meters `ranked_by`, which are all of them if not said, and such as `sums.leading` can rank together.
    """
    rows = await _meters(uow, meters)
    ranking = _Ranking([row for row in rows if not ranked_by or row.slug in ranked_by], measure, GROUPS_MAX)
    calendar.check_window(start, end)
    edges = [calendar.minute_floor(start), calendar.minute_ceiling(end)]
    found = await _read(uow, rows, edges, group_by, where, ranking)
    return {row.slug: _totals(uow, row, found, grouped=group_by is not None) for row in rows}


def _totals(uow: UnitOfWork, meter: MeterRow, found: Sequence[Sum], *, grouped: bool) -> list[Total]:
    own = [Total(one.group, _shown(uow, one.figure)) for one in found if one.meter_id == meter.id]
    if not own and not grouped:
        return [Total("", _shown(uow, sums.empty(meter.aggregation)))]
    return sorted(own, key=lambda total: _by_name(total.group))


class _Ranking(NamedTuple):
    """Which groups are told apart: the `most` with most of `measure` over `meters`."""

    meters: list[MeterRow]
    measure: Measure
    most: int


async def _read(
    uow: UnitOfWork,
    meters: Sequence[MeterRow],
    edges: list[datetime],
    group_by: GroupBy | None,
    where: Filter,
    ranking: _Ranking,
) -> list[Sum]:
    too_large = Invalid(
        "This window is too large to read at once.",
        code="window_too_large",
        next_step="Choose a shorter window, or leave out the filter by properties.",
    )
    read = [row.rule for row in meters]
    async with statements_within(uow, READ_S_MAX, otherwise=too_large):
        groups = None
        if group_by is not None:
            by = [row.rule for row in ranking.meters]
            groups = await sums.leading(
                uow, by, edges, group_by, where=where, measure=ranking.measure, most=ranking.most
            )
        return await sums.read(uow, read, edges, groups=groups, where=where)


async def _meters(uow: UnitOfWork, slugs: Sequence[str]) -> list[MeterRow]:
    known = {row.slug: row for row in await meters(uow)}
    for slug in slugs:
        if slug not in known:
            raise not_found("meter", slug)
    return [known[slug] for slug in slugs]


async def _home(uow: UnitOfWork) -> _Home:
    found = await uow.execute(
        "select timezone, currency from organization where id = :id", id=uow.organization_id
    )
    row = found.one()
    return _Home(ZoneInfo(row.timezone), row.currency)


def _shown(uow: UnitOfWork, figure: Figure) -> Figure:
    """Without the cost for those who may not see costs."""
    return figure if uow.actor.may(Capability.COST_READ) else replace(figure, cost=None)


# -- overview


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` until now. Ready for JSON: `cost` is a decimal text, null for those who may not see it."""

    start: str
    requests: int
    failed: int
    error_rate: float | None  # failed of all requests, 0..1; None without any
    prompt_tokens: int
    completion_tokens: int
    tokens: int  # of both kinds
    cost: str | None
    unpriced: int  # requests that the cost leaves out


@dataclass(frozen=True, slots=True)
class LatestRequest:
    id: str
    started_at: str
    model: str
    key_id: str
    key: str  # its name, "" for those who may not see keys
    status: int
    prompt_tokens: int
    completion_tokens: int
    latency_ms: int
    cost: str | None


@dataclass(frozen=True, slots=True)
class Overview:
    """What the overview page shows and the live hub sends, ready for JSON. Calendar of `timezone`."""

    currency: str
    timezone: str
    today: Period
    month: Period
    hours: tuple[Period, ...]  # each hour of today, also those to come
    latest: tuple[LatestRequest, ...]


async def overview(uow: UnitOfWork) -> Overview:
    """Requests, tokens and cost of today and of this month so far, and the latest requests."""
    rows = {row.slug: row for row in await meters(uow) if row.platform}
    home = await _home(uow)
    month = calendar.month_start(uow.now, home.zone)
    today = calendar.day_start(uow.now, home.zone)
    hours = calendar.edges(today, calendar.next_day(today, home.zone), Granularity.HOUR, home.zone)
    edges = hours if month == today else [month, *hours]
    found = await sums.read(uow, [row.rule for row in rows.values()], edges)
    slugs = {row.id: slug for slug, row in rows.items()}
    first_hour = len(edges) - len(hours)

    def period(start: datetime, buckets: range) -> Period:
        within = [one for one in found if one.bucket in buckets]
        return _period(uow, start, [(slugs[one.meter_id], one.figure) for one in within])

    return Overview(
        currency=home.currency,
        timezone=home.zone.key,
        today=period(today, range(first_hour, len(edges))),
        month=period(month, range(len(edges))),
        hours=tuple(period(edges[n], range(n, n + 1)) for n in range(first_hour, len(edges) - 1)),
        latest=await _latest(uow),
    )


def _period(uow: UnitOfWork, start: datetime, figures: Sequence[tuple[str, Figure]]) -> Period:
    def counted(slug: str) -> int:
        return int(sum(figure.quantity or 0 for name, figure in figures if name == slug))

    cost = sum((figure.cost or Decimal(0) for _, figure in figures), Decimal(0))
    requests, failed = counted("requests"), counted("failed_requests")
    prompt_tokens, completion_tokens = counted("prompt_tokens"), counted("completion_tokens")
    return Period(
        start=start.isoformat(),
        requests=requests,
        failed=failed,
        error_rate=failed / requests if requests else None,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        tokens=prompt_tokens + completion_tokens,
        cost=f"{cost:f}" if uow.actor.may(Capability.COST_READ) else None,
        unpriced=sum(figure.unpriced for name, figure in figures if name == "requests"),
    )


async def _latest(uow: UnitOfWork) -> tuple[LatestRequest, ...]:
    found: Any = await uow.execute(
        "select id, started_at, model, key_id, status, prompt_tokens, completion_tokens, latency_ms, cost"
        " from request where organization_id = :organization_id order by started_at desc, id limit :most",
        organization_id=uow.organization_id,
        most=OVERVIEW_REQUESTS,
    )
    rows = found.all()
    names = await key_queries.names_of(uow, (row.key_id for row in rows if row.key_id))
    priced = uow.actor.may(Capability.COST_READ)
    return tuple(
        LatestRequest(
            row.id,
            row.started_at.isoformat(),
            row.model,
            row.key_id,
            names.get(row.key_id, ""),
            row.status,
            row.prompt_tokens,
            row.completion_tokens,
            row.latency_ms,
            f"{row.cost:f}" if priced and row.cost is not None else None,
        )
        for row in rows
    )
