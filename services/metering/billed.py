"""What a platform's meter says of a time that is billed, exact and whole. Called by verbs that asked who may.

Windows are cut at whole minutes of UTC, as roll-ups are: what happened in the minute of a boundary belongs to what
comes after it. So windows that follow each other count each event once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from decimal import Decimal

from models.types import Aggregation
from services.core.errors import not_found
from services.core.work import UnitOfWork
from services.metering import calendar, stored, sums
from services.metering.rules import MeterRule

EVENTS_PER_READ = 10_000
_METER = """
select id, slug, event_type, aggregation, value_property from meter where slug = :slug and organization_id is null
"""
_VALUES = """
select time, source, event_id, value from (
  select event.time, event.source, event.event_id, {value} as value from usage_event event
  where event.organization_id = :organization_id and event.type = :event_type
    and event.time >= :start and event.time < :end and (event.time, event.source, event.event_id) > (:t, :s, :e)
) seen where {counts} order by time, source, event_id limit :most
"""


async def quantity(uow: UnitOfWork, meter: str, start: datetime, end: datetime) -> Decimal:
    """Of the organisation that the work is bound to; zero where nothing was seen. Raises NotFound for the meter."""
    edges = [calendar.minute_floor(start), calendar.minute_floor(end)]
    if edges[0] >= edges[1]:
        return Decimal(0)
    found = await sums.read(uow, [await _rule(uow, meter)], edges)
    return (found[0].figure.quantity or Decimal(0)) if found else Decimal(0)


async def values(uow: UnitOfWork, meter: str, start: datetime, end: datetime) -> AsyncIterator[list[Decimal]]:
    """What each event counts, in order of time, in lists of at most EVENTS_PER_READ. Raises NotFound."""
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
                **({"property": rule.value_property} if rule.value_property is not None else {}),
                "organization_id": uow.organization_id,
                "event_type": rule.event_type,
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


async def _rule(uow: UnitOfWork, slug: str) -> MeterRule:
    row = (await uow.execute(_METER, slug=slug)).one_or_none()
    if row is None:
        raise not_found("meter", slug)
    return MeterRule(row.id, None, row.slug, row.event_type, Aggregation(row.aggregation), row.value_property)
