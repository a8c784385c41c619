"""Projects and service accounts: what their keys may do, count for, and when they stop."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from httpx import AsyncClient

from models.gateway import AiModel, Upstream
from models.identity import Organization
from models.types import Role
from services.core.crossing import Reason, crossing
from services.core.ids import new_id
from services.metering import rules
from services.metering.service import ensure_platform_meters, record
from tests.api.conftest import Api, problem

SETTLED_S = 20.0


async def made(client: AsyncClient, path: str, **body: Any) -> dict[str, Any]:
    answer = await client.post(path, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def used(organization: Organization, key_id: str, request_id: str) -> None:
    event = rules.gateway_event(
        organization_id=organization.id, request_id=request_id, time=datetime.now(UTC), model="m",
        key_id=key_id, prompt_tokens=10, completion_tokens=5, endpoint="chat", status=200,
    )  # fmt: skip
    async with crossing(Reason.GATEWAY_SETTLEMENT) as uow:
        await ensure_platform_meters(uow)
        await record(uow, [event])
        await uow.execute(
            "insert into request (organization_id, id, key_id, account_id, model, upstream_id, endpoint, streamed,"
            " status, error_code, prompt_tokens, completion_tokens, tokens_source, started_at, latency_ms, attempts,"
            " currency, address, trace_id) values (:organization, :id, :key, '', 'm', '', 'chat', false,"
            " 200, '', 10, 5, 'upstream', :at, 12, 1, 'USD', '', 'trace')",
            organization=organization.id,
            id=request_id,
            key=key_id,
            at=event.time,
        )


async def test_usage_of_a_project_is_that_of_its_keys(api: Api, acme: Organization) -> None:
    owner = await api.browser(acme)
    search = await made(owner, "projects", name="Search", description="Finds manuals")
    empty = await made(owner, "projects", name="Empty")
    problem(await owner.post("projects", json={"name": "S\u00e9arch"}), 409, "name_taken")
    key = await made(owner, "keys", name="in it", project_id=search["id"])
    other = await made(owner, "keys", name="in none")
    assert (key["project_name"], other["project_id"]) == ("Search", None)
    rotated = await made(owner, f"keys/{key['id']}/rotate")
    assert rotated["project_id"] == search["id"]
    for number, key_id in enumerate((key["id"], rotated["id"], other["id"])):
        await used(acme, key_id, f"req_{number}")

    async def counted(**query: str) -> tuple[str, list[str]]:
        totals = (await owner.get("usage/totals", params={"meter": "requests", **query})).json()
        called = {f"{name}_id": value for name, value in query.items()}  # as the list of requests has them
        rows = (await owner.get("requests", params=called)).json()["data"]
        return totals["data"][0]["quantity"], sorted(row["id"] for row in rows)

    assert await counted() == ("3", ["req_0", "req_1", "req_2"])
    assert await counted(project=search["id"]) == ("2", ["req_0", "req_1"])
    assert await counted(project=search["id"], key=rotated["id"]) == ("1", ["req_1"])
    assert await counted(project=empty["id"]) == ("0", [])
    listed = (await owner.get("keys", params={"project_id": search["id"]})).json()["data"]
    assert {row["id"] for row in listed} == {key["id"], rotated["id"]}

    elsewhere = await api.browser(await api.world.organization())
    assert (await elsewhere.get("projects")).json()["data"] == []
    problem(await elsewhere.post("keys", json={"name": "x", "project_id": search["id"]}), 404, "not_found")


async def test_an_archived_project_has_no_key_that_works(api: Api, acme: Organization) -> None:
    owner = await api.browser(acme)
    project = await made(owner, "projects", name="Search")
    key = await made(owner, "keys", name="k", scopes=["keys:write"], project_id=project["id"])
    path = f"projects/{project['id']}"
    refused = problem(await owner.post(f"{path}/archive", json={"end_keys": False}), 409, "project_has_keys")
    assert refused["details"] == {"active_keys": 1}
    program = api.client(headers={"authorization": f"Bearer {key['secret']}"})
    child = await made(program, "keys", name="child", scopes=["keys:write"])
    assert child["project_id"] == project["id"]  # nothing it makes outlives the project

    assert (await owner.post(f"{path}/archive", json={"end_keys": True})).json()["active_keys"] == 0
    for secret in (key["secret"], child["secret"]):
        ended = api.client(headers={"authorization": f"Bearer {secret}"})
        problem(await ended.get("me"), 401, "key_revoked")
    in_it = {"name": "k", "project_id": project["id"]}
    problem(await owner.post("keys", json=in_it), 409, "project_archived")
    assert (await owner.post(f"{path}/restore")).json()["archived_at"] is None
    await made(owner, "keys", **in_it)


@pytest.mark.parametrize(
    ("role", "projects", "accounts"),
    [
        (Role.OWNER, True, True),
        (Role.ADMIN, True, True),
        (Role.DEVELOPER, False, False),
        (Role.BILLING, False, False),
        (Role.VIEWER, False, False),
    ],
)
async def test_who_may_make_them(
    api: Api, acme: Organization, role: Role, projects: bool, accounts: bool
) -> None:
    client = await api.browser(acme, role)
    assert (await client.post("projects", json={"name": "P"})).is_success is projects
    body = {"name": "S", "role": "viewer"}
    assert (await client.post("service-accounts", json=body)).is_success is accounts


async def test_a_program_goes_as_far_as_its_role_and_scopes(api: Api, acme: Organization) -> None:
    owner = await api.browser(acme)
    for role in ("owner", "operator", "emperor"):
        problem(await owner.post("service-accounts", json={"name": "R", "role": role}), 422, "invalid_input")
    robot = await made(owner, "service-accounts", name="Robot", role="developer")
    path = f"service-accounts/{robot['id']}"
    key = await made(
        owner, "keys", name="k", scopes=["keys:write", "usage:read"], service_account_id=robot["id"]
    )
    program = api.client(headers={"authorization": f"Bearer {key['secret']}"})
    child = await made(program, "keys", name="child", scopes=["keys:read"])
    assert child["service_account_id"] == robot["id"]

    changed = await owner.patch(path, json={"role": "viewer", "version": robot["version"]})
    assert changed.json()["role"] == "viewer"
    assert (await program.get("me")).json()["capabilities"] == [
        "models.read",
        "organization.read",
        "usage.read",
    ]
    problem(await program.get("keys"), 403, "not_allowed")
    body = {"name": "k", "scopes": ["inference"], "service_account_id": robot["id"]}
    problem(await owner.post("keys", json=body), 403, "not_allowed")

    stale = problem(await owner.patch(path, json={"name": "X", "version": 1}), 412, "stale_version")
    assert (
        stale["details"]["current"] | {"name": "Robot", "role": "viewer", "version": 2}
        == stale["details"]["current"]
    )


async def test_disabling_stops_all_keys_at_once_at_every_door(api: Api, acme: Organization) -> None:
    async with crossing(Reason.CATALOG) as uow:
        upstream = new_id("ups")
        uow.add(Upstream(id=upstream, name="u", created_at=uow.wall_now))
        await uow.session.flush()
        uow.add(
            AiModel(
                id=new_id("model"), slug="m", name="M", upstream_id=upstream, upstream_model="m",
                endpoints=["chat"], context_tokens=100, created_at=uow.wall_now,
            )
        )  # fmt: skip
    owner = await api.browser(acme)
    robot = await made(owner, "service-accounts", name="Robot", role="developer")
    key = await made(owner, "keys", name="k", service_account_id=robot["id"])
    bearer = {"authorization": f"Bearer {key['secret']}"}
    rest, gateway = api.client(headers=bearer), api.root(headers=bearer)

    async def answers(status: int) -> None:
        assert (await rest.get("me")).status_code == status
        async with asyncio.timeout(SETTLED_S):  # the gateway remembers keys, and is told
            while (await gateway.get("/v1/models")).status_code != status:
                pass

    await answers(200)
    path = f"service-accounts/{robot['id']}"
    assert (await owner.post(f"{path}/disable")).json()["disabled_at"]
    await answers(401)
    problem(await rest.get("me"), 401, "service_account_disabled")
    assert (await owner.get("keys")).json()["data"][0]["status"] == "disabled"
    problem(
        await owner.post("keys", json={"name": "k", "service_account_id": robot["id"]}),
        409,
        "service_account_disabled",
    )
    assert (await owner.post(f"{path}/enable")).json()["disabled_at"] is None
    await answers(200)


async def test_the_second_of_two_tabs_is_shown_what_the_first_saved(api: Api, acme: Organization) -> None:
    owner = await api.browser(acme, email="ana@example.com")
    settings = (await owner.get("organization")).json()
    assert (settings["currency"], settings["billing_mode"], settings["version"]) == ("USD", "postpaid", 1)
    first = await owner.patch("organization", json={"name": "Acme North", "version": 1})
    assert first.json()["version"] == 2

    mine = {"name": "Acme South", "timezone": "Asia/Tokyo", "version": 1}
    details = problem(await owner.patch("organization", json=mine), 412, "stale_version")["details"]
    saved = {"name": "Acme North", "timezone": "UTC", "version": 2}
    assert details["current"] | saved == details["current"]
    assert details["changed_by"] == "ana@example.com"
    assert details["changed_at"]

    kept = await owner.patch("organization", json=mine | {"version": details["current"]["version"]})
    assert (kept.json()["name"], kept.json()["timezone"]) == ("Acme South", "Asia/Tokyo")
