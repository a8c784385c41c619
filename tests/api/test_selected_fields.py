"""`fields` on every GET: what was asked for and nothing else, and a list of what there is for who asks otherwise."""

from __future__ import annotations

import pytest
from httpx import AsyncClient

from models.identity import Organization
from models.types import Role
from services.core.crossing import Reason, crossing
from services.metering.service import ensure_platform_meters
from tests.api.conftest import Api, problem

MOVING = {"/staff/health"}  # measured anew each time: only its fields are compared
FILES = {"/payment-link/pdf"}
NEEDS = {"/mailbox": "address=ana@example.com"}


@pytest.fixture
async def operator(api: Api, operators: Organization) -> AsyncClient:
    async with crossing(Reason.CATALOG) as uow:
        await ensure_platform_meters(uow)
    return await api.browser(operators, Role.OPERATOR)


async def test_every_read_answers_with_the_fields_asked_for(api: Api, operator: AsyncClient) -> None:
    await operator.post("keys", json={"name": "laptop"})
    await operator.put("billing-profile", json={"name": "Us", "address": "Street 1", "country": "DE"})
    await operator.post("staff/terms", json={"text": "Be fair."})
    asked = 0
    for path, operations in api.contract.document["paths"].items():
        if "get" not in operations or "{" in path or path in FILES:
            continue
        (parameter,) = [one for one in operations["get"]["parameters"] if one["name"] == "fields"]
        names = parameter["schema"]["items"]["enum"]
        first, last = names[0], names[-1]
        needed = NEEDS.get(path, "")

        whole = (await operator.get(f"{path[1:]}?{needed}")).json()
        answer = await operator.get(f"{path[1:]}?{needed}&fields={first},{last}")
        assert answer.status_code == 200, answer.text
        refused = problem(
            await operator.get(f"{path[1:]}?{needed}&fields={first},nonsense"), 422, "unknown_field"
        )

        rows = whole.get("data", [whole])
        given = answer.json().get("data", [answer.json()])
        expected = [{name: row[name] for name in row if name in (first, last)} for row in rows]
        if path in MOVING:
            given, expected = [sorted(row) for row in given], [sorted(row) for row in expected]
        assert given == expected, path
        assert {**whole, "data": 0} == {**answer.json(), "data": 0} or "data" not in whole
        assert refused["details"]["fields"] == parameter["schema"]["items"]["enum"]
        asked += 1
    assert asked > 15


async def test_a_selection_pages_on_and_keeps_its_tag(operator: AsyncClient) -> None:
    for number in range(3):
        await operator.post("keys", json={"name": f"key {number}"})
    page = (await operator.get("keys?limit=2&fields=id,name")).json()
    assert [set(row) for row in page["data"]] == [{"id", "name"}] * 2
    rest = (await operator.get("keys", params={"cursor": page["next_cursor"], "fields": "name"})).json()
    assert rest == {"data": [{"name": "key 0"}], "next_cursor": None}

    path = f"keys/{page['data'][0]['id']}"
    part = await operator.get(f"{path}?fields=name")
    assert part.json() == {"name": "key 2"}
    assert part.headers["etag"] == (await operator.get(path)).headers["etag"]
    changed = await operator.patch(path, json={"name": "n"}, headers={"if-match": part.headers["etag"]})
    assert changed.status_code == 200
    again = await operator.get(f"{path}?fields=name", headers={"if-none-match": changed.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(
    "said",
    ["fields=", "fields=,", "fields=id,", "fields=ID", "fields=data", "fields=id&fields=x", "fields=%2A"],
)
async def test_what_names_no_field_is_refused(operator: AsyncClient, said: str) -> None:
    refused = problem(await operator.get(f"keys?{said}"), 422, "unknown_field")
    assert "requests_per_minute" in refused["next_step"]
    assert [(error["where"], error["pointer"]) for error in refused["errors"]] == [("query", "fields")]


async def test_a_file_for_spreadsheets_has_its_columns(operator: AsyncClient) -> None:
    problem(await operator.get("audit?format=csv&fields=id"), 422, "invalid_input")
