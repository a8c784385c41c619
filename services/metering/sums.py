"""What meters counted between edges: from roll-ups and waiting deltas, or from the raw events.

Each reading is one statement, hence one snapshot: the compactor cannot move a delta under it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

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
    properties: Mapping[str, str] = field(default_factory=dict[str, str])


EVERYTHING = Filter()


@dataclass(frozen=True, slots=True)
class Figure:
    """What a meter says of one bucket. `quantity` is None where nothing was seen and nothing can be said
    (max, latest, average). `cost` is exact and leaves out the `unpriced` of the `events`."""

    events: int
    quantity: Decimal | None
    cost: Decimal | None
    unpriced: int


@dataclass(frozen=True, slots=True)
class Sum:
    """One meter's figure in bucket number `bucket` (from 0) for one group ("" when not grouped)."""

    meter_id: str
    bucket: int
    group: str
    figure: Figure


_GROUPS = {None: "''", GroupBy.MODEL: "model", GroupBy.KEY: "key_id"}


def empty(aggregation: Aggregation) -> Figure:
    """The figure of a bucket in which nothing was seen."""
    silent = aggregation in (Aggregation.MAX, Aggregation.LATEST, Aggregation.AVERAGE)
    return Figure(0, None if silent else _NOTHING, _NOTHING, 0)


async def read(
    uow: UnitOfWork,
    meters: Sequence[MeterRule],
    edges: list[datetime],
    *,
    group_by: GroupBy | None = None,
    where: Filter = EVERYTHING,
) -> list[Sum]:
    """Figures of the buckets between `edges` in which something was seen. Edges are whole UTC minutes."""
    found: list[Sum] = []
    kept = [] if where.properties else [meter for meter in meters if meter.aggregation in SUMMED]
    if kept:
        found += await _from_rollups(uow, kept, edges, group_by, where)
    for meter in meters:
        if meter not in kept:
            found += await _from_events(uow, meter, edges, group_by, where)
    return found


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


async def _from_rollups(
    uow: UnitOfWork,
    meters: Sequence[MeterRule],
    edges: list[datetime],
    group_by: GroupBy | None,
    where: Filter,
) -> list[Sum]:
    spans: dict[str, list[tuple[datetime, datetime]]] = {"usage_delta": [(edges[0], edges[-1])]}
    for tile in tiles(edges):
        spans.setdefault(_TABLES[tile.rollup], []).append((tile.start, tile.end))
    narrowed, parameters = _narrowing("kept", where)
    parameters |= {
        "organization_id": uow.organization_id,
        "meter_ids": [meter.id for meter in meters],
        "edges": _instants(edges[:-1]),
    }
    for table, pieces in spans.items():
        parameters[f"{table}_starts"] = _instants([start for start, _ in pieces])
        parameters[f"{table}_ends"] = _instants([end for _, end in pieces])
    parts = " union all ".join(_KEPT.format(table=table, narrowed=narrowed) for table in spans)
    statement = sa.text(_SUMS.format(group=_GROUPS[group_by], parts=parts))
    aggregations = {meter.id: meter.aggregation for meter in meters}
    return [_sum(row, aggregations[row.meter_id]) for row in await uow.execute(statement, parameters)]


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


async def _from_events(
    uow: UnitOfWork, meter: MeterRule, edges: list[datetime], group_by: GroupBy | None, where: Filter
) -> list[Sum]:
    narrowed, parameters = _narrowing("event", where)
    value, counts = stored.value_of(meter.aggregation), stored.counts(meter.aggregation)
    seen = _SEEN.format(value=value, narrowed=narrowed)
    priced = meter.organization_id is None
    rated = (
        _RATED.format(part=_PART, seen=seen, counts=counts)
        if priced
        else f"select event.*, cast(0 as numeric) as part from ({seen}) as event where {counts}"
    )
    group = _GROUPS[group_by]
    if meter.aggregation is Aggregation.WEIGHTED_SUM:
        before = seen.replace("event.time >= :first and event.time < :last", "event.time < :first")
        statement = _AREA.format(rated=rated, before=before, counts=counts, group=group)
        parameters["now"] = uow.now
    else:
        largest = "max(value)" if meter.aggregation is Aggregation.MAX else "cast(null as numeric)"
        quantity = _QUANTITIES[meter.aggregation]
        statement = _FIGURES.format(rated=rated, group=group, quantity=quantity, largest=largest)
    parameters |= {
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
    found = await uow.execute(sa.text(statement), parameters)
    return [_sum(row, meter.aggregation) for row in found]
