"""Keys over HTTP: once shown, listed in pages, repeatable."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from models.identity import Organization
from models.types import Role
from services.core.crossing import Reason, crossing
from tests.api.conftest import Api, problem


async def test_a_secret_is_in_the_first_answer_only(api: Api, acme: Organization) -> None:
    client = await api.browser(acme)
    created = (await client.post("keys", json={"name": "laptop", "requests_per_minute": 60})).json()
    key_id, secret = created["id"], created["secret"]
    others = [
        await client.get("keys"),
        await client.get(f"keys/{key_id}"),
        await client.patch(f"keys/{key_id}", json={"name": "desk"}),
        await client.delete(f"keys/{key_id}"),
    ]
    assert all(answer.status_code == 200 for answer in others)
    assert not any(secret in answer.text for answer in others)
    assert others[0].json()["data"][0]["prefix"] == secret[:9]
    assert others[3].json()["status"] == "revoked"


async def test_rotating_shows_a_new_secret_and_lets_the_old_one_run_out(api: Api, acme: Organization) -> None:
    client = await api.browser(acme)
    old = (await client.post("keys", json={"name": "laptop"})).json()
    new = await client.post(f"keys/{old['id']}/rotate", json={"overlap_hours": 1})
    assert new.status_code == 201
    assert new.json()["replaces_id"] == old["id"]
    assert (await client.get(f"keys/{old['id']}")).json()["status"] == "expiring"
    for secret in (old["secret"], new.json()["secret"]):
        assert (await api.client(headers={"authorization": f"Bearer {secret}"}).get("me")).status_code == 200

    assert (await client.post(f"keys/{new.json()['id']}/rotate")).status_code == 201  # a body may be left out
    ended = await client.post(f"keys/{old['id']}/rotate", json={"overlap_hours": 0})
    assert ended.status_code == 201
    dead = api.client(headers={"authorization": f"Bearer {old['secret']}"})
    problem(await dead.get("me"), 401, "key_expired")


async def test_patch_tells_null_from_left_out(api: Api, acme: Organization) -> None:
    client = await api.browser(acme)
    key = {"name": "laptop", "requests_per_minute": 60, "tokens_per_minute": 900}
    key_id = (await client.post("keys", json=key)).json()["id"]
    changed = (await client.patch(f"keys/{key_id}", json={"requests_per_minute": None, "version": 1})).json()
    assert (changed["requests_per_minute"], changed["tokens_per_minute"], changed["version"]) == (
        None,
        900,
        2,
    )
    problem(await client.patch(f"keys/{key_id}", json={"name": "x", "version": 1}), 412, "stale_version")


async def test_pages_of_keys(api: Api, acme: Organization) -> None:
    client = await api.browser(acme)
    made = [(await client.post("keys", json={"name": f"key {n}"})).json()["id"] for n in range(5)]
    seen: list[str] = []
    cursor = ""
    while True:
        page = (
            await client.get("keys", params={"limit": 2, **({"cursor": cursor} if cursor else {})})
        ).json()
        seen += [key["id"] for key in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = page["next_cursor"]
    assert seen == made[::-1]


async def test_a_cursor_belongs_to_its_list_filters_and_organisation(api: Api, acme: Organization) -> None:
    client = await api.browser(acme)
    other = await api.browser(await api.world.organization())
    for owner in (client, other):
        for n in range(3):
            await owner.post("keys", json={"name": f"key {n}"})
    cursor = (await client.get("keys?limit=1")).json()["next_cursor"]
    changed = cursor[:-2] + ("A" if cursor[-2] != "A" else "B") + cursor[-1]
    assert (await client.get("keys", params={"cursor": cursor})).status_code == 200
    refused = problem(await client.get("keys", params={"cursor": changed}), 422, "cursor_invalid")
    assert [(error["where"], error["pointer"]) for error in refused["errors"]] == [("query", "cursor")]
    problem(await client.get("keys", params={"cursor": cursor, "status": "active"}), 422, "cursor_invalid")
    problem(await client.get("requests", params={"cursor": cursor}), 422, "cursor_invalid")
    problem(await other.get("keys", params={"cursor": cursor}), 422, "cursor_invalid")


async def test_a_repeated_request_gets_the_same_answer_and_makes_one_key(
    api: Api, acme: Organization
) -> None:
    client = await api.browser(acme)
    repeat = {"idempotency-key": "order-7"}
    first, *others = await asyncio.gather(
        *(client.post("keys", json={"name": "laptop"}, headers=repeat) for _ in range(4))
    )
    assert {answer.status_code for answer in (first, *others)} == {201}
    assert {answer.text for answer in others} == {first.text}  # the secret too
    replays = [answer.headers.get("idempotent-replayed") for answer in (first, *others)]
    assert sorted(replays, key=str) == [None, "true", "true", "true"]
    assert len((await client.get("keys")).json()["data"]) == 1


async def test_a_used_idempotency_key_is_refused_for_anything_else(api: Api, acme: Organization) -> None:
    client = await api.browser(acme)
    repeat = {"idempotency-key": "order-7"}
    key = (await client.post("keys", json={"name": "laptop"}, headers=repeat)).json()
    for path, body in (("keys", {"name": "desk"}), (f"keys/{key['id']}/rotate", {"name": "laptop"})):
        if path != "keys":
            body = {}
        problem(await client.post(path, json=body, headers=repeat), 409, "idempotency_key_reused")
    assert len((await client.get("keys")).json()["data"]) == 1

    stranger = await api.browser(await api.world.organization())
    theirs = await stranger.post("keys", json={"name": "laptop"}, headers=repeat)
    assert theirs.status_code == 201  # another organisation's key of that name is another key
    assert theirs.json()["secret"] != key["secret"]


async def test_a_refused_request_may_be_repeated(api: Api, acme: Organization) -> None:
    client = await api.browser(acme)
    repeat = {"idempotency-key": "order-7"}
    problem(await client.post("keys", json={"name": ""}, headers=repeat), 422, "invalid_input")
    assert (await client.post("keys", json={"name": "laptop"}, headers=repeat)).status_code == 201


async def test_stored_answers_are_sealed(api: Api, acme: Organization) -> None:
    client = await api.browser(acme)
    answer = await client.post("keys", json={"name": "laptop"}, headers={"idempotency-key": "order-7"})
    async with crossing(Reason.INVARIANTS) as uow:
        body = (await uow.execute("select body from idempotency_record")).scalar_one()
    assert answer.json()["secret"].encode() not in body
    assert b"laptop" not in body


async def test_organisations_are_founded_once_per_idempotency_key(api: Api) -> None:
    client = await api.browser()
    repeat = {"idempotency-key": "my-company"}
    made = [await client.post("organizations", json={"name": "Acme"}, headers=repeat) for _ in range(2)]
    assert made[0].json() == made[1].json()
    assert len((await client.get("organizations")).json()["data"]) == 1


@pytest.mark.parametrize(
    ("scopes", "may"),
    [
        (("inference",), {"models", "prices"}),
        (("usage:read",), {"models", "prices", "usage/totals", "requests", "meters"}),
        (("usage:write",), set()),
        (("keys:read",), {"keys"}),
    ],
)
async def test_a_key_reads_what_its_scopes_say(
    api: Api, acme: Organization, scopes: tuple[str, ...], may: set[str]
) -> None:
    client = await api.key_client(acme, *scopes)
    await ensure_meters()
    for path in ("models", "prices", "usage/totals", "requests", "meters", "keys", "staff/organizations"):
        answer = await client.get(path)
        if path in may:
            assert answer.status_code == 200, path
        else:
            problem(answer, 403, "not_allowed")


async def ensure_meters() -> None:
    from services.metering.service import ensure_platform_meters

    async with crossing(Reason.CATALOG) as uow:
        await ensure_platform_meters(uow)


@pytest.mark.parametrize(
    "role", [role for role in Role if role not in (Role.OPERATOR, Role.SUPPORT, Role.GOVERNANCE)]
)
async def test_no_client_role_reaches_staff_resources(api: Api, acme: Organization, role: Role) -> None:
    client = await api.browser(acme, role)
    for path in ("organizations", "upstreams", "models", "prices"):
        problem(await client.get(f"staff/{path}"), 403, "not_allowed")


async def test_a_key_does_not_act_as_a_person(api: Api, acme: Organization) -> None:
    client = await api.key_client(acme, "keys:write", "usage:read")
    problem(await client.get("organizations"), 403, "not_allowed")
    problem(await client.post("organizations", json={"name": "Child"}), 403, "not_allowed")
    problem(await client.patch("organization", json={"name": "Mine"}), 403, "not_allowed")


async def test_use_of_a_key_is_noted(api: Api, acme: Organization) -> None:
    browser = await api.browser(acme)
    client = await api.key_client(acme, "usage:read")
    assert (await browser.get("keys")).json()["data"][0]["last_used_at"] is None
    await client.get("me")
    first = (await browser.get("keys")).json()["data"][0]["last_used_at"]
    await client.get("me")
    assert first is not None
    assert (await browser.get("keys")).json()["data"][0]["last_used_at"] == first  # at most once a minute


async def test_a_secret_is_not_given_again_to_somebody_else(api: Api, acme: Organization) -> None:
    """A colleague who may not even make keys sends the same request under the same Idempotency-Key."""
    repeated: dict[str, Any] = {"headers": {"idempotency-key": "first"}, "json": {"name": "laptop"}}
    owner, viewer = await api.browser(acme), await api.browser(acme, Role.VIEWER)
    created = await owner.post("keys", **repeated)
    assert created.status_code == 201

    problem(await viewer.post("keys", **repeated), 409, "idempotency_key_reused")
    assert (await owner.post("keys", **repeated)).json()["secret"] == created.json()["secret"]


async def test_changes_of_two_limits_at_once_lose_neither(api: Api, acme: Organization) -> None:
    client = await api.browser(acme)
    path = f"keys/{(await client.post('keys', json={'name': 'laptop'})).json()['id']}"
    sent = [{("requests_per_minute", "tokens_per_minute")[number % 2]: number} for number in range(1, 21)]

    answers = await asyncio.gather(*(client.patch(path, json=one) for one in sent))

    shown = sorted(
        ((answer.json(), one) for answer, one in zip(answers, sent, strict=True)),
        key=lambda pair: pair[0]["version"],
    )
    before = {"requests_per_minute": None, "tokens_per_minute": None}
    for key, one in shown:
        before |= one
        assert {name: key[name] for name in before} == before
    assert {name: (await client.get(path)).json()[name] for name in before} == before
