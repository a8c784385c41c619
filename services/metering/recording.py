"""Writing usage events and, of those that are new, what they add to meters.

Batches travel as JSON: the driver needs 20 ms to write a thousand rows as SQL arrays, orjson 1 ms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa

from models.types import Aggregation
from services.catalog import queries as catalog
from services.catalog.rules import NOT_RATED, PriceBook, Rated, rate
from services.core.errors import Invalid
from services.core.work import UnitOfWork
from services.metering import locks, rules
from services.metering.rules import Adds, CheckedEvent, EventKey, MeterRule

_NOTHING = Decimal(0)

_Meters = dict[tuple[str, str], list[MeterRule]]  # by organisation ("" for the platform) and event type


class Status(StrEnum):
    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"  # the same event is already there
    CONFLICT = "conflict"  # an event of that key is already there and says something else; the first wins


class Outcome(NamedTuple):
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
        return sum([outcome.status is status for outcome in self.outcomes])


class _Rateable(NamedTuple):
    """An event with what it adds to each meter that sums, and what it costs."""

    checked: CheckedEvent
    added: list[tuple[MeterRule, Decimal]]
    rated: Rated


# Only what this statement inserted is returned, whoever else writes the same keys at the same time.
_INSERT = sa.text(
    """
    with given as materialized (
      select * from json_to_recordset(cast(:events as json)) as given(
        n int, organization_id text, source text, event_id text, type text, time timestamptz, model text,
        key_id text, properties jsonb, content_hash bytea, cost numeric, currency text, price_ids text[],
        paid_ahead boolean)
    ), accepted as (
      insert into usage_event (organization_id, source, event_id, type, time, received_at, model, key_id,
                               properties, content_hash, cost, currency, price_ids, paid_ahead)
      select organization_id, source, event_id, type, time, :received_at, model, key_id,
             properties, content_hash, cost, currency, price_ids, paid_ahead
      from given
      on conflict do nothing
      returning organization_id, source, event_id
    )
    select given.n from given join accepted using (organization_id, source, event_id)
    """
)

# `offset 0` keeps each look-up to itself, by primary key. Joined freely, row-level security's own condition
# made the planner read every event of the organisation.
HASHES = sa.text(
    """
    select asked.n, stored.content_hash
    from json_to_recordset(cast(:keys as json)) as asked(n int, organization_id text, source text, event_id text)
    cross join lateral (
      select event.content_hash from usage_event event
      where event.organization_id = asked.organization_id and event.source = asked.source
        and event.event_id = asked.event_id offset 0
    ) as stored
    """
)

_ADD = sa.text(
    """
    insert into usage_delta (organization_id, meter_id, bucket, model, key_id,
                             events, quantity, smallest, largest, cost, unpriced)
    select * from json_to_recordset(cast(:deltas as json)) as delta(
      organization_id text, meter_id text, bucket timestamptz, model text, key_id text,
      events bigint, quantity numeric, smallest numeric, largest numeric, cost numeric, unpriced bigint)
    """
)


async def store(uow: UnitOfWork, events: Sequence[CheckedEvent], adds: Adds) -> Recorded:
    """Write what is new of `events`, count exactly that, and say what became of each.

    `adds` is `rules.added_by`, which refuses what a meter cannot take, or `rules.added_if_fit`.
    """
    unique: dict[EventKey, CheckedEvent] = {}
    for checked in events:
        unique.setdefault(checked.key, checked)
    # In the order of their keys: two writers of the same keys then wait for each other in one order and
    # never in a circle.
    ordered = [unique[key] for key in sorted(unique)]
    organizations = {checked.organization_id for checked in ordered}
    # Before the meters are read: from here on none can be made that would miss these events.
    await locks.share_meters(uow, {(checked.organization_id, checked.event.type) for checked in ordered})
    currencies = await _currencies(uow, organizations)
    meters = await _meters(uow, organizations, {checked.event.type for checked in ordered})
    prices = await _prices(uow, ordered, meters, currencies)
    rateable = [_rateable(checked, meters, currencies, prices, adds) for checked in ordered]

    rows = _json([_row(n, one, currencies) for n, one in enumerate(rateable)])
    found = await uow.execute(_INSERT, events=rows, received_at=uow.wall_now)
    inserted = set(found.scalars())
    deltas = _deltas([one for n, one in enumerate(rateable) if n in inserted])
    if deltas:
        await uow.execute(_ADD, deltas=_json(deltas))
    winners = await _winning_hashes(uow, ordered, inserted)
    costs = {one.checked.key: one.rated.cost for n, one in enumerate(rateable) if n in inserted}
    return Recorded(tuple(_outcomes(events, unique, winners, costs, currencies)))


def _outcomes(
    events: Sequence[CheckedEvent],
    unique: Mapping[EventKey, CheckedEvent],
    winners: Mapping[EventKey, bytes],
    costs: Mapping[EventKey, Decimal | None],
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
    priced = [checked for checked in events if ("", checked.event.type) in meters]
    if not priced:
        return PriceBook()
    times = [checked.time for checked in priced]
    return await catalog.book(
        uow,
        models={checked.event.model for checked in priced},
        currencies=set(currencies.values()),
        earliest=min(times),
        latest=max(times),
    )


def _rateable(
    checked: CheckedEvent, meters: _Meters, currencies: Mapping[str, str], prices: PriceBook, adds: Adds
) -> _Rateable:
    event = checked.event
    platform = meters.get(("", event.type), [])
    added: list[tuple[MeterRule, Decimal]] = []
    for meter in platform + meters.get((checked.organization_id, event.type), []):
        quantity = adds(meter, event.properties, checked.at)
        if quantity is not None and meter.sums:
            added.append((meter, quantity))
    if not platform:
        return _Rateable(checked, added, NOT_RATED)
    values = {meter.slug: quantity for meter, quantity in added if meter.organization_id is None}
    terms = prices.at(event.model, currencies[checked.organization_id], checked.time)
    return _Rateable(checked, added, rate(rules.charged(values, event.properties), terms))


def _row(n: int, one: _Rateable, currencies: Mapping[str, str]) -> dict[str, Any]:
    checked, rated = one.checked, one.rated
    event = checked.event
    return {
        "n": n,
        "organization_id": checked.organization_id,
        "source": event.source,
        "event_id": event.event_id,
        "type": event.type,
        "time": checked.time,
        "model": event.model,
        "key_id": event.key_id,
        "properties": orjson.Fragment(checked.properties),
        "content_hash": f"\\x{checked.content_hash.hex()}",
        "cost": None if rated.cost is None else f"{rated.cost:f}",
        "currency": currencies[checked.organization_id],
        "price_ids": rated.price_ids or None,
        "paid_ahead": event.paid_ahead and rated.cost is not None,
    }


@dataclass(slots=True)
class _Delta:
    """What a batch adds to one meter in one minute for one model and key."""

    smallest: Decimal
    largest: Decimal
    events: int = 0
    quantity: Decimal = _NOTHING
    cost: Decimal = _NOTHING
    unpriced: int = 0

    def add(self, quantity: Decimal) -> None:
        self.events += 1
        self.quantity = rules.plus(self.quantity, quantity)
        if quantity < self.smallest:
            self.smallest = quantity
        elif quantity > self.largest:
            self.largest = quantity

    def written(self) -> dict[str, Any]:
        return {
            "events": self.events,
            "quantity": f"{self.quantity:f}",
            "smallest": f"{self.smallest:f}",
            "largest": f"{self.largest:f}",
            "cost": f"{self.cost:f}",
            "unpriced": self.unpriced,
        }


_Place = tuple[str, str, str, str]  # organisation, minute, model, key


def _deltas(fresh: Iterable[_Rateable]) -> list[dict[str, Any]]:
    places: dict[_Place, dict[str, _Delta]] = {}
    for checked, added, rated in fresh:
        event = checked.event
        place = (checked.organization_id, checked.minute, event.model, event.key_id)
        deltas = places.get(place)
        if deltas is None:
            deltas = places[place] = {}
        amounts = {line.meter: line.amount for line in rated.lines} if rated.lines else None
        for meter, quantity in added:
            delta = deltas.get(meter.id)
            if delta is None:
                delta = deltas[meter.id] = _Delta(quantity, quantity)
            delta.add(quantity)
            if rated.cost is None:
                delta.unpriced += 1
            elif amounts and meter.organization_id is None:
                delta.cost = rules.plus(delta.cost, amounts.get(meter.slug, _NOTHING))
    return [
        {
            "organization_id": organization_id,
            "meter_id": meter_id,
            "bucket": f"{minute}Z",
            "model": model,
            "key_id": key_id,
            **delta.written(),
        }
        for (organization_id, minute, model, key_id), deltas in places.items()
        for meter_id, delta in deltas.items()
    ]


async def _winning_hashes(
    uow: UnitOfWork, ordered: Sequence[CheckedEvent], inserted: set[int]
) -> dict[EventKey, bytes]:
    """The content that counts for each key. A statement of its own: the one that inserted could not see
    rows that another writer committed while it waited."""
    winners = {checked.key: checked.content_hash for n, checked in enumerate(ordered) if n in inserted}
    missing = [
        {
            "n": n,
            "organization_id": checked.organization_id,
            "source": checked.event.source,
            "event_id": checked.event.event_id,
        }
        for n, checked in enumerate(ordered)
        if n not in inserted
    ]
    if missing:
        for row in await uow.execute(HASHES, keys=_json(missing)):
            winners[ordered[int(row.n)].key] = bytes(row.content_hash)
    return winners


def _json(rows: list[dict[str, Any]]) -> str:
    return orjson.dumps(rows).decode()
