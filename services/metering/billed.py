"""What a platform's meter says of a time that is billed, exact and whole. Called by verbs that asked who may.

Windows are cut at whole minutes of UTC, as roll-ups are: what happened in the minute of a boundary belongs to what
comes after it. So windows that follow each other count each event once. What a wallet paid when it was booked is paid,
and counts nowhere here (docs/decisions/0034-who-pays-usage.md).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from models.types import Aggregation
from services.core.errors import not_found
from services.core.work import UnitOfWork
from services.metering import calendar, stored, sums
from services.metering.rules import GATEWAY_TYPE, MeterRule

EVENTS_PER_READ = 10_000
_METER = """
select id, slug, event_type, aggregation, value_property from meter where slug = :slug and organization_id is null
"""
_VALUES = """
select time, source, event_id, value from (
  select event.time, event.source, event.event_id, {value} as value from usage_event event
  where event.organization_id = :organization_id and event.type = :event_type and not event.paid_ahead
    and event.time >= :start and event.time < :end and (event.time, event.source, event.event_id) > (:t, :s, :e)
) seen where {counts} order by time, source, event_id limit :most
"""
_PAID_AHEAD = """
select sum(value) from (
  select {value} as value from usage_event event
  where event.organization_id = :organization_id and event.type = :event_type and event.paid_ahead
    and event.time >= :start and event.time < :end
) seen where {counts}
"""
_PRICED = """
select seen.model, seen.currency, price.id, price.unit_amount, price.per_units, sum(seen.value) as quantity
from (
  select event.model, event.currency, event.price_ids, {value} as value from usage_event event
  join unnest(cast(:starts as timestamptz[]), cast(:ends as timestamptz[])) as span(starts, ends)
    on event.time >= span.starts and event.time < span.ends
  where event.organization_id = :organization_id and event.type = :event_type and not event.paid_ahead
    and event.cost is not null and event.time >= :first and event.time < :last
) seen join price on price.meter = :meter and price.id = any(seen.price_ids)
where {counts} group by 1, 2, 3, 4, 5 having sum(seen.value) > 0 order by 1, 2, 3
"""
_WALLET = """
select event.currency, count(*) as calls, sum(event.cost) as cost from usage_event event
where event.organization_id = :organization_id and event.type = :event_type and event.paid_ahead
  and event.time >= :start and event.time < :end group by 1 order by 1
"""


@dataclass(frozen=True, slots=True)
class PaidAhead:
    """What wallets paid of calls when they were booked, exact, in major units."""

    currency: str
    calls: int
    cost: Decimal


@dataclass(frozen=True, slots=True)
class Priced:
    """What was used of a meter by one model at one price of the list. `unit_amount` is for `per_units`, in major
    units of `currency`."""

    model: str
    currency: str
    price_id: str
    unit_amount: Decimal
    per_units: int
    quantity: Decimal


async def priced(uow: UnitOfWork, meter: str, spans: Sequence[tuple[datetime, datetime]]) -> list[Priced]:
    """What was used in these times and has a price, by model and price. Raises NotFound for the meter."""
    edges = [(calendar.minute_floor(start), calendar.minute_floor(end)) for start, end in spans]
    edges = [(start, end) for start, end in edges if start < end]
    if not edges:
        return []
    rule = await _rule(uow, meter)
    statement = _PRICED.format(
        value=stored.value_of(rule.aggregation), counts=stored.counts(rule.aggregation)
    )
    found = await uow.execute(
        statement,
        {
            **_named(uow, rule),
            "meter": meter,
            "starts": [start for start, _ in edges],
            "ends": [end for _, end in edges],
            "first": min(start for start, _ in edges),
            "last": max(end for _, end in edges),
        },
    )
    return [
        Priced(row.model, row.currency, row.id, row.unit_amount, row.per_units, row.quantity) for row in found
    ]


async def paid_ahead(uow: UnitOfWork, start: datetime, end: datetime) -> list[PaidAhead]:
    """Of the organisation that the work is bound to, by currency."""
    found = await uow.execute(
        _WALLET,
        organization_id=uow.organization_id,
        event_type=GATEWAY_TYPE,
        start=calendar.minute_floor(start),
        end=calendar.minute_floor(end),
    )
    return [PaidAhead(**row) for row in found.mappings()]


async def quantity(uow: UnitOfWork, meter: str, start: datetime, end: datetime) -> Decimal:
    """Of the organisation that the work is bound to; zero where nothing was seen. Raises NotFound for the meter."""
    edges = [calendar.minute_floor(start), calendar.minute_floor(end)]
    if edges[0] >= edges[1]:
        return Decimal(0)
    rule = await _rule(uow, meter)
    found = await sums.read(uow, [rule], edges)
    counted = (found[0].figure.quantity or Decimal(0)) if found else Decimal(0)
    return counted - await _paid_ahead(uow, rule, edges)


async def _paid_ahead(uow: UnitOfWork, rule: MeterRule, edges: list[datetime]) -> Decimal:
    """What a wallet paid of it. Meters of the platform are counts and sums: a part can be taken off."""
    statement = _PAID_AHEAD.format(
        value=stored.value_of(rule.aggregation), counts=stored.counts(rule.aggregation)
    )
    found = await uow.execute(statement, {**_named(uow, rule), "start": edges[0], "end": edges[1]})
    paid: Decimal | None = found.scalar_one()
    return paid or Decimal(0)


async def values(uow: UnitOfWork, meter: str, start: datetime, end: datetime) -> AsyncIterator[list[Decimal]]:
    """What each event counts that no wallet paid, by time, in lists of at most EVENTS_PER_READ. Raises NotFound."""
    rule = await _rule(uow, meter)
    statement = _VALUES.format(
        value=stored.value_of(rule.aggregation), counts=stored.counts(rule.aggregation)
    )
    after = {"t": calendar.minute_floor(start), "s": "", "e": ""}
    while True:
        found = await uow.execute(
            statement,
            {
                **after,
                **_named(uow, rule),
                "start": calendar.minute_floor(start),
                "end": calendar.minute_floor(end),
                "most": EVENTS_PER_READ,
            },
        )
        rows = found.all()
        if rows:
            yield [row.value for row in rows]
        if len(rows) < EVENTS_PER_READ:
            return
        after = {"t": rows[-1].time, "s": rows[-1].source, "e": rows[-1].event_id}


def _named(uow: UnitOfWork, rule: MeterRule) -> dict[str, Any]:
    """What statements over the events of a meter name."""
    property_of = {"property": rule.value_property} if rule.value_property is not None else {}
    return {**property_of, "organization_id": uow.organization_id, "event_type": rule.event_type}


async def _rule(uow: UnitOfWork, slug: str) -> MeterRule:
    row = (await uow.execute(_METER, slug=slug)).one_or_none()
    if row is None:
        raise not_found("meter", slug)
    return MeterRule(row.id, None, row.slug, row.event_type, Aggregation(row.aggregation), row.value_property)
