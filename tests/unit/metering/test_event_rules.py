"""What a usage event may be, and what it adds to a meter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.types import Aggregation
from services.core.errors import Invalid
from services.metering import rules
from services.metering.rules import MeterRule, UsageEventIn

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
METER = MeterRule("mtr_1", "org_1", "seconds", "job", Aggregation.SUM, "seconds")


def let_in(**given: Any) -> Decimal | None:
    """What an event adds to METER when it may pass the API's door."""
    terms: dict[str, Any] = {"source": "app", "event_id": "1", "type": "job", "time": NOW}
    event = UsageEventIn(**{**terms, "properties": {"seconds": 1}, **given})
    checked = rules.check_event(event, "org_1", "events[3]")
    rules.check_sent(checked, now=NOW)
    return rules.added_by(METER, event.properties, checked.at)


def nested(depth: int) -> dict[str, Any]:
    return {"a": nested(depth - 1)} if depth > 1 else {"seconds": 1}


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("no source", {"source": ""}, "source"),
    ("a NUL byte in the id", {"event_id": "a\0b"}, "event_id"),
    ("a line break in the type", {"type": "a\nb"}, "type"),
    ("half an emoji in the model", {"model": "\ud83d"}, "model"),
    ("a long key", {"key_id": "k" * 201}, "key_id"),
    ("an id that is no text", {"event_id": 7}, "event_id"),
    ("our own source", {"source": "gateway"}, "source"),
    ("our own type", {"type": "ai.request"}, "type"),
    ("1970", {"time": datetime(1970, 1, 1, tzinfo=UTC)}, "time"),
    ("2100", {"time": datetime(2100, 1, 1, tzinfo=UTC)}, "time"),
    ("401 days ago", {"time": NOW - timedelta(days=400, microseconds=1)}, "time"),
    ("11 minutes ahead", {"time": NOW + timedelta(minutes=10, microseconds=1)}, "time"),
    ("no offset", {"time": NOW.replace(tzinfo=None)}, "time"),
    ("no time", {"time": "2026-07-01"}, "time"),
    ("the end of the calendar", {"time": datetime.max.replace(tzinfo=timezone(-timedelta(hours=1)))}, "time"),
    ("a negative quantity", {"properties": {"seconds": -1}}, "properties.seconds"),
    ("a negative quantity in text", {"properties": {"seconds": "-1"}}, "properties.seconds"),
    ("NaN", {"properties": {"seconds": float("nan")}}, "properties.seconds"),
    ("infinity", {"properties": {"seconds": float("inf")}}, "properties.seconds"),
    ("NaN where no meter looks", {"properties": {"other": float("nan")}}, "properties.other"),
    ("NaN deeper down", {"properties": {"a": [float("nan")]}}, "properties.a.0"),
    ("a word for a number", {"properties": {"seconds": "many"}}, "properties.seconds"),
    ("a number with a line break", {"properties": {"seconds": "1\n"}}, "properties.seconds"),
    ("true for a number", {"properties": {"seconds": True}}, "properties.seconds"),
    ("a list for a number", {"properties": {"seconds": [1]}}, "properties.seconds"),
    ("too much", {"properties": {"seconds": 10**18 + 1}}, "properties.seconds"),
    ("a huge whole number", {"properties": {"other": 2**64}}, "properties.other"),
    ("a NUL byte in a property", {"properties": {"a": "x\0y"}}, "properties.a"),
    ("a NUL byte in a property's name", {"properties": {"x\0y": 1}}, "properties"),
    ("half an emoji in a property", {"properties": {"a": "\ud83d"}}, "properties.a"),
    ("a name that is no text", {"properties": {1: 1}}, "properties"),
    ("no JSON", {"properties": {"a": {1, 2}}}, "properties.a"),
    ("no object", {"properties": [1]}, "properties"),
    ("4 kB and more", {"properties": {"a": "x" * 4_090}}, "properties"),
    ("nested four deep", {"properties": nested(4)}, "properties.a.a.a"),
    ("nested without end", {"properties": nested(900)}, "properties.a.a.a"),
]


@pytest.mark.parametrize(("fault", "field"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_cannot_be_counted_is_refused_by_name(fault: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        let_in(**fault)

    assert refusal.value.field == f"events[3].{field}"


LET_IN: list[tuple[str, dict[str, Any], str | None]] = [
    ("400 days ago", {"time": NOW - timedelta(days=400)}, "1"),
    ("ten minutes ahead", {"time": NOW + timedelta(minutes=10)}, "1"),
    ("another offset", {"time": datetime(2026, 7, 1, 17, 30, tzinfo=timezone(timedelta(hours=5.5)))}, "1"),
    ("an exact text", {"properties": {"seconds": "0.000000000001"}}, "0.000000000001"),
    ("thirteen places are rounded once", {"properties": {"seconds": 0.0000000000005}}, "0.000000000001"),
    ("nothing to count", {"properties": {}}, None),
    ("null to count", {"properties": {"seconds": None}}, None),
    ("the most", {"properties": {"seconds": 10**18}}, "1e18"),
    ("nested three deep", {"properties": {**nested(3), "seconds": 2}}, "2"),
    ("the written form of NUL", {"properties": {"seconds": 3, "a": "\\u0000"}}, "3"),
    ("an emoji", {"model": "🚀", "properties": {"seconds": 4, "🚀": "🚀"}}, "4"),
]


@pytest.mark.parametrize(("within", "adds"), [row[1:] for row in LET_IN], ids=[row[0] for row in LET_IN])
def test_what_is_just_within_bounds_is_counted_exactly(within: dict[str, Any], adds: str | None) -> None:
    assert let_in(**within) == (None if adds is None else Decimal(adds))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(properties=st.dictionaries(st.text(max_size=6), json_values, max_size=5))
def test_properties_that_pass_come_back_as_they_were(properties: dict[str, Any]) -> None:
    """Whatever slips through the door must be JSON that means the same when it is read again."""
    event = UsageEventIn("app", "1", "job", NOW, properties)
    try:
        checked = rules.check_event(event, "org_1", "event")
    except Invalid:
        return
    assert orjson.loads(checked.properties) == properties
    assert "\0" not in str(properties)


@given(st.dictionaries(st.text(st.characters(categories=["L"]), max_size=4), st.integers(0, 9), max_size=4))
def test_the_order_of_properties_changes_no_content(properties: dict[str, int]) -> None:
    turned = dict(reversed(properties.items()))
    one, other = (
        rules.check_event(UsageEventIn("app", "1", "job", NOW, given), "org_1", "event")
        for given in (properties, turned)
    )
    assert one.content_hash == other.content_hash


@pytest.mark.parametrize(
    "change",
    [
        {"type": "job2"},
        {"time": NOW + timedelta(microseconds=1)},
        {"model": "m"},
        {"key_id": "m"},
        {"properties": {"seconds": 2}},
        {"properties": {"seconds": "1"}},
        {"properties": {}},
    ],
    ids=str,
)
def test_any_other_content_has_another_hash(change: dict[str, Any]) -> None:
    said: dict[str, Any] = {"source": "app", "event_id": "1", "type": "job", "time": NOW}
    said |= {"properties": {"seconds": 1}}
    one, other = (
        rules.check_event(UsageEventIn(**given), "org_1", "event") for given in (said, {**said, **change})
    )
    assert one.content_hash != other.content_hash


VALUES: list[tuple[Aggregation, Any, Any]] = [
    (Aggregation.COUNT, "anything", 1),
    (Aggregation.COUNT, None, 1),
    (Aggregation.UNIQUE, "anna", 1),
    (Aggregation.UNIQUE, -4, 1),
    (Aggregation.UNIQUE, None, None),
    (Aggregation.UNIQUE, ["anna"], Invalid),
    (Aggregation.MAX, 7, 7),
    (Aggregation.MAX, -7, Invalid),
    (Aggregation.LATEST, "7.5", Decimal("7.5")),
    (Aggregation.AVERAGE, 1e-300, 0),
    (Aggregation.WEIGHTED_SUM, "7,5", Invalid),
]


@pytest.mark.parametrize(("aggregation", "value", "adds"), VALUES)
def test_what_a_value_adds_depends_on_the_aggregation(
    aggregation: Aggregation, value: Any, adds: Any
) -> None:
    meter = MeterRule("mtr_1", None, "m", "job", aggregation, "value")
    if adds is Invalid:
        with pytest.raises(Invalid):
            rules.added_by(meter, {"value": value}, "event")
        assert rules.added_if_fit(meter, {"value": value}, "event") is None
    else:
        assert rules.added_by(meter, {"value": value}, "event") == adds
        assert rules.added_if_fit(meter, {"value": value}, "event") == adds


READ: list[tuple[str, object, str | None]] = [
    ("whole", {"source": "a", "event_id": "1", "type": "t", "time": "2026-07-01T12:00:00Z"}, None),
    ("an offset", {"source": "a", "event_id": "1", "type": "t", "time": "2026-07-01T14:00:00+02:00"}, None),
    ("a list", [1], ""),
    ("null", None, ""),
    ("no time", {"source": "a", "event_id": "1", "type": "t"}, ".time"),
    ("a number as time", {"source": "a", "event_id": "1", "type": "t", "time": 1_782_907_200}, ".time"),
    ("no date", {"source": "a", "event_id": "1", "type": "t", "time": "yesterday"}, ".time"),
    (
        "a field too many",
        {"source": "a", "event_id": "1", "type": "t", "time": "2026-07-01T12:00:00Z", "organization_id": "x"},
        ".organization_id",
    ),
]


@pytest.mark.parametrize(("item", "field"), [row[1:] for row in READ], ids=[row[0] for row in READ])
def test_events_are_read_from_json(item: object, field: str | None) -> None:
    if field is None:
        assert rules.read_event(item, "events[0]").time == NOW
        return
    with pytest.raises(Invalid) as refusal:
        rules.read_event(item, "events[0]")
    assert refusal.value.field == f"events[0]{field}"


@pytest.mark.parametrize(("status", "failed"), [(200, None), (399, None), (400, 1), (502, 1)])
def test_failed_calls_are_counted_by_a_property_of_their_own(status: int, failed: int | None) -> None:
    event = rules.gateway_event(
        organization_id="org_1",
        request_id="req_1",
        time=NOW,
        model="small",
        key_id="",
        prompt_tokens=1,
        completion_tokens=2,
        endpoint="chat",
        status=status,
    )
    assert event.properties.get("failed") == failed
