"""What meters counted between edges: from roll-ups and waiting deltas, or from the raw events.

Each reading is one statement, hence one snapshot: the compactor cannot move a delta under it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa

from models.money import EXACT, exact
from models.types import Aggregation
from services.core.work import UnitOfWork
from services.metering import stored
from services.metering.calendar import Rollup, tiles
from services.metering.rules import SUMMED, MeterRule

_NOTHING = Decimal(0)


class GroupBy(StrEnum):
    MODEL = "model"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Filter:
    """Usage to look at; empty means all. Properties are compared as text, and all of them must match."""

    models: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()  # what their keys used
    properties: Mapping[str, str] = field(default_factory=dict[str, str])


EVERYTHING = Filter()

# Few enough to be read once and compared like keys that were named.
KEYS_OF_PROJECTS = (
    "array(select id from api_key where organization_id = :organization_id and project_id = any(:projects))"
)


@dataclass(frozen=True, slots=True)
class Figure:
    """What a meter says of one bucket. `quantity` is None where nothing was seen and nothing can be said
    (max, latest, average). `cost` is exact and leaves out the `unpriced` of the `events`."""

    events: int
    quantity: Decimal | None
    cost: Decimal | None
    unpriced: int


@dataclass(frozen=True, slots=True)
class Groups:
    """How usage is told apart. What is not of `names` is one group together, called None; without `names`
    there are few enough to tell all of them apart."""

    by: GroupBy
    names: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Sum:
    """One meter's figure in bucket number `bucket` (from 0) for one group: "" when not grouped, None for the
    rest together."""

    meter_id: str
    bucket: int
    group: str | None
    figure: Figure


class Measure(StrEnum):
    """What groups are ranked by."""

    QUANTITY = "quantity"
    COST = "cost"


class _Sql(NamedTuple):
    """A statement or a part of one, with the parameters it names."""

    text: str
    parameters: dict[str, Any]


_COLUMNS = {GroupBy.MODEL: "model", GroupBy.KEY: "key_id"}


def empty(aggregation: Aggregation) -> Figure:
    """The figure of a bucket in which nothing was seen."""
    silent = aggregation in (Aggregation.MAX, Aggregation.LATEST, Aggregation.AVERAGE)
    return Figure(0, None if silent else _NOTHING, _NOTHING, 0)


async def read(
    uow: UnitOfWork,
    meters: Sequence[MeterRule],
    edges: list[datetime],
    *,
    groups: Groups | None = None,
    where: Filter = EVERYTHING,
) -> list[Sum]:
    """Figures of the buckets between `edges` in which something was seen. Edges are whole UTC minutes."""
    aggregations = {meter.id: meter.aggregation for meter in meters}
    found: list[Sum] = []
    for statement in _statements(uow, meters, edges, groups, where):
        rows = await uow.execute(sa.text(statement.text), statement.parameters)
        found += [_sum(row, aggregations[row.meter_id]) for row in rows]
    return found


# Of a mean its own size counts, not what it is a mean of.
_RANKED_BY = {Aggregation.MAX: "largest", Aggregation.AVERAGE: "quantity / events"}
_LEADING = """
    select name from ({figures}) as figure
    group by name order by sum({size}) desc nulls last, sum(quantity) desc nulls last, name limit :most
"""


async def leading(
    uow: UnitOfWork,
    meters: Sequence[MeterRule],
    edges: list[datetime],
    by: GroupBy,
    *,
    where: Filter = EVERYTHING,
    measure: Measure = Measure.QUANTITY,
    most: int,
) -> Groups:
    """The `most` groups of which there is most between the outer edges, over all of `meters`.

    Several meters have to be sums, of one unit unless it is by cost, and not filtered by properties.
    """
    (statement,) = _statements(uow, meters, [edges[0], edges[-1]], Groups(by), where)
    size = measure.value
    if len(meters) == 1 and measure is Measure.QUANTITY:
        size = _RANKED_BY.get(meters[0].aggregation, size)
    ranking = sa.text(_LEADING.format(figures=statement.text, size=size))
    found = await uow.execute(ranking, {**statement.parameters, "most": most})
    names = tuple([row.name for row in found])
    return Groups(by, names if len(names) == most else None)


def _statements(
    uow: UnitOfWork,
    meters: Sequence[MeterRule],
    edges: list[datetime],
    groups: Groups | None,
    where: Filter,
) -> list[_Sql]:
    """What reads the meters: one statement for all whose sums are kept, one for each of the others."""
    kept = [] if where.properties else [meter for meter in meters if meter.aggregation in SUMMED]
    made = [_over_rollups(uow, kept, edges, groups, where)] if kept else []
    return made + [_over_events(uow, meter, edges, groups, where) for meter in meters if meter not in kept]


def _grouping(groups: Groups | None) -> _Sql:
    """The name of a row's group."""
    if groups is None:
        return _Sql("''", {})
    column = _COLUMNS[groups.by]
    if groups.names is None:
        return _Sql(column, {})
    return _Sql(f"case when {column} = any(:names) then {column} end", {"names": list(groups.names)})


# -- roll-ups and deltas

_KEPT = """
    select kept.meter_id, kept.bucket, kept.model, kept.key_id, kept.events, kept.quantity, kept.largest,
           kept.cost, kept.unpriced
    from {table} kept
    join unnest(cast(:{table}_starts as timestamptz[]), cast(:{table}_ends as timestamptz[])) as span(starts, ends)
      on kept.bucket >= span.starts and kept.bucket < span.ends
    where kept.organization_id = :organization_id and kept.meter_id = any(:meter_ids){narrowed}
"""
_SUMS = """
    select meter_id, width_bucket(bucket, cast(:edges as timestamptz[])) - 1 as bucket, {group} as name,
           sum(events) as events, sum(quantity) as quantity, max(largest) as largest, sum(cost) as cost,
           sum(unpriced) as unpriced
    from ({parts}) as part
    group by 1, 2, 3
"""


def _over_rollups(
    uow: UnitOfWork,
    meters: Sequence[MeterRule],
    edges: list[datetime],
    groups: Groups | None,
    where: Filter,
) -> _Sql:
    spans: dict[str, list[tuple[datetime, datetime]]] = {"usage_delta": [(edges[0], edges[-1])]}
    for tile in tiles(edges):
        spans.setdefault(_TABLES[tile.rollup], []).append((tile.start, tile.end))
    narrowed, parameters = _narrowing("kept", where)
    group = _grouping(groups)
    parameters |= {
        **group.parameters,
        "organization_id": uow.organization_id,
        "meter_ids": [meter.id for meter in meters],
        "edges": _instants(edges[:-1]),
    }
    for table, pieces in spans.items():
        parameters[f"{table}_starts"] = _instants([start for start, _ in pieces])
        parameters[f"{table}_ends"] = _instants([end for _, end in pieces])
    parts = " union all ".join(_KEPT.format(table=table, narrowed=narrowed) for table in spans)
    return _Sql(_SUMS.format(group=group.text, parts=parts), parameters)


_TABLES = {rollup: f"usage_{rollup}" for rollup in Rollup}


def _sum(row: Any, aggregation: Aggregation) -> Sum:
    quantity: Decimal | None = row.quantity
    if aggregation is Aggregation.MAX:
        quantity = row.largest
    elif aggregation is Aggregation.AVERAGE:
        # The only figure that is rounded: a mean may have no end. Half away from zero, 12 places.
        quantity = exact(EXACT.divide(row.quantity, Decimal(int(row.events)))) if row.events else None
    return Sum(
        row.meter_id,
        int(row.bucket),
        row.name,
        Figure(int(row.events), quantity, row.cost or _NOTHING, int(row.unpriced)),
    )


def _narrowing(alias: str, where: Filter) -> tuple[str, dict[str, Any]]:
    """SQL conditions for a filter, to follow others, and their parameters."""
    conditions: list[str] = []
    parameters: dict[str, Any] = {}
    if where.models:
        conditions.append(f"{alias}.model = any(:models)")
        parameters["models"] = list(where.models)
    if where.keys:
        conditions.append(f"{alias}.key_id = any(:keys)")
        parameters["keys"] = list(where.keys)
    if where.projects:
        conditions.append(f"{alias}.key_id = any({KEYS_OF_PROJECTS})")
        parameters["projects"] = list(where.projects)
    if where.properties:
        conditions.append(
            "not exists (select from jsonb_each_text(cast(:properties as jsonb)) wanted"
            f" where {alias}.properties ->> wanted.key is distinct from wanted.value)"
        )
        parameters["properties"] = orjson.dumps(dict(where.properties)).decode()
    return "".join(f" and {condition}" for condition in conditions), parameters


def _instants(moments: Sequence[datetime]) -> str:
    """PostgreSQL's text form of an array: the driver takes 20 times as long for a list."""
    return "{" + ",".join([moment.isoformat() for moment in moments]) + "}"


# -- raw events

_SEEN = """
    select event.time, event.model, event.key_id, event.source, event.event_id, event.cost, event.price_ids,
           {value} as value
    from usage_event event
    where event.organization_id = :organization_id and event.type = :event_type
      and event.time >= :first and event.time < :last{narrowed}
"""

# What the meter's part of the cost was: by the price the event was rated with, rounded half away from zero
# at 12 places. `div` is exact, which numeric division is not.
_PART = """
    case when event.cost is null or price.id is null then 0
      else div(2 * event.value * price.unit_amount * 1000000000000 + price.per_units, 2 * price.per_units)
           * 0.000000000001 end
"""
_RATED = """
    select event.*, {part} as part from ({seen}) as event
    left join price on price.meter = :meter and price.id = any(event.price_ids)
    where {counts}
"""

_QUANTITIES = {
    Aggregation.COUNT: "sum(value)",
    Aggregation.SUM: "sum(value)",
    Aggregation.AVERAGE: "sum(value)",
    Aggregation.MAX: "max(value)",
    Aggregation.UNIQUE: "cast(count(distinct value) as numeric)",
    # Of events of one instant the last by name wins, so that the order of arrival never matters.
    Aggregation.LATEST: "(array_agg(value order by time desc, source desc, event_id desc))[1]",
}
_FIGURES = """
    select :meter_id as meter_id, width_bucket(time, cast(:edges as timestamptz[])) - 1 as bucket,
           {group} as name, count(*) as events, {quantity} as quantity, {largest} as largest,
           sum(part) as cost, count(*) filter (where cost is null) as unpriced
    from ({rated}) as event
    group by 2, 3
"""

# The level that each model and key last stated holds until it states another, across edges and from before
# the first one. A bucket's figure is the area under it in unit-seconds, so buckets add up to their total.
_AREA = """
    with rated as ({rated}), before as (
      select distinct on (model, key_id) model, key_id, value from ({before}) as event where {counts}
      order by model, key_id, time desc, source desc, event_id desc
    ), level as (
      select model, key_id, value, cast(:first as timestamptz) as since, '' as source, '' as event_id,
             true as carried, false as unpriced from before
      union all
      select model, key_id, value, time, source, event_id, false, cost is null from rated
    ), span as (
      select level.*, least(cast(:last as timestamptz), cast(:now as timestamptz), lead(since) over (
        partition by model, key_id order by since, not carried, source, event_id)) as until
      from level
    ), piece as (
      select span.*, n, n = first as opened, edge.list[n] as opens, coalesce(edge.list[n + 1], :last) as closes
      from span, (select cast(:edges as timestamptz[]) as list) as edge,
        width_bucket(since, edge.list) as first,
        generate_series(first, greatest(first, width_bucket(until - interval '1 microsecond', edge.list))) as n
    )
    select :meter_id as meter_id, n - 1 as bucket, {group} as name,
           count(*) filter (where opened and not carried) as events,
           sum(value * greatest(0, extract(epoch from least(until, closes) - greatest(since, opens)))) as quantity,
           cast(null as numeric) as largest, cast(0 as numeric) as cost,
           count(*) filter (where opened and unpriced) as unpriced
    from piece group by 2, 3
"""


def _over_events(
    uow: UnitOfWork, meter: MeterRule, edges: list[datetime], groups: Groups | None, where: Filter
) -> _Sql:
    narrowed, parameters = _narrowing("event", where)
    group = _grouping(groups)
    value, counts = stored.value_of(meter.aggregation), stored.counts(meter.aggregation)
    seen = _SEEN.format(value=value, narrowed=narrowed)
    priced = meter.organization_id is None
    rated = (
        _RATED.format(part=_PART, seen=seen, counts=counts)
        if priced
        else f"select event.*, cast(0 as numeric) as part from ({seen}) as event where {counts}"
    )
    if meter.aggregation is Aggregation.WEIGHTED_SUM:
        before = seen.replace("event.time >= :first and event.time < :last", "event.time < :first")
        statement = _AREA.format(rated=rated, before=before, counts=counts, group=group.text)
        parameters["now"] = uow.now
    else:
        largest = "max(value)" if meter.aggregation is Aggregation.MAX else "cast(null as numeric)"
        quantity = _QUANTITIES[meter.aggregation]
        statement = _FIGURES.format(rated=rated, group=group.text, quantity=quantity, largest=largest)
    parameters |= {
        **group.parameters,
        "organization_id": uow.organization_id,
        "meter_id": meter.id,
        "event_type": meter.event_type,
        "first": edges[0],
        "last": edges[-1],
        "edges": _instants(edges[:-1]),
    }
    if priced:
        parameters["meter"] = meter.slug
    if meter.value_property is not None:
        parameters["property"] = meter.value_property
    return _Sql(statement, parameters)
