"""Two who change one row: the second is refused and shown what stands there now; and who reads again may be told
that nothing has changed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from httpx import AsyncClient

from models.identity import Organization
from models.types import Role
from tests.api.conftest import Api, problem

UPSTREAM = {"name": "Elsewhere", "base_url": "https://api.example.com/v1"}
MODEL = {"slug": "big", "name": "Big", "upstream_model": "big-1", "context_tokens": 8_000}


@dataclass(frozen=True, slots=True)
class Edited:
    """A row of a resource that people edit: where it is, how it is changed, and what the change needs beside."""

    path: str
    method: str
    whole: dict[str, Any]  # a body of PUT says all of it, and the version

    def change(self, name: str, version: int) -> dict[str, Any]:
        return {**self.whole, "name": name, **({"version": version} if self.method == "PUT" else {})}


async def _key(client: AsyncClient) -> Edited:
    key_id = (await client.post("keys", json={"name": "laptop"})).json()["id"]
    return Edited(f"keys/{key_id}", "PATCH", {})


async def _organization(_: AsyncClient) -> Edited:
    return Edited("organization", "PATCH", {})


async def _upstream(client: AsyncClient) -> Edited:
    made = (await client.post("staff/upstreams", json=UPSTREAM)).json()
    return Edited(f"staff/upstreams/{made['id']}", "PUT", UPSTREAM)


async def _model(client: AsyncClient) -> Edited:
    upstream = (await client.post("staff/upstreams", json=UPSTREAM)).json()
    whole = {**MODEL, "upstream_id": upstream["id"]}
    made = (await client.post("staff/models", json=whole)).json()
    return Edited(f"staff/models/{made['id']}", "PUT", whole)


MAKERS: dict[str, Callable[[AsyncClient], Awaitable[Edited]]] = {
    "key": _key,
    "organization": _organization,
    "upstream": _upstream,
    "model": _model,
}


@pytest.fixture
async def operator(api: Api, operators: Organization) -> AsyncClient:
    return await api.browser(operators, Role.OPERATOR)


@pytest.mark.parametrize("what", MAKERS)
async def test_who_changes_what_another_has_changed_is_shown_both(operator: AsyncClient, what: str) -> None:
    row = await MAKERS[what](operator)
    read = await operator.get(row.path)
    tag, version = read.headers["etag"], read.json()["version"]
    assert tag.startswith(f'"{version}.')
    assert (await operator.get(row.path, headers={"if-none-match": tag})).status_code == 304

    first = await operator.request(
        row.method, row.path, json=row.change("First", version), headers={"if-match": tag}
    )
    assert first.status_code == 200, first.text
    second = await operator.request(
        row.method, row.path, json=row.change("Second", version), headers={"if-match": tag}
    )

    refusal = problem(second, 412, "stale_version")["details"]
    assert refusal["version"] == refusal["current"]["version"] == first.json()["version"] == version + 1
    assert refusal["current"]["name"] == "First"
    now = await operator.get(row.path, headers={"if-none-match": tag})
    assert (now.status_code, now.json()["name"]) == (200, "First")  # a tag of before is told what is new
    assert now.headers["etag"] == first.headers["etag"]
    unchanged = await operator.get(row.path, headers={"if-none-match": f'"0.x", W/{now.headers["etag"]}'})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert unchanged.headers["etag"] == now.headers["etag"]


async def test_what_changes_by_itself_is_told_and_keeps_nobody_from_changing(
    api: Api, acme: Organization
) -> None:
    """A key that is used has another `last_used_at`: news to who reads it, no reason to refuse who edits it."""
    owner = await api.browser(acme)
    made = (await owner.post("keys", json={"name": "laptop", "scopes": ["inference"]})).json()
    path = f"keys/{made['id']}"
    tag = (await owner.get(path)).headers["etag"]
    await api.client(headers={"authorization": f"Bearer {made['secret']}"}).get("me")

    assert (await owner.get(path, headers={"if-none-match": tag})).json()["last_used_at"] is not None
    changed = await owner.patch(path, json={"name": "desk"}, headers={"if-match": tag})
    assert changed.json()["name"] == "desk"


async def test_a_key_is_only_ended_as_it_was_seen(api: Api, acme: Organization) -> None:
    owner = await api.browser(acme)
    path = f"keys/{(await owner.post('keys', json={'name': 'laptop'})).json()['id']}"
    tag = (await owner.get(path)).headers["etag"]
    await owner.patch(path, json={"name": "desk"})

    refused = problem(await owner.delete(path, headers={"if-match": tag}), 412, "stale_version")
    assert refused["details"]["current"]["name"] == "desk"
    assert (await owner.get(path)).json()["status"] == "active"

    assert (await owner.delete(path, headers={"if-match": "*"})).json()["status"] == "revoked"


MALFORMED = ("7", "W/*", '"7', '"seven"', '"7", "8"', 'W/"1.abc"', '""', "*, *", '"1"' * 3, '"99999999999"')


async def test_a_condition_that_cannot_be_met_or_read_changes_nothing(api: Api, acme: Organization) -> None:
    owner = await api.browser(acme)
    path = f"keys/{(await owner.post('keys', json={'name': 'laptop'})).json()['id']}"
    for said in MALFORMED:
        for method in ("PATCH", "DELETE"):
            body: dict[str, Any] = {"json": {"name": "desk"}} if method == "PATCH" else {}
            answer = await owner.request(method, path, headers={"if-match": said}, **body)
            assert problem(answer, 400, "malformed_request")["next_step"], said
    both = await owner.patch(path, json={"name": "desk", "version": 2}, headers={"if-match": '"1"'})
    assert problem(both, 422, "invalid_input")["errors"][0]["pointer"] == "#/version"
    assert (await owner.get(path)).json()["name"] == "laptop"

    agreed = await owner.patch(path, json={"name": "desk", "version": 1}, headers={"if-match": '"1"'})
    assert agreed.json()["name"] == "desk"


async def test_only_rows_that_have_a_version_have_a_tag(api: Api, acme: Organization) -> None:
    owner = await api.browser(acme)
    for path in ("keys", "organizations", "me"):
        assert "etag" not in (await owner.get(path)).headers
