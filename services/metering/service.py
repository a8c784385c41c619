"""Taking usage in, from the gateway for many organisations and from the API for one, and making meters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from models.metering import Meter
from models.types import Aggregation
from services.core import metrics
from services.core.database import database
from services.core.errors import Conflict, Invalid, TooLarge
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.wakeups import USAGE_CHANGED
from services.core.work import UnitOfWork
from services.metering import locks, recording, rules, stored
from services.metering.events import MeterCreated
from services.metering.recording import Recorded
from services.metering.rules import UsageEventIn

METERS_MAX = 100  # of one organisation: each is looked at for every event of its type
_SLUG = re.compile(r"[a-z][a-z0-9_]{0,62}", re.ASCII)


@dataclass(frozen=True, slots=True)
class PlatformMeter:
    slug: str
    name: str
    aggregation: Aggregation
    value_property: str | None
    unit: str


PLATFORM_METERS = (
    PlatformMeter("requests", "Requests", Aggregation.COUNT, None, "request"),
    PlatformMeter("prompt_tokens", "Input tokens", Aggregation.SUM, "prompt_tokens", "token"),
    PlatformMeter("completion_tokens", "Output tokens", Aggregation.SUM, "completion_tokens", "token"),
    PlatformMeter("failed_requests", "Failed requests", Aggregation.SUM, "failed", "request"),
)

# Rates were settled when the events were stored, so nothing is added to a cost here.
_COUNT_STORED = """
    insert into usage_delta (organization_id, meter_id, bucket, model, key_id,
                             events, quantity, smallest, largest, cost, unpriced)
    select organization_id, :meter_id, date_trunc('minute', time, 'UTC'), model, key_id,
           count(*), sum(value), min(value), max(value), 0, count(*) filter (where cost is null)
    from (
      select event.organization_id, event.time, event.model, event.key_id, event.cost, {value} as value
      from usage_event event
      where (cast(:organization_id as text) is null or event.organization_id = :organization_id)
        and event.type = :event_type
    ) as event
    where {counts}
    group by 1, 3, 4, 5
"""


async def record(uow: UnitOfWork, events: Sequence[UsageEventIn]) -> Recorded:
    """Store events of many organisations and count the new ones. Needs work that crosses tenants.

    For our own senders: a settlement may come late, so no time window holds, and what a meter cannot take
    adds nothing to it: a meter of a tenant's must not decide whether usage is booked. Safe to repeat for ever.
    Raises Invalid naming the event, and TooLarge; then nothing of the batch is written.
    """
    if not events:
        return Recorded(())
    _check_size(events, rules.RECORD_EVENTS_MAX)
    checked = [
        rules.check_event(event, event.organization_id, f"events[{n}]") for n, event in enumerate(events)
    ]
    return await _store(uow, checked, rules.added_if_fit)


async def ingest(uow: UnitOfWork, events: Sequence[UsageEventIn]) -> Recorded:
    """Store events of this unit of work's organisation and count the new ones, once for ever.

    Raises Invalid with the field at fault (e.g. "events[3].time"), and TooLarge; then nothing of the batch is
    written. A duplicate is no error, nor is a conflict: the outcome of each event says what became of it.
    """
    uow.actor.require(Capability.USAGE_WRITE)
    if not events:
        raise Invalid("There is no usage event here.", field="events")
    _check_size(events, rules.INGEST_EVENTS_MAX)
    checked: list[rules.CheckedEvent] = []
    for n, event in enumerate(events):
        at = f"events[{n}]"
        if event.organization_id not in ("", uow.organization_id):
            raise Invalid(
                "An event belongs to the organisation that sends it.", field=f"{at}.organization_id"
            )
        let_in = rules.check_event(event, uow.organization_id, at)
        rules.check_sent(let_in, now=uow.now)
        checked.append(let_in)
    return await _store(uow, checked, rules.added_by)


def _check_size(events: Sequence[UsageEventIn], most: int) -> None:
    if len(events) > most:
        raise TooLarge(
            f"A batch holds at most {most:,} usage events, and this one has {len(events):,}.",
            code="batch_too_large",
            next_step="Send it in several batches.",
            events_max=most,
        )


async def _store(uow: UnitOfWork, checked: list[rules.CheckedEvent], adds: rules.Adds) -> Recorded:
    recorded = await recording.store(uow, checked, adds)
    touched = {
        outcome.organization_id
        for outcome in recorded.outcomes
        if outcome.status is recording.Status.ACCEPTED
    }
    uow.after_commit(lambda: _announce(recorded, touched))
    return recorded


def _announce(recorded: Recorded, touched: set[str]) -> None:
    for status, count in (
        ("accepted", recorded.accepted),
        ("duplicate", recorded.duplicates),
        ("conflict", recorded.conflicts),
    ):
        metrics.USAGE_INGESTED.labels(status).inc(count)
    for organization_id in touched:
        database().wakeups.poke(USAGE_CHANGED, organization_id)


async def create_meter(
    uow: UnitOfWork,
    *,
    slug: str,
    name: str,
    event_type: str,
    aggregation: Aggregation,
    value_property: str | None = None,
    unit: str = "",
) -> Meter:
    """Count events of `event_type` from the first one ever sent on.

    Until commit no event of the type is stored for the organisation: some seconds, over a million stored
    ones. Raises Invalid, or Conflict when the slug is taken, also by a meter of the platform.
    """
    uow.actor.require(Capability.METERS_WRITE)
    _check(slug, name, event_type, aggregation, value_property, unit)
    await _check_room(uow, slug)
    await locks.hold_meters(uow, uow.organization_id, event_type)
    meter = Meter(
        id=new_id("mtr"),
        organization_id=uow.organization_id,
        slug=slug,
        name=name,
        event_type=event_type,
        aggregation=aggregation,
        value_property=value_property,
        unit=unit,
        created_at=uow.wall_now,
    )
    uow.add(meter)
    uow.record(
        MeterCreated(
            aggregate_id=meter.id,
            organization_id=uow.organization_id,
            slug=slug,
            event_type=event_type,
            aggregation=aggregation,
            value_property=value_property,
        )
    )
    await _count_stored(uow, meter)
    return meter


async def ensure_platform_meters(uow: UnitOfWork) -> None:
    """Make the platform's own meters where they are missing. Needs work that crosses tenants."""
    if not await _missing_platform_meters(uow):
        return
    await locks.hold_platform_meters(uow)
    for platform in await _missing_platform_meters(uow):  # again: another process may have been first
        meter = Meter(
            id=new_id("mtr"),
            slug=platform.slug,
            name=platform.name,
            event_type=rules.GATEWAY_TYPE,
            aggregation=platform.aggregation,
            value_property=platform.value_property,
            unit=platform.unit,
            created_at=uow.wall_now,
        )
        uow.add(meter)
        await _count_stored(uow, meter)


async def _missing_platform_meters(uow: UnitOfWork) -> list[PlatformMeter]:
    found = await uow.execute("select slug from meter where organization_id is null")
    there = {row.slug for row in found}
    return [platform for platform in PLATFORM_METERS if platform.slug not in there]


async def _count_stored(uow: UnitOfWork, meter: Meter) -> None:
    aggregation = Aggregation(meter.aggregation)
    if aggregation not in rules.SUMMED:
        return  # worked out from the raw events when asked for
    statement = _COUNT_STORED.format(value=stored.value_of(aggregation), counts=stored.counts(aggregation))
    parameters = {
        "meter_id": meter.id,
        "organization_id": meter.organization_id,
        "event_type": meter.event_type,
    }
    if meter.value_property is not None:
        parameters["property"] = meter.value_property
    await uow.execute(sa.text(statement), parameters)


async def _check_room(uow: UnitOfWork, slug: str) -> None:
    # One at a time, or two would both find the slug free.
    await uow.execute("select from organization where id = :id for no key update", id=uow.organization_id)
    found = await uow.execute(
        "select organization_id, slug from meter where coalesce(organization_id, '') = any(:owners)",
        owners=["", uow.organization_id],
    )
    rows = found.all()
    if any(row.slug == slug for row in rows):
        raise Conflict(
            f"There is a meter {slug!r} already.", code="meter_exists", next_step="Choose another slug."
        )
    own = sum(row.organization_id is not None for row in rows)
    if own >= METERS_MAX:
        raise Conflict(f"An organisation has at most {METERS_MAX} meters.", code="too_many_meters")


def _check(
    slug: str, name: str, event_type: str, aggregation: Aggregation, value_property: str | None, unit: str
) -> None:
    if not _SLUG.fullmatch(slug):
        raise Invalid(
            f"{slug!r:.80} is no slug: lower-case letters, digits and underscores, a letter first.",
            field="slug",
        )
    rules.check_text(name, "", "name")
    rules.check_text(event_type, "", "event_type")
    if unit:
        rules.check_text(unit, "", "unit")
    if value_property is not None:
        rules.check_text(value_property, "", "value_property")
    if (aggregation is Aggregation.COUNT) is (value_property is not None):
        raise Invalid(
            "A meter that counts events has no value property; every other one needs it.",
            field="value_property",
        )
