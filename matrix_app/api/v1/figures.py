"""What was used: figures over time, totals, meters."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import Query
from pydantic import AwareDatetime, Field

from matrix_app.api.deps import Member
from matrix_app.api.v1.route import failures
from matrix_app.api.v1.shape import Exact, Instant, Shown, resource
from models.types import Aggregation
from services.core.errors import Invalid
from services.core.work import UnitOfWork, unit_of_work
from services.metering import queries
from services.metering.calendar import Granularity
from services.metering.queries import Series
from services.metering.sums import Filter, GroupBy

router = resource("usage")

DEFAULT_WINDOW = timedelta(days=1)
FILTERS_MAX = 50

Names = Annotated[list[str], Query(max_length=FILTERS_MAX)]
From = Annotated[Instant | None, Query(alias="from", description="Included; a day before `to` if left out")]
To = Annotated[Instant | None, Query(alias="to", description="Left out; now if not given")]
Properties = Annotated[
    list[str],
    Query(alias="property", max_length=10, description="`name:value`; all must match, compared as text"),
]


class FigureShown(Shown):
    events: int
    quantity: Exact | None = Field(description="Null where a max, latest or average saw nothing")
    cost: Exact | None = Field(description="Exact, without the unpriced; null without the right to see costs")
    unpriced: int = Field(description="Events that had no valid price")


class PointShown(FigureShown):
    start: AwareDatetime
    end: AwareDatetime


Group = Annotated[
    str | None,
    Field(
        description="A model's slug or a key's id, empty when not grouped and for usage of none. At most"
        f" {queries.GROUPS_MAX} groups are told apart, those with most; null, which comes last, is all the others"
        " together, so that the whole is there"
    ),
]


class LineShown(Shown):
    group: Group
    points: list[PointShown]


class SeriesShown(Shown):
    """Whole calendar units of `timezone` that touch the window asked for."""

    meter: str
    unit: str
    granularity: Granularity
    timezone: str
    currency: str
    lines: list[LineShown]


class TotalShown(FigureShown):
    group: Group


class TotalsShown(Shown):
    meter: str
    data: list[TotalShown]


class PeriodShown(Shown):
    """What models were asked and answered, from `start` on."""

    start: AwareDatetime
    requests: int
    failed: int
    error_rate: float | None = Field(description="Failed of all; null where there was none")
    prompt_tokens: int
    completion_tokens: int
    tokens: int
    cost: Exact | None = Field(description="Null without the right to see costs")
    unpriced: int = Field(description="Requests that the cost leaves out")


class LatestShown(Shown):
    id: str
    started_at: AwareDatetime
    model: str
    key_id: str
    key: str = Field(description="Its name; empty without the right to see keys")
    status: int
    prompt_tokens: int
    completion_tokens: int
    latency_ms: int
    cost: Exact | None


class OverviewShown(Shown):
    """Days and months are those of `timezone`."""

    currency: str
    timezone: str
    today: PeriodShown
    month: PeriodShown
    hours: list[PeriodShown] = Field(description="Each hour of today, also those to come")
    latest: list[LatestShown] = Field(description="The latest requests, newest first")


class MeterShown(Shown):
    id: str
    slug: str
    name: str
    event_type: str
    aggregation: Aggregation
    value_property: str | None
    unit: str
    platform: bool = Field(description="The same for every organisation")


class Meters(Shown):
    data: list[MeterShown]


@router.get("/usage", responses=failures(404))
async def usage(
    who: Member,
    meter: str = "requests",
    start: From = None,
    end: To = None,
    granularity: Granularity = Granularity.HOUR,
    group_by: GroupBy | None = None,
    model: Names = [],  # noqa: B006 - FastAPI copies it
    key: Names = [],  # noqa: B006
    project: Names = [],  # noqa: B006
    properties: Properties = [],  # noqa: B006
) -> SeriesShown:
    """A meter over time, by model or key if wanted: a line for each of those with most, and one for the rest."""
    where = _filter(model, key, project, properties)
    async with unit_of_work(who.actor) as uow:
        window_start, window_end = _window(uow, start, end)
        series = await queries.series(
            uow,
            meter=meter,
            start=window_start,
            end=window_end,
            granularity=granularity,
            group_by=group_by,
            where=where,
        )
    return _shown(series)


@router.get("/usage/overview")
async def overview(who: Member) -> OverviewShown:
    """What the overview of an organisation shows: today, this month so far, and the latest requests."""
    async with unit_of_work(who.actor) as uow:
        return OverviewShown.model_validate(await queries.overview(uow))


@router.get("/usage/totals", responses=failures(404))
async def totals(
    who: Member,
    meter: str = "requests",
    start: From = None,
    end: To = None,
    group_by: GroupBy | None = None,
    model: Names = [],  # noqa: B006
    key: Names = [],  # noqa: B006
    project: Names = [],  # noqa: B006
    properties: Properties = [],  # noqa: B006
) -> TotalsShown:
    """A meter over one window as one figure, or one for each model or key with most and one for the rest."""
    where = _filter(model, key, project, properties)
    async with unit_of_work(who.actor) as uow:
        window_start, window_end = _window(uow, start, end)
        found = await queries.totals(
            uow, meter=meter, start=window_start, end=window_end, group_by=group_by, where=where
        )
    return TotalsShown(
        meter=meter,
        data=[
            TotalShown(group=total.group, **FigureShown.model_validate(total.figure).__dict__)
            for total in found
        ],
    )


@router.get("/meters")
async def meters(who: Member) -> Meters:
    """The platform's meters and the organisation's own."""
    async with unit_of_work(who.actor) as uow:
        return Meters(data=[MeterShown.model_validate(row) for row in await queries.meters(uow)])


def _window(
    uow: UnitOfWork, start: AwareDatetime | None, end: AwareDatetime | None
) -> tuple[AwareDatetime, AwareDatetime]:
    window_end = end or uow.now
    return start or window_end - DEFAULT_WINDOW, window_end


def _filter(models: list[str], keys: list[str], projects: list[str], properties: list[str]) -> Filter:
    wanted: dict[str, str] = {}
    for pair in properties:
        name, colon, value = pair.partition(":")
        if not colon or not name:
            raise Invalid(
                f"{pair[:80]!r} names no property.", field="property", next_step="Write it as name:value."
            )
        wanted[name] = value
    return Filter(tuple(models), tuple(keys), tuple(projects), wanted)


def _shown(series: Series) -> SeriesShown:
    return SeriesShown(
        meter=series.meter.slug,
        unit=series.meter.unit,
        granularity=series.granularity,
        timezone=series.timezone,
        currency=series.currency,
        lines=[
            LineShown(
                group=line.group,
                points=[
                    PointShown(
                        start=series.edges[n],
                        end=series.edges[n + 1],
                        events=figure.events,
                        quantity=figure.quantity,
                        cost=figure.cost,
                        unpriced=figure.unpriced,
                    )
                    for n, figure in enumerate(line.points)
                ],
            )
            for line in series.lines
        ],
    )
