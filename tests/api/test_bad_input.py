"""Every kind of bad input gets a clear problem of the right kind, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from httpx import AsyncClient

from models.identity import Organization
from services.core.crossing import Reason, crossing
from services.core.database import database
from services.core.ids import new_id
from services.core.wakeups import KEYS_CHANGED
from services.metering.service import ensure_platform_meters
from tests.api.conftest import PASSWORD, Api, problem

NOW = datetime.now(UTC)
JSON = {"content-type": "application/json"}
LINES = {"content-type": "application/x-ndjson"}


def event(**changes: Any) -> dict[str, Any]:
    fresh = {
        "source": "shop",
        "event_id": "e1",
        "type": "page",
        "time": NOW.isoformat(),
        "properties": {"n": 1},
    }
    return {key: value for key, value in {**fresh, **changes}.items() if value is not ...}


@dataclass
class Bad:
    """One bad request and the answer it must get."""

    path: str
    status: int
    code: str
    json: Any = None
    content: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    method: str = "POST"
    pointer: str = ""
    says: str = ""


def sign_up(**changes: Any) -> dict[str, Any]:
    return {"email": "new@example.com", "password": PASSWORD, "name": "New", **changes}


CASES: dict[str, Bad] = {
    "malformed JSON": Bad("sign-up", 400, "malformed_request", content=b'{"email": ', headers=JSON),
    "not JSON at all": Bad("sign-up", 415, "unsupported_media_type", content=b"email=a", headers={}),
    "NaN in JSON": Bad("keys", 400, "malformed_request", content=b'{"name": NaN}', headers=JSON),
    "half a surrogate": Bad("keys", 400, "malformed_request", content=b'{"name": "\\ud800"}', headers=JSON),
    "broken UTF-8": Bad("keys", 400, "malformed_request", content=b'{"name": "\xff"}', headers=JSON),
    "nested a thousand deep": Bad(
        "keys",
        400,
        "malformed_request",
        content=b'{"name": ' + b"[" * 1_000 + b"]" * 1_000 + b"}",
        headers=JSON,
    ),
    "nested fifty deep": Bad(
        "keys", 422, "invalid_input", content=b'{"name": ' + b"[" * 50 + b"]" * 50 + b"}", headers=JSON
    ),
    "a key twice": Bad(
        "keys",
        400,
        "malformed_request",
        content=b'{"name": "a", "requests_per_minute": 1, "name": "b"}',
        headers=JSON,
        says="'name'",
    ),
    "a key twice, written another way": Bad(
        "keys",
        400,
        "malformed_request",
        content=b'{"name": "a", "n\\u0061me": "b"}',
        headers=JSON,
        says="'name'",
    ),
    "a very long key twice": Bad(
        "keys",
        400,
        "malformed_request",
        content=b'{"%(key)s": 1, "%(key)s": 2}' % {b"key": b"k" * 5_000},
        headers=JSON,
        says="kkk...'",
    ),
    "a list for an object": Bad("keys", 422, "invalid_input", json=[1, 2]),
    "a number for a name": Bad("keys", 422, "invalid_input", json={"name": 7}, pointer="#/name"),
    "a text for a limit": Bad(
        "keys",
        422,
        "invalid_input",
        json={"name": "k", "requests_per_minute": "many"},
        pointer="#/requests_per_minute",
    ),
    "a limit of nothing": Bad("keys", 422, "invalid_input", json={"name": "k", "requests_per_minute": 0}),
    "a negative limit": Bad("keys", 422, "invalid_input", json={"name": "k", "tokens_per_minute": -5}),
    "a huge limit": Bad("keys", 422, "invalid_input", json={"name": "k", "tokens_per_minute": 10**30}),
    "a field nobody knows": Bad(
        "keys", 422, "invalid_input", json={"name": "k", "limit": 1}, pointer="#/limit"
    ),
    "no name": Bad("keys", 422, "invalid_input", json={}, pointer="#/name"),
    "an empty name": Bad("keys", 422, "invalid_input", json={"name": "  "}, pointer="#/name"),
    "a long name": Bad("keys", 422, "invalid_input", json={"name": "k" * 101}, pointer="#/name"),
    "NUL in a name": Bad("keys", 422, "invalid_input", json={"name": "a\0b"}),
    "a line break in a name": Bad(
        "keys", 422, "unprintable_character", json={"name": "a\r\nBcc: x@example.com"}, pointer="#/name"
    ),
    "an unknown scope": Bad(
        "keys", 422, "invalid_input", json={"name": "k", "scopes": ["all"]}, pointer="#/scopes"
    ),
    "an unknown model": Bad(
        "keys", 422, "unknown_model", json={"name": "k", "models": ["gpt-9"]}, pointer="#/models"
    ),
    "an expiry in 1970": Bad(
        "keys", 422, "invalid_input", json={"name": "k", "expires_at": "1970-01-01T00:00:00Z"}
    ),
    "an expiry in 9999": Bad(
        "keys", 422, "invalid_input", json={"name": "k", "expires_at": "9999-12-31T23:59:59-14:00"}
    ),
    "an expiry without offset": Bad(
        "keys", 422, "invalid_input", json={"name": "k", "expires_at": "2100-01-01T00:00:00"}
    ),
    "a limit of a page": Bad("keys?limit=101", 422, "invalid_input", method="GET"),
    "a cursor made up": Bad("keys?cursor=bm90IG91cnM", 422, "cursor_invalid", method="GET"),
    "a cursor of noise": Bad("keys?cursor=%F0%9F%92%A9", 422, "cursor_invalid", method="GET"),
    "NUL in an address": Bad("keys/apikey%00", 400, "malformed_request", method="GET"),
    "NUL in a query": Bad("prices?currency=%00", 400, "malformed_request", method="GET"),
    "no such key": Bad("keys/apikey_01k00000000000000000000000", 404, "not_found", method="GET"),
    "no such resource": Bad("nonsense", 404, "not_found", method="GET"),
    "no such method": Bad("keys", 405, "method_not_allowed", method="PUT"),
    "a password of a megabyte": Bad(
        "sign-up", 413, "password_too_long", json=sign_up(password="x" * 1_000_000)
    ),
    "a password of 9 emoji": Bad("sign-up", 422, "password_too_short", json=sign_up(password="🐈" * 9)),
    "the commonest password": Bad(
        "sign-up", 422, "password_too_common", json=sign_up(password="Password123")
    ),
    "the address as password": Bad(
        "sign-up", 422, "password_personal", json=sign_up(password="New@Example.com")
    ),
    "NUL in a password": Bad("sign-up", 422, "invalid_input", json=sign_up(password="long enough\0")),
    "no address": Bad("sign-up", 422, "invalid_input", json=sign_up(email="nobody"), pointer="#/email"),
    "two addresses": Bad("sign-up", 422, "invalid_input", json=sign_up(email="a@example.com,b@example.com")),
    "a header in an address": Bad(
        "sign-up", 422, "unprintable_character", json=sign_up(email="a@example.com\nBcc: b@example.com")
    ),
    "a link of nobody": Bad(
        "sign-up/confirm", 422, "link_invalid", json={"token": "made-up", "password": "long enough"}
    ),
    "a link without a password": Bad(
        "sign-up/confirm", 422, "invalid_input", json={"token": "made-up"}, pointer="#/password"
    ),
    "a link with a password of a megabyte": Bad(
        "sign-up/confirm", 413, "password_too_long", json={"token": "t", "password": "x" * 1_000_000}
    ),
    "an operator from outside": Bad(
        "organizations", 403, "not_allowed", json={"name": "O", "kind": "operator"}
    ),
    "no such kind": Bad("organizations", 422, "invalid_input", json={"name": "O", "kind": "king"}),
    "no such timezone": Bad(
        "organizations",
        422,
        "invalid_input",
        json={"name": "O", "timezone": "Mars/Base"},
        pointer="#/timezone",
    ),
    "no such currency": Bad(
        "organizations", 422, "invalid_input", json={"name": "O", "currency": "XYZ"}, pointer="#/currency"
    ),
    "an ended currency": Bad("organizations", 422, "invalid_input", json={"name": "O", "currency": "HRK"}),
    "100,000 events": Bad(
        "usage/events",
        413,
        "batch_too_large",
        content=b"[" + b",".join([b"{}"] * 100_000) + b"]",
        headers=JSON,
    ),
    "100,000 lines": Bad("usage/events", 413, "batch_too_large", content=b"{}\n" * 100_000, headers=LINES),
    "no event": Bad("usage/events", 422, "invalid_input", json=[]),
    "events that are none": Bad("usage/events", 422, "invalid_input", json=[1], pointer="#/events/0"),
    "usage in XML": Bad(
        "usage/events",
        415,
        "unsupported_media_type",
        content=b"<event/>",
        headers={"content-type": "application/xml"},
    ),
    "usage with NaN": Bad(
        "usage/events",
        400,
        "malformed_request",
        content=b'{"source": "a", "event_id": "b", "type": "c", "time": "d", "properties": {"n": NaN}}',
        headers=JSON,
    ),
    "a number twice in an event": Bad(
        "usage/events",
        400,
        "malformed_request",
        content=orjson.dumps([event()]).replace(b'{"n":1}', b'{"n":1,"n":2}'),
        headers=JSON,
        says="'n'",
    ),
    "a time twice on a line": Bad(
        "usage/events",
        400,
        "malformed_request",
        content=orjson.dumps(event()).replace(b"{", b'{"time": "x", ', 1),
        headers=LINES,
        says="'time'",
    ),
    "an event of 1970": Bad(
        "usage/events",
        422,
        "invalid_input",
        json=[event(time="1970-01-01T00:00:00Z")],
        pointer="#/events/0/time",
    ),
    "an event of 2100": Bad(
        "usage/events",
        422,
        "invalid_input",
        json=[event(), event(time="2100-01-01T00:00:00Z")],
        pointer="#/events/1/time",
    ),
    "an event without time": Bad("usage/events", 422, "invalid_input", json=[event(time=...)]),
    "an event with NUL": Bad("usage/events", 422, "invalid_input", json=[event(), event(event_id="a\0")]),
    "a property with NUL": Bad(
        "usage/events", 422, "invalid_input", json=[event(properties={"n": 1, "page": "\0"})]
    ),
    "a negative quantity": Bad(
        "usage/events", 422, "invalid_input", json=[event(), event(event_id="e2", properties={"n": -1})]
    ),
    "a quantity in words": Bad("usage/events", 422, "invalid_input", json=[event(properties={"n": "many"})]),
    "an endless quantity": Bad(
        "usage/events", 400, "malformed_request", content=b'[{"n": Infinity}]', headers=JSON
    ),
    "usage in the gateway's name": Bad("usage/events", 422, "invalid_input", json=[event(source="gateway")]),
    "one bad line of many": Bad(
        "usage/events",
        400,
        "malformed_request",
        content=orjson.dumps(event()) + b"\n{oops\n",
        headers=LINES,
    ),
    "a window turned round": Bad(
        "usage?from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z", 422, "invalid_input", method="GET"
    ),
    "a century of minutes": Bad(
        "usage?from=1990-01-01T00:00:00Z&to=2090-01-01T00:00:00Z&granularity=minute",
        422,
        "invalid_input",
        method="GET",
    ),
    "a moment in words": Bad("usage?from=yesterday", 422, "invalid_input", method="GET"),
    "a meter nobody made": Bad("usage?meter=dreams", 404, "not_found", method="GET"),
    "a property without value": Bad("usage?property=region", 422, "invalid_input", method="GET"),
    "a request nobody made": Bad("requests/req_01k00000000000000000000000", 404, "not_found", method="GET"),
    "an Idempotency-Key of blanks": Bad(
        "keys", 422, "invalid_input", json={"name": "k"}, headers={"idempotency-key": "a b"}
    ),
}


@pytest.fixture
async def browser(api: Api, acme: Organization) -> AsyncClient:
    async with crossing(Reason.CATALOG) as uow:
        await ensure_platform_meters(uow)
    client = await api.browser(acme)
    created = await client.post(
        "meters",
        json={
            "slug": "pages",
            "name": "Pages",
            "event_type": "page",
            "aggregation": "sum",
            "value_property": "n",
        },
    )
    assert created.status_code == 201, created.text
    return client


async def contents() -> dict[str, int]:
    """How many rows each table holds that a request of these could have written to."""
    tables = (
        "account",
        "organization",
        "membership",
        "api_key",
        "meter",
        "usage_event",
        "usage_delta",
        "event",
    )
    async with crossing(Reason.INVARIANTS) as uow:
        return {table: (await uow.execute(f"select count(*) from {table}")).scalar_one() for table in tables}


async def test_bad_input_is_refused_clearly_and_leaves_nothing(browser: AsyncClient) -> None:
    before = await contents()
    wrong: dict[str, str] = {}
    for name, bad in CASES.items():
        answer = await browser.request(
            bad.method, bad.path, json=bad.json, content=bad.content, headers=bad.headers
        )
        try:
            document = problem(answer, bad.status, bad.code)
            if bad.pointer:
                assert bad.pointer in [error["pointer"] for error in document["errors"]], document
            assert bad.says in document["detail"], document
            assert PASSWORD not in answer.text
            assert document["next_step"] or document["errors"], document
            assert await contents() == before
        except AssertionError as error:
            wrong[name] = str(error)
    assert not wrong, "\n".join(f"{name}: {error}" for name, error in wrong.items())


async def test_an_emoji_password_is_as_good_as_any(api: Api) -> None:
    answer = await api.client().post("sign-up", json=sign_up(password="🐈🐕🦜🐢🐟🐎🐄🐖🐑🐐"))
    assert answer.status_code == 202


@pytest.mark.parametrize("stated", [True, False])
async def test_a_body_beyond_12_mb_is_cut_off(browser: AsyncClient, stated: bool) -> None:
    megabyte, count = b" " * 1024 * 1024, 13

    async def stream() -> AsyncIterator[bytes]:
        for _ in range(count):
            yield megabyte

    for path in ("keys", "usage/events"):
        content = megabyte * count if stated else stream()
        answer = await browser.post(path, content=content, headers=JSON)
        problem(answer, 413, "too_large")


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        ("Bearer mx-0000000000000000000000000000000000000000", "invalid_api_key"),
        ("Bearer sk-0000000000000000000000000000000000000000", "invalid_api_key"),
        ("Bearer ", "invalid_api_key"),
        ("Bearer mx-\xe9\xe9", "invalid_api_key"),
        ("Basic dXNlcjpwYXNz", "invalid_api_key"),
        ("", "invalid_api_key"),
    ],
)
async def test_a_key_nobody_made(api: Api, authorization: str, code: str) -> None:
    answer = await api.client(headers={"authorization": authorization.encode("latin-1")}).get("me")
    problem(answer, 401, code)
    assert "bearer" in answer.headers["www-authenticate"].lower()


async def test_a_key_that_has_ended(api: Api, acme: Organization) -> None:
    revoked = await api.key_client(acme)
    expired = await api.key_client(acme)
    suspended = await api.key_client(await api.world.organization())
    keys = [(await client.get("me")).json() for client in (revoked, expired, suspended)]
    async with crossing(Reason.DEMO) as uow:
        await uow.execute("update api_key set revoked_at = now() where id = :id", id=keys[0]["key_id"])
        await uow.execute("update api_key set expires_at = now() where id = :id", id=keys[1]["key_id"])
        await uow.execute(
            "update organization set suspended_at = now() where id = :id", id=keys[2]["organization_id"]
        )
    for key in keys:
        database().wakeups.poke(KEYS_CHANGED, key["key_id"])  # as the verbs do
    problem(await revoked.get("me"), 401, "key_revoked")
    problem(await expired.get("me"), 401, "key_expired")
    problem(await suspended.get("me"), 403, "organization_suspended")


async def test_no_key_and_no_session(api: Api) -> None:
    for path in ("me", "keys", "organizations", "models", "usage", "requests", "staff/organizations"):
        problem(await api.client().get(path), 401, "sign_in_required")


async def test_another_tenants_ids_are_not_found(api: Api, browser: AsyncClient) -> None:
    others = await api.world.organization(name="Others")
    their_key = (await (await api.key_client(others)).get("me")).json()["key_id"]
    request_id = new_id("req")
    async with crossing(Reason.DEMO) as uow:
        await uow.execute(
            "insert into request (organization_id, id, key_id, account_id, model, upstream_id, endpoint, streamed,"
            " status, error_code, prompt_tokens, completion_tokens, tokens_source, started_at, latency_ms,"
            " attempts, currency, address, trace_id) values (:org, :id, :key, '', 'm', '', 'chat', false, 200, '',"
            " 1, 1, 'upstream', now(), 1, 1, 'USD', '', '')",
            org=others.id,
            id=request_id,
            key=their_key,
        )
    for method, path, body in (
        ("GET", f"keys/{their_key}", None),
        ("PATCH", f"keys/{their_key}", {"name": "mine now"}),
        ("DELETE", f"keys/{their_key}", None),
        ("POST", f"keys/{their_key}/rotate", {}),
        ("GET", f"requests/{request_id}", None),
        ("POST", "session/organization", {"organization_id": others.id}),
    ):
        answer = await browser.request(method, path, json=body)
        unknown = path.replace(their_key, new_id("apikey")).replace(request_id, new_id("req"))
        problem(answer, 404, "not_found")
        if unknown != path:  # and the answer is the one for an id that nobody has
            never = (await browser.request(method, unknown, json=body)).json()
            assert {**never, "detail": "", "reference": ""} == {
                **answer.json(),
                "detail": "",
                "reference": "",
            }
    assert (await browser.get(f"requests?key_id={their_key}")).json()["data"] == []
    totals = await browser.get(f"usage/totals?meter=pages&key={their_key}")
    assert totals.json()["data"][0]["events"] == 0
