"""The governance console's resources."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from models.identity import Organization
from models.types import Role
from tests.api.conftest import Api, problem

UPSTREAM = {"name": "Elsewhere", "base_url": "https://api.example.com/v1", "api_key": "sk-very-secret"}


async def test_upstream_model_and_price_become_something_clients_can_call(
    api: Api, acme: Organization, operators: Organization
) -> None:
    staff = await api.browser(operators, Role.OPERATOR)
    upstream = (await staff.post("staff/upstreams", json=UPSTREAM)).json()
    assert upstream["has_api_key"]
    model = {
        "slug": "big",
        "name": "Big",
        "upstream_id": upstream["id"],
        "upstream_model": "big-1",
        "context_tokens": 8_000,
    }
    made = (await staff.post("staff/models", json=model)).json()
    price = {"model": "big", "meter": "prompt_tokens", "currency": "USD", "unit_amount": "0.15"}
    current = await staff.post("staff/prices", json=price)
    assert current.status_code == 201, current.text
    assert current.json()["state"] == "current"
    later = (datetime.now(UTC) + timedelta(days=30)).isoformat()
    planned = await staff.post("staff/prices", json={**price, "unit_amount": "0.2", "valid_from": later})
    assert planned.json()["state"] == "planned"

    client = await api.key_client(acme)
    assert [m["slug"] for m in (await client.get("models")).json()["data"]] == ["big"]
    assert [p["unit_amount"] for p in (await client.get("prices")).json()["data"]] == ["0.15"]
    assert [p["unit_amount"] for p in (await staff.get("staff/prices?model=big")).json()["data"]] == [
        "0.2",
        "0.15",
    ]

    off = await staff.put(f"staff/models/{made['id']}", json={**model, "enabled": False, "version": 1})
    assert off.json()["version"] == 2
    assert (await client.get("models")).json()["data"] == []
    assert [m["enabled"] for m in (await staff.get("staff/models")).json()["data"]] == [False]
    stale = await staff.put(f"staff/models/{made['id']}", json={**model, "version": 1})
    problem(stale, 412, "stale_version")


async def test_an_upstreams_key_is_kept_changed_and_removed_but_never_shown(
    api: Api, operators: Organization
) -> None:
    staff = await api.browser(operators, Role.OPERATOR)
    upstream = await staff.post("staff/upstreams", json=UPSTREAM)
    path = f"staff/upstreams/{upstream.json()['id']}"
    kept = await staff.put(path, json={**UPSTREAM, "api_key": None, "read_timeout_s": 60, "version": 1})
    removed = await staff.put(path, json={**UPSTREAM, "api_key": "", "version": 2})
    assert [a.json()["has_api_key"] for a in (upstream, kept, removed)] == [True, True, False]
    assert kept.json()["read_timeout_s"] == 60
    answers = [upstream, kept, removed, await staff.get("staff/upstreams")]
    assert not any("sk-very-secret" in answer.text for answer in answers)


@pytest.mark.parametrize(
    "base_url", ["http://127.0.0.1:5432", "http://169.254.169.254/latest", "file:///etc/passwd"]
)
async def test_an_upstream_cannot_reach_inside(api: Api, operators: Organization, base_url: str) -> None:
    staff = await api.browser(operators, Role.OPERATOR)
    problem(
        await staff.post("staff/upstreams", json={**UPSTREAM, "base_url": base_url}), 422, "address_refused"
    )
    assert (await staff.get("staff/upstreams")).json()["data"] == []


@pytest.mark.parametrize("amount", [0.15, "NaN", "-1", "0.0000000000001", "many"])
async def test_a_price_is_an_exact_decimal(api: Api, operators: Organization, amount: object) -> None:
    staff = await api.browser(operators, Role.OPERATOR)
    price = {"model": "big", "meter": "prompt_tokens", "currency": "USD", "unit_amount": amount}
    problem(await staff.post("staff/prices", json=price), 422, "invalid_input")


@pytest.mark.parametrize("role", [Role.SUPPORT, Role.GOVERNANCE])
async def test_those_who_only_look_change_nothing(
    api: Api, operators: Organization, acme: Organization, role: Role
) -> None:
    staff = await api.browser(operators, role)
    for path in ("organizations", "upstreams", "models", "prices"):
        assert (await staff.get(f"staff/{path}")).status_code == 200
    price = {"model": "m", "meter": "prompt_tokens", "currency": "USD", "unit_amount": "1"}
    model = {"slug": "m", "name": "M", "upstream_id": "u", "upstream_model": "m", "context_tokens": 1}
    for path, body in (
        (f"organizations/{acme.id}/suspend", None),
        (f"organizations/{acme.id}/resume", None),
        ("upstreams", UPSTREAM),
        ("models", model),
        ("prices", price),
    ):
        problem(await staff.post(f"staff/{path}", json=body), 403, "not_allowed")


async def test_a_suspended_organisation_is_stopped_at_once(
    api: Api, operators: Organization, acme: Organization
) -> None:
    staff = await api.browser(operators, Role.OPERATOR)
    owner = await api.browser(acme)
    client = await api.key_client(acme, "usage:read")
    assert (await staff.post(f"staff/organizations/{acme.id}/suspend")).json()["suspended_at"]
    problem(await client.get("models"), 403, "organization_suspended")
    problem(await owner.post("keys", json={"name": "k"}), 403, "not_allowed")
    assert (await owner.get("keys")).status_code == 200
    assert (await staff.post(f"staff/organizations/{acme.id}/resume")).json()["suspended_at"] is None
    assert (await client.get("models")).status_code == 200
    problem(await staff.post(f"staff/organizations/{operators.id}/suspend"), 409, "conflict")
    problem(await staff.post("staff/organizations/org_nobody/suspend"), 404, "not_found")


async def test_organisations_are_paged_and_searched(api: Api, operators: Organization) -> None:
    for name in ("Acme", "Beta", "Gamma"):
        await api.world.organization(name=name)
    staff = await api.browser(operators, Role.SUPPORT)
    first = (await staff.get("staff/organizations?limit=2")).json()
    second = (
        await staff.get("staff/organizations", params={"limit": 2, "cursor": first["next_cursor"]})
    ).json()
    names = [row["name"] for row in first["data"] + second["data"]]
    assert names == ["Acme", "Beta", "Gamma", "Operators"]
    found = (await staff.get("staff/organizations?search=bet")).json()["data"]
    assert [row["name"] for row in found] == ["Beta"]
    assert (await staff.get(f"staff/organizations/{found[0]['id']}")).json() == found[0]


async def test_every_list_of_the_catalogue_comes_in_pages(
    api: Api, acme: Organization, operators: Organization
) -> None:
    staff = await api.browser(operators, Role.OPERATOR)
    client = await api.key_client(acme)
    for name in ("Third", "First", "Second"):
        upstream = (await staff.post("staff/upstreams", json={**UPSTREAM, "name": name})).json()
        slug = name.lower()
        model = {"slug": slug, "name": name, "upstream_id": upstream["id"], "upstream_model": "m"}
        assert (await staff.post("staff/models", json={**model, "context_tokens": 8_000})).status_code == 201
        price = {"model": slug, "meter": "requests", "currency": "USD", "unit_amount": "1"}
        assert (await staff.post("staff/prices", json=price)).status_code == 201

    names = ["first", "second", "third"]
    for caller, path, field in (
        (staff, "staff/upstreams", "name"),
        (staff, "staff/models", "slug"),
        (staff, "staff/prices", "model"),
        (client, "models", "slug"),
        (client, "prices", "model"),
    ):
        first = (await caller.get(path, params={"limit": 2})).json()
        following = {"limit": 2, "cursor": first["next_cursor"]}
        second = (await caller.get(path, params=following)).json()
        assert [row[field].lower() for row in first["data"] + second["data"]] == names, path
        assert second["next_cursor"] is None
        problem(await caller.get(path, params={"cursor": "bm90IG91cnM"}), 422, "cursor_invalid")
        problem(await caller.get(path, params={"limit": 101}), 422, "invalid_input")
    some = {"sort": "-name", "name[contains]": "ir"}
    assert [row["slug"] for row in (await client.get("models", params=some)).json()["data"]] == [
        "third",
        "first",
    ]
    file = (await client.get("models", params={**some, "format": "csv"})).text.splitlines()
    assert [line.split(",")[1] for line in file] == ["slug", "first", "third"]
    problem(await client.get("models", params={"slugg": "first"}), 422, "invalid_filter")
    narrowed = {"model": "first", "cursor": (await staff.get("staff/prices?limit=1")).json()["next_cursor"]}
    problem(await staff.get("staff/prices", params=narrowed), 422, "cursor_invalid")
