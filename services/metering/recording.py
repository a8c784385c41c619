"""Writing usage events and what they add to meters, in one statement.

The whole batch travels as JSON: the driver needs 20 ms to write a thousand rows as SQL arrays, orjson 1 ms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

import orjson
import sqlalchemy as sa

from models.types import Aggregation
from services.catalog import queries as catalog
from services.catalog.rules import NOT_RATED, PriceBook, Rated, rate
from services.core.errors import Invalid
from services.core.work import UnitOfWork
from services.metering import calendar, locks, rules
from services.metering.rules import CheckedEvent, MeterRule

_NOTHING = Decimal(0)

_Cell = tuple[str, str, datetime, str, str]  # organisation, meter, minute, model, key
_Meters = dict[tuple[str, str], list[MeterRule]]  # by organisation ("" for the platform) and event type


class Status(StrEnum):
    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"  # the same event is already there
    CONFLICT = "conflict"  # an event of that key is already there and says something else; the first wins


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one event. `cost` is exact, None when unpriced, and said of accepted events only."""

    organization_id: str
    source: str
    event_id: str
    status: Status
    cost: Decimal | None
    currency: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """Outcomes in the order of the events given."""

    outcomes: tuple[Outcome, ...]

    @property
    def accepted(self) -> int:
        return self._count(Status.ACCEPTED)

    @property
    def duplicates(self) -> int:
        return self._count(Status.DUPLICATE)

    @property
    def conflicts(self) -> int:
        return self._count(Status.CONFLICT)

    def _count(self, status: Status) -> int:
        return sum(outcome.status is status for outcome in self.outcomes)


# Events are inserted in the order of their keys: two writers of the same keys then wait for each other in
# one order and never in a circle. What is counted are only events that this statement inserted.
_STORE = sa.text(
    """
    with given as materialized (
      select * from jsonb_to_recordset(cast(:events as jsonb)) as given(
        n int, organization_id text, source text, event_id text, type text, time timestamptz, model text,
        key_id text, properties jsonb, content_hash bytea, cost numeric, currency text, price_ids text[])
    ), accepted as (
      insert into usage_event (organization_id, source, event_id, type, time, received_at, model, key_id,
                               properties, content_hash, cost, currency, price_ids)
      select organization_id, source, event_id, type, time, :received_at, model, key_id,
             properties, content_hash, cost, currency, price_ids
      from given
      on conflict do nothing
      returning organization_id, source, event_id
    ), fresh as materialized (
      select given.n from given join accepted using (organization_id, source, event_id)
    ), counted as (
      insert into usage_delta (organization_id, meter_id, bucket, model, key_id,
                               events, quantity, smallest, largest, cost, unpriced)
      select cell.organization_id, cell.meter_id, cell.bucket, cell.model, cell.key_id,
             sums.events, sums.quantity, sums.smallest, sums.largest, sums.cost, sums.unpriced
      from (
        select part.cell, count(*) as events, sum(part.quantity) as quantity, min(part.quantity) as smallest,
               max(part.quantity) as largest, coalesce(sum(part.cost), 0) as cost,
               count(*) - count(part.cost) as unpriced
        from unnest(cast(:part_event as int[]), cast(:part_cell as int[]), cast(:part_quantity as numeric[]),
                    cast(:part_cost as numeric[])) as part(n, cell, quantity, cost)
        join fresh using (n)
        group by part.cell
      ) as sums
      join jsonb_to_recordset(cast(:cells as jsonb)) as cell(
        cell int, organization_id text, meter_id text, bucket timestamptz, model text, key_id text) using (cell)
    )
    select n from fresh
    """
)

_HASHES = sa.text(
    "select asked.n, stored.content_hash from jsonb_to_recordset(cast(:keys as jsonb))"
    " as asked(n int, organization_id text, source text, event_id text)"
    " join usage_event stored using (organization_id, source, event_id)"
)


async def store(uow: UnitOfWork, events: Sequence[CheckedEvent]) -> Recorded:
    """Write what is new of `events`, count exactly that, and say what became of each."""
    unique = _first_of_each_key(events)
    ordered = sorted(unique.values(), key=lambda checked: checked.key)
    organizations = {checked.event.organization_id for checked in ordered}
    # Before the meters are read: from here on none can be made that would miss these events.
    await locks.share_meters(uow, organizations)
    currencies = await _currencies(uow, organizations)
    meters = await _meters(uow, organizations, {checked.event.type for checked in ordered})
    prices = await _prices(uow, ordered, meters, currencies)

    batch = _Batch()
    for checked in ordered:
        batch.add(checked, meters, currencies[checked.event.organization_id], prices)
    inserted = {row.n for row in await uow.execute(_STORE, batch.parameters(uow.wall_now))}
    winners = await _winning_hashes(uow, ordered, inserted)
    costs = {checked.key: batch.costs[n] for n, checked in enumerate(ordered) if n in inserted}
    return Recorded(tuple(_outcomes(events, unique, winners, costs, currencies)))


def _first_of_each_key(events: Sequence[CheckedEvent]) -> dict[tuple[str, str, str], CheckedEvent]:
    unique: dict[tuple[str, str, str], CheckedEvent] = {}
    for checked in events:
        unique.setdefault(checked.key, checked)
    return unique


def _outcomes(
    events: Sequence[CheckedEvent],
    unique: Mapping[tuple[str, str, str], CheckedEvent],
    winners: Mapping[tuple[str, str, str], bytes],
    costs: Mapping[tuple[str, str, str], Decimal | None],
    currencies: Mapping[str, str],
) -> Iterable[Outcome]:
    for checked in events:
        key = checked.key
        if key in costs and checked is unique[key]:
            status, cost = Status.ACCEPTED, costs[key]
        else:
            same = checked.content_hash == winners[key]
            status, cost = Status.DUPLICATE if same else Status.CONFLICT, None
        yield Outcome(*key, status, cost, currencies[key[0]])


async def _currencies(uow: UnitOfWork, organizations: Iterable[str]) -> dict[str, str]:
    wanted = sorted(organizations)
    found = await uow.execute("select id, currency from organization where id = any(:wanted)", wanted=wanted)
    currencies: dict[str, str] = {row.id: row.currency for row in found}
    if len(currencies) < len(wanted):
        stranger = next(name for name in wanted if name not in currencies)
        raise Invalid(f"There is no organisation {stranger!r}.", field="organization_id")
    return currencies


async def _meters(uow: UnitOfWork, organizations: Iterable[str], types: Iterable[str]) -> _Meters:
    """Active meters that events of `types` may feed. The expression is the one of the index uq_meter_slug."""
    found = await uow.execute(
        "select id, organization_id, slug, event_type, aggregation, value_property from meter"
        " where coalesce(organization_id, '') = any(:owners) and event_type = any(:types)"
        " and archived_at is null order by slug",
        owners=["", *organizations],
        types=list(types),
    )
    made: _Meters = {}
    for row in found:
        meter = MeterRule(
            row.id,
            row.organization_id,
            row.slug,
            row.event_type,
            Aggregation(row.aggregation),
            row.value_property,
        )
        made.setdefault((row.organization_id or "", row.event_type), []).append(meter)
    return made


async def _prices(
    uow: UnitOfWork, events: Sequence[CheckedEvent], meters: _Meters, currencies: Mapping[str, str]
) -> PriceBook:
    priced = [checked.event for checked in events if ("", checked.event.type) in meters]
    if not priced:
        return PriceBook()
    times = [event.time for event in priced]
    return await catalog.book(
        uow,
        models={event.model for event in priced},
        currencies=set(currencies.values()),
        earliest=min(times),
        latest=max(times),
    )


async def _winning_hashes(
    uow: UnitOfWork, ordered: Sequence[CheckedEvent], inserted: set[int]
) -> dict[tuple[str, str, str], bytes]:
    """The content that counts for each key. A statement of its own: the one that inserted could not see
    rows that another writer committed while it waited."""
    winners = {checked.key: checked.content_hash for n, checked in enumerate(ordered) if n in inserted}
    missing = [{"n": n, **_key(checked)} for n, checked in enumerate(ordered) if n not in inserted]
    if missing:
        for row in await uow.execute(_HASHES, keys=_json(missing)):
            winners[ordered[int(row.n)].key] = bytes(row.content_hash)
    return winners


def _key(checked: CheckedEvent) -> dict[str, str]:
    event = checked.event
    return {"organization_id": event.organization_id, "source": event.source, "event_id": event.event_id}


@dataclass(slots=True)
class _Batch:
    """The parameters of one statement: events, the cells (one meter, minute, model and key) they add to,
    and what each adds to which."""

    rows: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    costs: list[Decimal | None] = field(default_factory=list[Decimal | None])
    cells: dict[_Cell, int] = field(default_factory=dict[_Cell, int])
    part_event: list[str] = field(default_factory=list[str])
    part_cell: list[str] = field(default_factory=list[str])
    part_quantity: list[str] = field(default_factory=list[str])
    part_cost: list[str] = field(default_factory=list[str])

    def add(self, checked: CheckedEvent, meters: _Meters, currency: str, prices: PriceBook) -> None:
        event, n = checked.event, len(self.rows)
        platform = [
            (meter, rules.added_by(meter, event.properties, checked.at))
            for meter in meters.get(("", event.type), ())
        ]
        rated = _rate(event, platform, prices, currency)
        own = [
            (meter, rules.added_by(meter, event.properties, checked.at))
            for meter in meters.get((event.organization_id, event.type), ())
        ]
        self._count(n, event, [*platform, *own], rated)
        self.costs.append(rated.cost)
        self.rows.append(
            {
                "n": n,
                **_key(checked),
                "type": event.type,
                "time": event.time,
                "model": event.model,
                "key_id": event.key_id,
                "properties": orjson.Fragment(checked.properties),
                "content_hash": f"\\x{checked.content_hash.hex()}",
                "cost": None if rated.cost is None else f"{rated.cost:f}",
                "currency": currency,
                "price_ids": [line.price_id for line in rated.lines] or None,
            }
        )

    def _count(
        self,
        n: int,
        event: rules.UsageEventIn,
        added: Sequence[tuple[MeterRule, Decimal | None]],
        rated: Rated,
    ) -> None:
        amounts = {line.meter: line.amount for line in rated.lines}
        bucket = calendar.minute_floor(event.time)
        for meter, quantity in added:
            if quantity is None or meter.aggregation not in rules.SUMMED:
                continue
            cell = (event.organization_id, meter.id, bucket, event.model, event.key_id)
            cost = None if rated.cost is None else _NOTHING
            if meter.organization_id is None and cost is not None:
                cost = amounts.get(meter.slug, _NOTHING)
            self.part_event.append(str(n))
            self.part_cell.append(str(self.cells.setdefault(cell, len(self.cells))))
            self.part_quantity.append(f"{quantity:f}")
            self.part_cost.append("null" if cost is None else f"{cost:f}")

    def parameters(self, received_at: datetime) -> dict[str, Any]:
        names = ("organization_id", "meter_id", "bucket", "model", "key_id")
        cells = [
            {"cell": number, **dict(zip(names, cell, strict=True))} for cell, number in self.cells.items()
        ]
        return {
            "events": _json(self.rows),
            "cells": _json(cells),
            "part_event": _array(self.part_event),
            "part_cell": _array(self.part_cell),
            "part_quantity": _array(self.part_quantity),
            "part_cost": _array(self.part_cost),
            "received_at": received_at,
        }


def _rate(
    event: rules.UsageEventIn,
    counted: Sequence[tuple[MeterRule, Decimal | None]],
    prices: PriceBook,
    currency: str,
) -> Rated:
    if not counted:
        return NOT_RATED
    values = {meter.slug: quantity for meter, quantity in counted if quantity is not None}
    return rate(values, prices.at(event.model, currency, event.time))


def _json(rows: list[dict[str, Any]]) -> str:
    return orjson.dumps(rows).decode()


def _array(numbers: list[str]) -> str:
    """PostgreSQL's text form of an array of numbers."""
    return "{" + ",".join(numbers) + "}"
