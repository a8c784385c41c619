"""A CloudEvent is a usage event in other words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from services.core.errors import Invalid
from services.metering.cloud_events import read_cloud_event
from services.metering.rules import UsageEventIn

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


def cloud_event(**changes: Any) -> dict[str, Any]:
    whole = {
        "specversion": "1.0",
        "id": "1",
        "source": "/shop",
        "type": "page.rendered",
        "time": "2026-07-01T14:00:00+02:00",
        "data": {"pages": 3},
    }
    return {name: value for name, value in {**whole, **changes}.items() if value is not ...}


READ: list[tuple[str, dict[str, Any], UsageEventIn]] = [
    ("as it is", {}, UsageEventIn("/shop", "1", "page.rendered", NOW, {"pages": 3})),
    ("without data", {"data": ...}, UsageEventIn("/shop", "1", "page.rendered", NOW, {})),
    ("data that is null", {"data": None}, UsageEventIn("/shop", "1", "page.rendered", NOW, {})),
    (
        "a subject",
        {"subject": "customer-1"},
        UsageEventIn("/shop", "1", "page.rendered", NOW, {"pages": 3, "subject": "customer-1"}),
    ),
    (
        "a subject that the data knows better",
        {"subject": "customer-1", "data": {"subject": "ana"}},
        UsageEventIn("/shop", "1", "page.rendered", NOW, {"subject": "ana"}),
    ),
    (
        "what to group by",
        {"model": "small", "keyid": "apikey_1"},
        UsageEventIn("/shop", "1", "page.rendered", NOW, {"pages": 3}, "small", "apikey_1"),
    ),
    (
        "attributes of others",
        {
            "traceparent": "00-1",
            "dataschema": "https://example.com/page",
            "datacontenttype": "application/json",
        },
        UsageEventIn("/shop", "1", "page.rendered", NOW, {"pages": 3}),
    ),
    (
        "a kind of JSON",
        {"datacontenttype": "Application/vnd.shop+JSON; charset=utf-8"},
        UsageEventIn("/shop", "1", "page.rendered", NOW, {"pages": 3}),
    ),
]


@pytest.mark.parametrize(("changes", "event"), [row[1:] for row in READ], ids=[row[0] for row in READ])
def test_a_cloud_event_is_read(changes: dict[str, Any], event: UsageEventIn) -> None:
    assert read_cloud_event(cloud_event(**changes), "events[0]") == event


REFUSED: list[tuple[str, Any, str]] = [
    ("a list", [], ""),
    ("null", None, ""),
    ("no version", cloud_event(specversion=...), ".specversion"),
    ("another version", cloud_event(specversion="0.3"), ".specversion"),
    ("no id", cloud_event(id=...), ".id"),
    ("an empty id", cloud_event(id=""), ".id"),
    ("a number as id", cloud_event(id=7), ".id"),
    ("no source", cloud_event(source=...), ".source"),
    ("no type", cloud_event(type=...), ".type"),
    # Without one, sending again would say something else: the time of receipt is another each time.
    ("no time", cloud_event(time=...), ".time"),
    ("no such time", cloud_event(time="noon"), ".time"),
    ("data in base 64", cloud_event(data=..., data_base64="AAA="), ".data_base64"),
    ("data that is no JSON", cloud_event(datacontenttype="text/xml", data="<a/>"), ".datacontenttype"),
    ("data that is no object", cloud_event(data=[1]), ".data"),
    ("an empty subject", cloud_event(subject=""), ".subject"),
    ("a long subject", cloud_event(subject="s" * 201), ".subject"),
    ("a model that is no text", cloud_event(model=7), ".model"),
]


@pytest.mark.parametrize(("item", "field"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_is_no_cloud_event_is_refused_by_name(item: Any, field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        read_cloud_event(item, "events[3]")

    assert refusal.value.field == f"events[3]{field}"
