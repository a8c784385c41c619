"""Declared lists over HTTP: filters, sorting, pages and files in one grammar."""

from __future__ import annotations

import csv
import io
from typing import Any

import psycopg
import pytest
from httpx import AsyncClient

from models.identity import Organization
from models.types import Role
from services.core import listing_sql
from services.core.database import libpq_url
from services.identity.key_queries import KEYS
from tests.api.conftest import Api, problem
from tests.listings import every_listing


@pytest.fixture
async def client(api: Api, acme: Organization) -> AsyncClient:
    client = await api.browser(acme)
    for name in ("laptop", "=SUM(A1)", "-5.00", "Lap 50%", "desk"):
        assert (await client.post("keys", json={"name": name})).status_code == 201
    return client


async def names(client: AsyncClient, **parameters: Any) -> list[str]:
    answer = await client.get("keys", params=parameters)
    assert answer.status_code == 200, answer.text
    return [row["name"] for row in answer.json()["data"]]


async def test_a_list_is_filtered_and_sorted_by_what_it_declares(client: AsyncClient) -> None:
    assert await names(client, **{"name[contains]": "LAP", "sort": "name"}) == ["Lap 50%", "laptop"]
    assert await names(client, **{"name[contains]": "50%"}) == ["Lap 50%"]
    assert await names(client, name=["desk", "laptop"], sort="-name") == ["laptop", "desk"]
    assert await names(client, **{"name[in]": "desk,laptop", "sort": "created_at"}) == ["laptop", "desk"]
    assert await names(client, **{"name[ne]": "desk", "status": "revoked"}) == []
    assert (
        len(await names(client, **{"expires_at[is_null]": "true", "created_at[gte]": "2026-01-01T00:00:00Z"}))
        == 5
    )


@pytest.mark.parametrize(
    ("query", "said", "next_step"),
    [
        ("stauts=active", "did you mean 'status'?", "It takes: sort, id,"),
        ("status=activ", "did you mean 'active'?", "It takes: active, expiring"),
        ("status[gte]=active", "no parameter 'status[gte]'", "status[in]"),
        ("sort=nmae", "did you mean 'name'?", "-created_at"),
        ("sort=name&sort=-name", "one of the sorts", "-created_at"),
        (
            "created_at[gte]=yesterday",
            "created_at[gte] is 'yesterday', which is no instant",
            "2026-01-31T09:30:00Z",
        ),
        ("created_at[gte]=2026-01-31T09:30:00", "which is no instant", "09:30:00Z"),
        ("created_at[lt]=2026-01-01T00:00:00Z&created_at[lt]=2027-01-01T00:00:00Z", "given 2 times", ""),
        ("expires_at[is_null]=perhaps", "'true' or 'false'", ""),
        ("name=" + "x" * 255, "at most 254 characters", ""),
        ("name=", "which is no text", "laptop"),
        ("name[in]=" + ",".join(["x"] * 101), "at most 100 values", ""),
    ],
)
async def test_what_a_list_does_not_take_is_refused_in_words(
    client: AsyncClient, query: str, said: str, next_step: str
) -> None:
    document = problem(await client.get(f"keys?{query}"), 422, "invalid_filter")
    assert said in document["detail"]
    assert next_step in document["next_step"]
    (fault,) = document["errors"]
    assert (fault["where"], fault["pointer"]) == ("query", query.partition("=")[0])


async def test_a_file_holds_all_rows_and_shows_formulas_as_text(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing_sql, "BATCH_ROWS", 2)
    by_header = await client.get("keys?sort=name&limit=1", headers={"accept": "text/csv"})
    by_parameter = await client.get("keys?sort=name&format=csv&bom=true")

    assert by_header.headers["content-type"] == "text/csv; charset=utf-8"
    assert by_header.headers["content-disposition"] == 'attachment; filename="keys.csv"'
    assert by_parameter.text == "\ufeff" + by_header.text
    rows = list(csv.DictReader(io.StringIO(by_header.text)))
    assert {row["name"] for row in rows} == {"laptop", "'=SUM(A1)", "-5.00", "Lap 50%", "desk"}
    assert list(rows[0])[:3] == ["id", "name", "prefix"]
    assert rows[0]["scopes"] == '["inference"]'
    assert rows[0]["created_at"].endswith("Z")
    few = await client.get("keys", params={"format": "csv", "name[contains]": "lap"})
    assert len(list(csv.DictReader(io.StringIO(few.text)))) == 2
    problem(await client.get("keys?format=csv&sort=nonsense"), 422, "invalid_filter")


async def test_filters_that_take_too_long_are_refused_with_a_way_out(
    client: AsyncClient, owner_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing_sql, "READ_S_MAX", 0.2)
    async with await psycopg.AsyncConnection.connect(libpq_url(owner_url)) as owner:
        await owner.execute("lock table request in access exclusive mode")
        for way in ("json", "csv"):
            answer = await client.get("requests", params={"latency_ms[gt]": 1, "format": way})
            assert "by time" in problem(answer, 422, "list_too_slow")["next_step"]


async def test_the_document_names_every_filter_with_its_type(api: Api) -> None:
    operation = api.contract.document["paths"]["/keys"]["get"]
    taken = {parameter["name"]: parameter["schema"] for parameter in operation["parameters"]}
    assert taken["status"]["enum"] == list(KEYS.column("status").values)
    assert taken["created_at[gte]"] == {"type": "string", "format": "date-time"}
    assert taken["name[in]"]["type"] == "array"
    assert "-created_at" in taken["sort"]["enum"]
    assert {"cursor", "limit", "format", "bom"} <= set(taken)


async def test_every_list_is_offered_alike(api: Api, operators: Organization) -> None:
    """Whichever route has filters: a file with the declared columns, no other parameter, no other list's cursor."""
    client = await api.browser(operators, Role.OPERATOR)
    for number in range(2):
        await client.post("keys", json={"name": f"key {number}"})
    strange = (await client.get("keys?limit=1")).json()["next_cursor"]
    listings = every_listing()
    seen: set[str] = set()
    for path, operations in api.contract.document["paths"].items():
        if not any("x-filter" in parameter for parameter in operations.get("get", {}).get("parameters", ())):
            continue
        file = await client.get(f"{path[1:]}?format=csv")
        name = file.headers["content-disposition"].partition('"')[2].removesuffix('.csv"')
        columns = [column.name for column in listings[name].exported]
        assert next(csv.reader(io.StringIO(file.text))) == columns, path
        names = [parameter["name"] for parameter in operations["get"]["parameters"]]
        one_field = operations["get"]["parameters"][names.index("fields")]["schema"]["items"]["enum"][0]
        assert (await client.get(f"{path[1:]}?fields={one_field}")).status_code == 200, path
        assert len(names) == len(set(names)), path
        problem(await client.get(f"{path[1:]}?nonsense=1"), 422, "invalid_filter")
        wrong = f"{path[1:]}?cursor={strange}&sort={listings[name].sorts[0]}"
        problem(await client.get(wrong), 422, "cursor_invalid")
        seen.add(name)
    assert seen == set(listings)
