"""Usage over HTTP: sent in three forms, counted once, read back by time, model, key and property."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import orjson
import psycopg
import pytest

from models.gateway import AiModel, Upstream
from models.identity import Organization
from models.types import Role
from services.catalog.service import set_price
from services.core.actor import system
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.database import libpq_url
from services.core.ids import new_id
from services.core.work import unit_of_work
from services.gateway.calls import Call
from services.gateway.settlement import settle
from services.metering import queries
from services.metering.service import ensure_platform_meters
from tests.api.conftest import Api, problem

NOW = datetime.now(UTC).replace(microsecond=0)
PAGES = {"slug": "pages", "name": "Pages", "event_type": "page", "aggregation": "sum", "value_property": "n"}


def event(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "source": "shop",
        "event_id": f"e{number}",
        "type": "page",
        "time": (NOW - timedelta(minutes=number)).isoformat(),
        "properties": {"n": number, "region": "eu" if number % 2 else "us"},
        **changes,
    }


@pytest.fixture(autouse=True)
async def platform_meters(api: Api) -> None:
    async with crossing(Reason.CATALOG) as uow:
        await ensure_platform_meters(uow)


async def test_three_forms_of_sending_mean_the_same(api: Api, acme: Organization) -> None:
    client = await api.key_client(acme, "usage:write")
    events = [event(n) for n in range(1, 4)]
    forms: list[dict[str, Any]] = [
        {"json": events},
        {"json": {"events": events}},
        {
            "content": b"\n".join(map(orjson.dumps, events)) + b"\n\n",
            "headers": {"content-type": "application/x-ndjson; charset=utf-8"},
        },
    ]
    answers = [(await client.post("usage/events", **form)).json() for form in forms]
    assert [(a["accepted"], a["duplicates"]) for a in answers] == [(3, 0), (0, 3), (0, 3)]
    single = (await client.post("usage/events", json=event(4))).json()
    assert single["events"] == [
        {"source": "shop", "event_id": "e4", "status": "accepted", "cost": None, "currency": "USD"}
    ]
    other = (await client.post("usage/events", json=event(4, properties={"n": 99}))).json()
    assert (other["conflicts"], other["events"][0]["status"]) == (1, "conflict")


CLOUD_EVENT = {"content-type": "application/cloudevents+json; charset=utf-8"}
CLOUD_EVENTS = {"content-type": "application/cloudevents-batch+json"}


def cloud_event(number: int, **changes: Any) -> dict[str, Any]:
    """What `event` says, as a CloudEvent."""
    said = event(number)
    return {
        "specversion": "1.0",
        "id": said["event_id"],
        "source": said["source"],
        "type": said["type"],
        "time": said["time"],
        "data": said["properties"],
        **changes,
    }


async def test_cloud_events_say_the_same_in_other_words(api: Api, acme: Organization) -> None:
    client = await api.browser(acme)
    await client.post("meters", json=PAGES)
    own = (await client.post("usage/events", json=event(1))).json()

    one = (await client.post("usage/events", content=_json(cloud_event(1)), headers=CLOUD_EVENT)).json()
    batch = [cloud_event(n, subject=f"customer-{n % 2}") for n in (2, 3, 4)]
    many = (await client.post("usage/events", content=_json(batch), headers=CLOUD_EVENTS)).json()

    assert (own["accepted"], one["duplicates"], many["accepted"]) == (1, 1, 3)
    assert [(o["source"], o["event_id"]) for o in many["events"]] == [("shop", f"e{n}") for n in (2, 3, 4)]
    totals = await client.get("usage/totals", params={"meter": "pages", "property": "subject:customer-0"})
    assert totals.json()["data"][0]["quantity"] == "6"


async def test_cloud_events_are_refused_by_their_own_names(api: Api, acme: Organization) -> None:
    client = await api.key_client(acme, "usage:write")

    async def refused(body: Any, headers: dict[str, str], status: int, code: str) -> str:
        answer = await client.post("usage/events", content=_json(body), headers=headers)
        document = problem(answer, status, code)
        return document["errors"][0]["pointer"] if document.get("errors") else ""

    assert await refused(event(1), CLOUD_EVENT, 422, "invalid_input") == "#/event/specversion"
    assert await refused([cloud_event(1), {}], CLOUD_EVENTS, 422, "invalid_input") == "#/events/1/specversion"
    await refused([cloud_event(1)], CLOUD_EVENT, 422, "invalid_input")  # a single one is no list
    await refused(cloud_event(1), CLOUD_EVENTS, 422, "invalid_input")
    await refused([], CLOUD_EVENTS, 422, "invalid_input")
    await refused(cloud_event(1, type="ai.request"), CLOUD_EVENT, 422, "invalid_input")
    await refused(cloud_event(1), {"content-type": "application/json"}, 422, "invalid_input")
    await refused([cloud_event(n) for n in range(1_001)], CLOUD_EVENTS, 413, "batch_too_large")


def _json(document: Any) -> bytes:
    return orjson.dumps(document)


LINES = {"content-type": "application/x-ndjson"}


async def test_blank_lines_between_events_are_no_events(api: Api, acme: Organization) -> None:
    client = await api.key_client(acme, "usage:write")
    events = [orjson.dumps(event(n, event_id=f"e{n}", time=NOW.isoformat())) for n in range(1_001)]

    spaced = await client.post("usage/events", content=b"\n\r\n \n".join(events[:1_000]), headers=LINES)
    one_more = await client.post("usage/events", content=b"\n\n\n".join(events), headers=LINES)
    nothing = await client.post("usage/events", content=b"\n" * 5_000, headers=LINES)

    assert spaced.json()["accepted"] == 1_000
    problem(one_more, 413, "batch_too_large")
    problem(nothing, 422, "invalid_input")


async def test_a_malformed_line_is_named_by_its_number_in_the_body(api: Api, acme: Organization) -> None:
    client = await api.key_client(acme, "usage:write")
    good = orjson.dumps(event(1))

    answer = await client.post(
        "usage/events", content=good + b"\n" * 2_500 + b'{"source": \n' + good, headers=LINES
    )

    assert problem(answer, 400, "malformed_request")["detail"].startswith("Line 2501 is not valid JSON")


async def test_a_thousand_events_fit_and_one_more_does_not(api: Api, acme: Organization) -> None:
    client = await api.key_client(acme, "usage:write")
    thousand = [event(n, event_id=f"e{n}", time=NOW.isoformat()) for n in range(1_001)]
    problem(await client.post("usage/events", json=thousand), 413, "batch_too_large")
    assert (await client.post("usage/events", json=thousand[:1_000])).json()["accepted"] == 1_000


async def test_usage_is_read_back_in_every_way(api: Api, acme: Organization) -> None:
    client = await api.browser(acme)
    assert (await client.post("meters", json=PAGES)).status_code == 201
    problem(await client.post("meters", json=PAGES), 409, "meter_exists")
    sent = [event(n, model="m1" if n < 3 else "m2", key_id="k1") for n in range(1, 5)]
    assert (await client.post("usage/events", json=sent)).json()["accepted"] == 4
    window = {"from": (NOW - timedelta(hours=2)).isoformat(), "to": (NOW + timedelta(minutes=5)).isoformat()}

    async def quantity(**query: str) -> dict[str, str]:
        answer = await client.get("usage/totals", params={"meter": "pages", **window, **query})
        return {total["group"]: total["quantity"] for total in answer.json()["data"]}

    assert await quantity() == {"": "10"}
    assert await quantity(model="m1") == {"": "3"}
    assert await quantity(key="nobody") == {"": "0"}
    assert await quantity(property="region:us") == {"": "6"}
    assert await quantity(group_by="model") == {"m1": "3", "m2": "7"}
    series = (await client.get("usage", params={"meter": "pages", "granularity": "hour", **window})).json()
    points = series["lines"][0]["points"]
    assert sum(Decimal(point["quantity"]) for point in points) == 10
    assert all(a["end"] == b["start"] for a, b in pairwise(points))
    assert [m["slug"] for m in (await client.get("meters")).json()["data"] if not m["platform"]] == ["pages"]


async def test_of_many_groups_those_with_most_are_told_apart_and_the_rest_is_one(
    api: Api, acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "GROUPS_MAX", 2)
    client = await api.browser(acme)
    await client.post("meters", json=PAGES)
    await client.post("usage/events", json=[event(n, model=f"m{n}") for n in range(1, 6)])
    query = {"meter": "pages", "group_by": "model"}

    totals = (await client.get("usage/totals", params=query)).json()["data"]
    lines = (await client.get("usage", params=query)).json()["lines"]

    assert [(total["group"], total["quantity"]) for total in totals] == [
        ("m4", "4"),
        ("m5", "5"),
        (None, "6"),
    ]
    assert [line["group"] for line in lines] == ["m4", "m5", None]
    whole = (await client.get("usage/totals", params={"meter": "pages"})).json()["data"]
    assert whole[0]["quantity"] == "15"


async def test_too_large_a_window_is_refused_with_a_way_out(
    api: Api, acme: Organization, owner_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "READ_S_MAX", 0.2)
    client = await api.browser(acme)
    async with await psycopg.AsyncConnection.connect(libpq_url(owner_url)) as owner:
        await owner.execute("lock table usage_event in access exclusive mode")
        for path in ("usage", "usage/totals"):
            answer = await client.get(path, params={"property": "region:eu"})
            assert problem(answer, 422, "window_too_large")["next_step"]


async def test_costs_are_hidden_from_those_who_may_not_see_them(api: Api, acme: Organization) -> None:
    await call(acme)
    for role, shown in ((Role.OWNER, True), (Role.VIEWER, False)):
        client = await api.browser(acme, role)
        requests = (await client.get("requests")).json()["data"]
        assert (requests[0]["cost"] is not None) is shown
        totals = (await client.get("usage/totals")).json()["data"]
        assert (totals[0]["cost"] is not None) is shown
        detail = (await client.get(f"requests/{requests[0]['id']}")).json()
        assert bool(detail["explanation"]) is shown


async def call(
    organization: Organization,
    *,
    since: datetime = NOW,
    minutes_ago: int = 1,
    status: int = 200,
    key_id: str = "k1",
) -> str:
    """One settled call of the gateway, priced at 2 and 4 a million tokens."""
    request_id = new_id("req")
    async with crossing(Reason.CATALOG) as uow:
        if not (await uow.execute("select from model")).all():
            upstream = Upstream(id=new_id("ups"), name="up", created_at=NOW)
            uow.add(upstream)
            await uow.session.flush()
            uow.add(
                AiModel(
                    id=new_id("model"),
                    slug="small",
                    name="Small",
                    upstream_id=upstream.id,
                    upstream_model="small",
                    endpoints=["chat"],
                    context_tokens=2_048,
                    created_at=NOW,
                )
            )
    clock = FixedClock(NOW - timedelta(days=2))
    async with crossing(Reason.DEMO, clock=clock) as uow:
        if not (await uow.execute("select from price")).all():
            for meter, amount in (("prompt_tokens", "2"), ("completion_tokens", "4")):
                await set_price(uow, model="small", meter=meter, currency="USD", unit_amount=Decimal(amount))
    async with crossing(Reason.GATEWAY_SETTLEMENT) as uow:
        await settle(
            uow, [settled(request_id, organization, since - timedelta(minutes=minutes_ago), status, key_id)]
        )
    return request_id


def settled(request_id: str, organization: Organization, at: datetime, status: int, key_id: str) -> Call:
    return Call(
        id=request_id,
        organization_id=organization.id,
        key_id=key_id,
        account_id="",
        address="",
        trace_id="",
        model="small",
        endpoint="chat",
        status=status,
        prompt_tokens=100,
        completion_tokens=10,
        started_at=at,
    )


async def test_a_request_explains_its_cost(api: Api, acme: Organization) -> None:
    request_id = await call(acme)
    detail = (await (await api.browser(acme)).get(f"requests/{request_id}")).json()
    assert detail["cost"] == "0.00024"
    assert sum(Decimal(line["amount"]) for line in detail["explanation"]) == Decimal(detail["cost"])
    assert {(line["meter"], line["quantity"], line["unit_amount"]) for line in detail["explanation"]} == {
        ("prompt_tokens", "100", "2"),
        ("completion_tokens", "10", "4"),
    }


async def test_requests_are_listed_filtered_and_paged(api: Api, acme: Organization) -> None:
    ids = [
        await call(acme, minutes_ago=n, status=500 if n == 3 else 200, key_id=f"k{n % 2}")
        for n in range(1, 6)
    ]
    client = await api.browser(acme)

    async def listed(**query: Any) -> list[str]:
        seen: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = (await client.get("requests", params={"limit": 2, **query, **cursor})).json()
            seen += [row["id"] for row in page["data"]]
            if page["next_cursor"] is None:
                return seen
            cursor = {"cursor": page["next_cursor"]}

    assert await listed() == ids
    assert await listed(outcome="failed") == [ids[2]]
    assert await listed(outcome="ok") == [ids[0], ids[1], ids[3], ids[4]]
    assert await listed(key_id="k0") == [ids[1], ids[3]]
    assert await listed(model="large") == []
    assert await listed(**{"status[gte]": 400}) == [ids[2]]
    since = (NOW - timedelta(minutes=2)).isoformat()
    assert await listed(**{"started_at[gte]": since}) == ids[:2]
    first = (await client.get("requests", params={"limit": 2})).json()["next_cursor"]
    problem(
        await client.get("requests", params={"cursor": first, "outcome": "failed"}), 422, "cursor_invalid"
    )


async def test_models_and_prices_are_for_everybody_who_may_call(api: Api, acme: Organization) -> None:
    await call(acme)
    client = await api.key_client(acme)
    assert [model["slug"] for model in (await client.get("models")).json()["data"]] == ["small"]
    prices = (await client.get("prices?currency=USD")).json()["data"]
    assert {(price["meter"], price["unit_amount"], price["state"]) for price in prices} == {
        ("prompt_tokens", "2", "current"),
        ("completion_tokens", "4", "current"),
    }


async def test_the_overview_is_what_its_page_shows(api: Api, acme: Organization) -> None:
    request_id = await call(
        acme, since=datetime.now(UTC), minutes_ago=0
    )  # in this month, if it has just begun too

    shown = (await (await api.browser(acme)).get("usage/overview")).json()

    async with unit_of_work(system(acme.id)) as uow:
        expected = await queries.overview(uow)
    assert [one["id"] for one in shown["latest"]] == [one.id for one in expected.latest] == [request_id]
    assert (shown["timezone"], shown["currency"]) == (expected.timezone, expected.currency)
    assert len(shown["hours"]) == len(expected.hours)
    assert shown["month"]["tokens"] == expected.month.tokens
    assert Decimal(shown["month"]["cost"]) == Decimal(expected.month.cost or 0) > 0

    viewer = await api.browser(acme, Role.VIEWER)
    assert (await viewer.get("usage/overview")).json()["month"]["cost"] is None
    problem(await (await api.key_client(acme, "inference")).get("usage/overview"), 403, "not_allowed")
