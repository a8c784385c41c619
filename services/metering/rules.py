"""What a usage event may be and what it adds to a meter: pure, no I/O."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from typing import Any, cast

import orjson

from models.money import EXACT, exact
from models.types import Aggregation
from services.core.errors import Invalid

INGEST_EVENTS_MAX = 1_000  # of one API call; larger batches are refused, not cut
RECORD_EVENTS_MAX = 5_000  # of one settlement
PROPERTIES_BYTES_MAX = 4_096
PROPERTIES_DEPTH_MAX = 3  # containers within containers, the properties themselves counted
TEXT_CHARACTERS_MAX = 200
EVENT_AGE_MAX = timedelta(days=400)
EVENT_AHEAD_MAX = timedelta(minutes=10)  # clocks of senders differ
QUANTITY_MAX = Decimal(10) ** 18
INTEGER_MIN, INTEGER_MAX = -(2**63), 2**64 - 1  # what orjson writes

GATEWAY_SOURCE = "gateway"
GATEWAY_TYPE = "ai.request"
RESERVED_TYPE_PREFIX = "ai."

# A number in text, for quantities that a JSON number cannot carry exactly. SQL in queries.py and meters.py
# reads stored properties by the same pattern.
DECIMAL_TEXT = r"^[0-9]{1,19}(\.[0-9]{1,12})?$"
_DECIMAL_TEXT = re.compile(DECIMAL_TEXT, re.ASCII)

# Sums of deltas equal sums of events only for these. The others are worked out from the raw events.
SUMMED = frozenset({Aggregation.COUNT, Aggregation.SUM, Aggregation.MAX, Aggregation.AVERAGE})
NUMERIC = frozenset(Aggregation) - {Aggregation.COUNT, Aggregation.UNIQUE}

_REQUIRED = frozenset({"source", "event_id", "type", "time"})
_FIELDS = _REQUIRED | {"properties", "model", "key_id"}
_NOTHING, _ONE = Decimal(0), Decimal(1)
_HUNG_UP = 499  # the status of a call whose caller left in the middle
_MINUTE_CHARACTERS = len("2026-03-01T12:00")
_CANONICAL = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
plus = EXACT.add  # of quantities and costs: never rounds, however long a sum gets


@dataclass(frozen=True, slots=True)
class UsageEventIn:
    """One fact as its sender states it. `time` is aware; (organisation, source, event_id) names it for ever.
    `paid_ahead` is ours to say: a wallet pays what it costs, if it has a price."""

    source: str
    event_id: str
    type: str
    time: datetime
    properties: Mapping[str, Any] = field(default_factory=dict[str, Any])
    model: str = ""
    key_id: str = ""
    organization_id: str = ""
    paid_ahead: bool = False


@dataclass(frozen=True, slots=True)
class MeterRule:
    """The part of a meter that decides what an event adds to it. No organisation: the platform's own."""

    id: str
    organization_id: str | None
    slug: str
    event_type: str
    aggregation: Aggregation
    value_property: str | None

    @property
    def sums(self) -> bool:
        return self.aggregation in SUMMED


EventKey = tuple[str, str, str]  # organisation, source, event id

# What an event's properties add to a meter; the text names the event in refusals.
Adds = Callable[[MeterRule, Mapping[str, Any], str], Decimal | None]


@dataclass(slots=True)
class CheckedEvent:
    """An event that was let in: its time in UTC, its properties as canonical JSON, the hash of what it says.
    `minute` is the UTC minute it falls in, as ISO 8601 writes it; `at` names the event in refusals."""

    at: str
    event: UsageEventIn
    organization_id: str
    key: EventKey
    time: datetime
    minute: str
    properties: bytes
    content_hash: bytes


def gateway_event(
    *,
    organization_id: str,
    request_id: str,
    time: datetime,
    model: str,
    key_id: str,
    prompt_tokens: int,
    completion_tokens: int,
    endpoint: str,
    status: int,
    paid_ahead: bool = False,
) -> UsageEventIn:
    """The one usage event of one gateway call. A failed call is counted by a property of its own, so that
    error rates come from sums and never from reading requests."""
    properties: dict[str, Any] = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "endpoint": endpoint,
        "status": status,
    }
    if status >= 400:
        properties["failed"] = 1
    return UsageEventIn(
        GATEWAY_SOURCE,
        request_id,
        GATEWAY_TYPE,
        time,
        properties,
        model,
        key_id,
        organization_id,
        paid_ahead,
    )


def charged(values: Mapping[str, Decimal], properties: Mapping[str, Any]) -> Mapping[str, Decimal]:
    """What is rated of what a gateway call adds to the platform's meters (`values`, by slug).

    A call that was refused or failed counts as a request and is not charged as one; nor is one whose caller
    hung up before any token. Tokens are charged whatever became of their call.
    """
    status = properties.get("status", 0)
    tokens = values.get("prompt_tokens", _NOTHING) + values.get("completion_tokens", _NOTHING)
    if status < 400 or (status == _HUNG_UP and tokens):
        return values
    return {meter: quantity for meter, quantity in values.items() if meter != "requests"}


def read_event(item: object, at: str) -> UsageEventIn:
    """An event from decoded JSON. `at` names it in refusals, e.g. "events[3]". Raises Invalid."""
    if not isinstance(item, dict):
        raise Invalid("A usage event is a JSON object.", field=at)
    given = cast("dict[str, Any]", item)
    if missing := _REQUIRED - given.keys():
        name = min(missing)
        raise Invalid(f"A usage event needs {name!r}.", field=f"{at}.{name}")
    if unknown := given.keys() - _FIELDS:
        name = min(unknown)
        raise Invalid(
            f"A usage event has no field {name!r}.",
            field=f"{at}.{name}",
            next_step="Put what you measure into 'properties'.",
        )
    return UsageEventIn(
        source=given["source"],
        event_id=given["event_id"],
        type=given["type"],
        time=read_time(given["time"], f"{at}.time"),
        properties=given.get("properties", {}),
        model=given.get("model", ""),
        key_id=given.get("key_id", ""),
    )


def read_time(value: object, at: str) -> datetime:
    """A time as RFC 3339 writes it, or near enough. Raises Invalid."""
    try:
        if isinstance(value, str):
            return datetime.fromisoformat(value)
    except ValueError:
        pass
    raise Invalid(
        f"{value!r:.60} is not a time.", field=at, next_step="Write it as 2026-03-01T12:00:00Z (RFC 3339)."
    )


def check_event(event: UsageEventIn, organization_id: str, at: str) -> CheckedEvent:
    """Refuse what can never be stored or summed exactly. Raises Invalid naming the field under `at`."""
    check_text(event.source, at, "source")
    check_text(event.event_id, at, "event_id")
    check_text(event.type, at, "type")
    if event.model != "":
        check_text(event.model, at, "model")
    if event.key_id != "":
        check_text(event.key_id, at, "key_id")
    time = _in_utc(event.time, at)
    written = time.isoformat()
    properties = _canonical(event.properties, at)
    said = f"{event.type}\0{written}\0{event.model}\0{event.key_id}\0".encode()
    return CheckedEvent(
        at,
        event,
        organization_id,
        (organization_id, event.source, event.event_id),
        time,
        written[:_MINUTE_CHARACTERS],
        properties,
        blake2b(said + properties, digest_size=16).digest(),
    )


def _in_utc(time: Any, at: str) -> datetime:
    if not isinstance(time, datetime) or time.tzinfo is None:
        raise Invalid(
            "A time needs its offset from UTC.",
            field=f"{at}.time",
            next_step="Write it as 2026-03-01T12:00:00Z (RFC 3339).",
        )
    if time.tzinfo is UTC:
        return time
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise Invalid(f"{time.isoformat()} is outside the calendar.", field=f"{at}.time") from None


def check_sent(checked: CheckedEvent, *, now: datetime) -> None:
    """What only senders outside must keep to: the time window, and names that belong to the platform."""
    event, time, at = checked.event, checked.time, checked.at
    if event.source == GATEWAY_SOURCE:
        raise Invalid("The source 'gateway' is the platform's own.", field=f"{at}.source")
    if event.type.startswith(RESERVED_TYPE_PREFIX):
        raise Invalid(
            f"Types starting with {RESERVED_TYPE_PREFIX!r} are the platform's own.", field=f"{at}.type"
        )
    if time < now - EVENT_AGE_MAX:
        raise Invalid(f"{time.isoformat()} is more than {EVENT_AGE_MAX.days} days ago.", field=f"{at}.time")
    if time > now + EVENT_AHEAD_MAX:
        raise Invalid(f"{time.isoformat()} is in the future.", field=f"{at}.time")


def check_text(text: Any, at: str, name: str) -> None:
    """Raises Invalid for what is no name: empty, too long, not text, or with characters nobody can see."""
    if isinstance(text, str) and 0 < len(text) <= TEXT_CHARACTERS_MAX and text.isprintable():
        return
    field = f"{at}.{name}" if at else name
    if not isinstance(text, str) or not text:
        raise Invalid("This must be text that is not empty.", field=field)
    if len(text) > TEXT_CHARACTERS_MAX:
        raise Invalid(f"This has {len(text)} characters; at most {TEXT_CHARACTERS_MAX} fit.", field=field)
    raise Invalid("This contains characters that cannot be printed.", field=field)


def _canonical(properties: Any, at: str) -> bytes:
    """Properties as JSON with sorted names. Looks closer only where the written form says it must."""
    if not isinstance(properties, dict):
        raise Invalid("Properties are a JSON object.", field=f"{at}.properties")
    try:
        written = orjson.dumps(properties, option=_CANONICAL)
    except orjson.JSONEncodeError as error:
        _check_json(properties, f"{at}.properties", depth=1)
        raise Invalid(f"The properties are no JSON: {error}.", field=f"{at}.properties") from error
    if len(written) > PROPERTIES_BYTES_MAX:
        raise Invalid(
            f"The properties take {len(written):,} bytes of JSON; at most {PROPERTIES_BYTES_MAX:,} fit.",
            field=f"{at}.properties",
        )
    nested = b"[" in written or written.count(b"{") > 1
    # orjson writes NaN and infinities as null, and NUL as an escape.
    if nested or b"null" in written or b"\\u0000" in written:
        _check_json(properties, f"{at}.properties", depth=1)
    return written


def _check_json(container: Any, at: str, *, depth: int) -> None:
    """Only what PostgreSQL's jsonb gives back unchanged: no NUL, no lone surrogate, no NaN, no huge integer."""
    if depth > PROPERTIES_DEPTH_MAX:
        raise Invalid(f"Properties nest at most {PROPERTIES_DEPTH_MAX} deep.", field=at)
    for name, value in _members(container, at):
        if isinstance(value, str):
            _check_json_text(value, f"{at}.{name}")
        elif isinstance(value, float):
            if not math.isfinite(value):
                raise Invalid(f"{value} is not a number that can be counted.", field=f"{at}.{name}")
        elif isinstance(value, int):
            if not INTEGER_MIN <= value <= INTEGER_MAX:
                raise Invalid("Whole numbers have at most 64 bits.", field=f"{at}.{name}")
        elif isinstance(value, (dict, list)):
            _check_json(value, f"{at}.{name}", depth=depth + 1)
        elif value is not None:
            raise Invalid(f"{type(value).__name__} is no JSON value.", field=f"{at}.{name}")


def _members(container: Any, at: str) -> Iterable[tuple[object, Any]]:
    if isinstance(container, list):
        return enumerate(cast("list[Any]", container))
    for key in container:
        _check_json_text(key, at)
    return container.items()


def _check_json_text(text: object, at: str) -> None:
    if not isinstance(text, str):
        raise Invalid("Names of properties are text.", field=at)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Invalid("This is not valid Unicode text.", field=at) from None
    if "\0" in text:
        raise Invalid("This contains a NUL byte, which cannot be stored.", field=at)


def added_by(meter: MeterRule, properties: Mapping[str, Any], at: str) -> Decimal | None:
    """What an event of the meter's type adds to it, or None when it lacks the property.

    Raises Invalid for a value that the meter cannot take: text that is no number, a negative one, NaN.
    """
    if meter.aggregation is Aggregation.COUNT:
        return _ONE
    value = properties.get(meter.value_property or "")
    if value is None:
        return None
    if type(value) is int and 0 <= value <= QUANTITY_MAX:
        return Decimal(value)
    where = f"{at}.properties.{meter.value_property}"
    if meter.aggregation is Aggregation.UNIQUE:
        if isinstance(value, (dict, list)):
            raise Invalid(f"The meter {meter.slug!r} counts different simple values.", field=where)
        return _ONE
    return _quantity(value, meter.slug, where)


def added_if_fit(meter: MeterRule, properties: Mapping[str, Any], at: str) -> Decimal | None:
    """As `added_by`, but a value that the meter cannot take adds nothing, as it does in stored.py.

    For events of our own: a meter that somebody made must never keep a call from being booked.
    """
    try:
        return added_by(meter, properties, at)
    except Invalid:
        return None


def _quantity(value: Any, meter: str, at: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise Invalid(f"The meter {meter!r} needs a number here.", field=at)
    if isinstance(value, str):
        if not _DECIMAL_TEXT.fullmatch(value):
            raise Invalid(
                f"The meter {meter!r} needs a number that is not negative, and {value!r:.40} is none.",
                field=at,
            )
        number = Decimal(value)
    else:
        number = Decimal(repr(value))
    if number < 0:
        raise Invalid(f"A quantity is not negative, and {value} is.", field=at)
    if number > QUANTITY_MAX:
        raise Invalid(f"A quantity is at most {QUANTITY_MAX:.0e}.", field=at)
    return exact(number)
