"""Usage events in, and the meters that count them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import islice
from typing import Any, Literal

from fastapi import Request, Response
from pydantic import Field

from matrix_app.api import strict_json
from matrix_app.api.deps import Member
from matrix_app.api.v1.figures import MeterShown
from matrix_app.api.v1.repeat import RepeatOnce
from matrix_app.api.v1.shape import Body, Exact, Shown, resource
from models.types import Aggregation
from services.core.errors import Invalid, Malformed, MatrixError, TooLarge
from services.core.permissions import Capability
from services.core.work import UnitOfWork, unit_of_work
from services.metering import cloud_events, service
from services.metering.cloud_events import read_cloud_event
from services.metering.rules import INGEST_EVENTS_MAX, UsageEventIn, read_event

router = resource("usage")

_JSON = "application/json"
_CLOUD_EVENT, _CLOUD_EVENTS = "application/cloudevents+json", "application/cloudevents-batch+json"
_LINES = ("application/x-ndjson", "application/ndjson", "application/jsonl")
# A line with something on it, from its first character that is seen.
_LINE = re.compile(rb"\S[^\n]*")


class OutcomeShown(Shown):
    """What became of one event. Sending it again is safe: it is counted once for ever."""

    source: str
    event_id: str
    status: Literal["accepted", "duplicate", "conflict"]
    cost: Exact | None = Field(description="Exact; null when unpriced or not for this key to see")
    currency: str


class RecordedShown(Shown):
    """Outcomes in the order sent. A conflict says other things than the event already there, which stays."""

    accepted: int
    duplicates: int
    conflicts: int
    events: list[OutcomeShown]


class UnsupportedUsage(MatrixError):
    status = 415
    code = "unsupported_media_type"
    title = "This content type is not understood"


_EVENT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["source", "event_id", "type", "time"],
    "additionalProperties": False,
    "properties": {
        "source": {"type": "string", "minLength": 1, "maxLength": 200},
        "event_id": {
            "type": "string",
            "minLength": 1,
            "maxLength": 200,
            "description": "With source, names the event for ever: a second one is not counted",
        },
        "type": {"type": "string", "minLength": 1, "maxLength": 200},
        "time": {"type": "string", "format": "date-time"},
        "properties": {"type": "object", "description": "What meters read; at most 4 kB"},
        "model": {"type": "string", "maxLength": 200},
        "key_id": {"type": "string", "maxLength": 200},
    },
}
_CLOUD_EVENT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["specversion", "id", "source", "type", "time"],
    "description": "A CloudEvent. `id` is the event id; attributes not named here are not kept",
    "properties": {
        "specversion": {"const": cloud_events.VERSION},
        "id": {"type": "string", "minLength": 1, "maxLength": 200},
        "source": {"type": "string", "minLength": 1, "maxLength": 200},
        "type": {"type": "string", "minLength": 1, "maxLength": 200},
        "time": {"type": "string", "format": "date-time"},
        "subject": {
            "type": "string",
            "minLength": 1,
            "maxLength": 200,
            "description": "Whom it is about: the property `subject`, unless `data` has one",
        },
        "data": {"type": "object", "description": "The properties, which meters read; at most 4 kB"},
        "datacontenttype": {"type": "string", "description": "JSON, if said at all"},
        "model": {"type": "string", "minLength": 1, "maxLength": 200},
        "keyid": {"type": "string", "minLength": 1, "maxLength": 200},
    },
}
_EVENTS_SCHEMA = {"type": "array", "items": _EVENT_SCHEMA, "minItems": 1, "maxItems": INGEST_EVENTS_MAX}
_REQUEST_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "oneOf": [
                    _EVENT_SCHEMA,
                    _EVENTS_SCHEMA,
                    {
                        "type": "object",
                        "required": ["events"],
                        "additionalProperties": False,
                        "properties": {"events": _EVENTS_SCHEMA},
                    },
                ]
            }
        },
        "application/x-ndjson": {"schema": {"type": "string", "description": "One event a line"}},
        _CLOUD_EVENT: {"schema": _CLOUD_EVENT_SCHEMA},
        _CLOUD_EVENTS: {
            "schema": {
                "type": "array",
                "items": _CLOUD_EVENT_SCHEMA,
                "minItems": 1,
                "maxItems": INGEST_EVENTS_MAX,
            }
        },
    },
}


@router.post("/usage/events", response_model=RecordedShown, openapi_extra={"requestBody": _REQUEST_BODY})
async def send_events(request: Request, who: Member, repeat: RepeatOnce) -> Response:
    """Send one event, an array of them, `{"events": [...]}`, one a line, or CloudEvents. All are stored or none."""
    who.actor.require(Capability.USAGE_WRITE)
    events = _events_in(await request.body(), request.headers.get("content-type", ""))
    shows_cost = who.actor.may(Capability.COST_READ)

    async def ingest(uow: UnitOfWork) -> RecordedShown:
        recorded = await service.ingest(uow, events)
        return RecordedShown(
            accepted=recorded.accepted,
            duplicates=recorded.duplicates,
            conflicts=recorded.conflicts,
            events=[
                OutcomeShown(
                    source=o.source,
                    event_id=o.event_id,
                    status=o.status.value,
                    cost=o.cost if shows_cost else None,
                    currency=o.currency,
                )
                for o in recorded.outcomes
            ],
        )

    work = unit_of_work(who.actor)
    return await repeat.once(work, ingest, owner=who.actor.organization_id or "", status=200)


def _events_in(body: bytes, content_type: str) -> list[UsageEventIn]:
    """Raises UnsupportedUsage, Malformed, TooLarge before more than a batch is looked at, or Invalid."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind in _LINES:
        return _in_lines(body)
    if kind not in (_JSON, _CLOUD_EVENT, _CLOUD_EVENTS):
        raise UnsupportedUsage(
            f"Usage cannot be read as {kind[:100] or 'nothing named'!r}.",
            next_step=f"Send 'Content-Type: {_JSON}', '{_LINES[0]}', '{_CLOUD_EVENT}' or '{_CLOUD_EVENTS}'.",
        )
    document = _parsed(body, "the body")
    if kind == _CLOUD_EVENT:
        return [read_cloud_event(document, "event")]
    if kind == _CLOUD_EVENTS:
        return _in_batch(document, read_cloud_event)
    if isinstance(document, dict) and document.keys() == {"events"}:
        return _in_batch(document["events"], read_event)
    if not isinstance(document, list):
        return [read_event(document, "event")]
    return _in_batch(document, read_event)


def _in_lines(body: bytes) -> list[UsageEventIn]:
    lines = list(islice(_LINE.finditer(body), INGEST_EVENTS_MAX + 1))
    _require_batch(len(lines))
    events: list[UsageEventIn] = []
    number, end = 1, 0
    for n, line in enumerate(lines):
        number += body.count(b"\n", end, line.start())
        end = line.start()
        events.append(read_event(_parsed(line[0], f"line {number}"), f"events[{n}]"))
    return events


def _in_batch(items: Any, read: Callable[[object, str], UsageEventIn]) -> list[UsageEventIn]:
    if not isinstance(items, list):
        raise Invalid("Several usage events are sent as a list.", field="events")
    _require_batch(len(items))
    return [read(item, f"events[{n}]") for n, item in enumerate(items)]


def _require_batch(size: int) -> None:
    if size > INGEST_EVENTS_MAX:
        raise TooLarge(
            f"A batch holds at most {INGEST_EVENTS_MAX:,} usage events, and this one holds more.",
            next_step="Send it in several batches.",
            code="batch_too_large",
            events_max=INGEST_EVENTS_MAX,
        )


def _parsed(text: bytes, what: str) -> Any:
    try:
        return strict_json.loads(text)
    except json.JSONDecodeError as error:
        raise Malformed(
            f"{what.capitalize()} is not valid JSON: {error.msg}.", next_step=strict_json.NEXT_STEP
        ) from error


class NewMeter(Body):
    slug: str = Field(examples=["pages"])
    name: str = Field(examples=["Pages rendered"])
    event_type: str
    aggregation: Aggregation
    value_property: str | None = Field(None, description="Name among an event's properties; none for count")
    unit: str = ""


@router.post("/meters", status_code=201, response_model=MeterShown)
async def create_meter(who: Member, body: NewMeter, repeat: RepeatOnce) -> Response:
    """Have events of one type counted, from the first one ever sent on."""

    async def create(uow: UnitOfWork) -> MeterShown:
        return MeterShown.model_validate(
            {**(await service.create_meter(uow, **body.model_dump())).model_dump(), "platform": False}
        )

    return await repeat.once(unit_of_work(who.actor), create, owner=who.actor.organization_id or "")
