"""The edge of the API: health, measurements, headers, and failures that are ours."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from matrix_app.api import errors
from matrix_app.api.edge import Edge
from matrix_app.api.v1.shape import resource
from models.identity import Organization
from services.core import heartbeat
from services.core.crossing import Reason, crossing
from services.core.database import database
from services.core.errors import Unavailable
from services.core.settings import settings
from tests.api.conftest import Api, problem


async def test_alive_and_ready(api: Api) -> None:
    client = api.root()
    await heartbeat.beat(database())
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    ready = await client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json() == {
        "status": "ready",
        "database": "ok",
        "migrations": "ok",
        "keys": "ok",
        "key_service": "not configured",
        "worker": "ok",
        "model": "not configured",
    }


async def test_without_signs_of_life_of_a_worker_nothing_is_ready(api: Api) -> None:
    async def worker() -> tuple[int, str]:
        answer = await api.root().get("/readyz")
        return answer.status_code, answer.json()["worker"]

    assert await worker() == (503, "late")  # none has ever run
    await heartbeat.beat(database())
    assert await worker() == (200, "ok")
    await _silence("5 seconds")
    assert await worker() == (200, "ok")
    await _silence("15 seconds")
    assert await worker() == (503, "late")
    await heartbeat.beat(database())
    assert await worker() == (200, "ok")
    assert (await api.root().get("/healthz")).status_code == 200


async def _silence(lasting: str) -> None:
    """Have the last sign of life be that much older than now."""
    async with crossing(Reason.HEALTH) as uow:
        await uow.execute(
            "update heartbeat set beaten_at = clock_timestamp() - cast(:lasting as interval)",
            lasting=lasting,
        )


async def test_not_ready_says_what_is_missing(
    api: Api, environment: pytest.MonkeyPatch, owner_url: str
) -> None:
    import sqlalchemy as sa

    engine = sa.create_engine(owner_url)
    with engine.begin() as connection:
        connection.execute(sa.text("update alembic_version set version_num = '0001'"))
    engine.dispose()
    environment.setenv("MATRIX_MODEL_URL", "http://127.0.0.1:9")  # the discard port: nobody listens
    settings.cache_clear()
    answer = await api.root().get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["model"] == "cannot be reached"
    assert answer.json()["migrations"].startswith("at 0001, needs ")
    assert (await api.root().get("/healthz")).status_code == 200


async def test_callers_are_sent_to_processes_that_answer_though_others_are_down(
    api: Api, environment: pytest.MonkeyPatch
) -> None:
    await heartbeat.beat(database())
    await _silence("1 minute")
    environment.setenv("MATRIX_MODEL_URL", "http://127.0.0.1:9")
    settings.cache_clear()

    assert (await api.root().get("/readyz")).status_code == 503
    assert (await api.root().get("/readyz/traffic")).status_code == 200


async def test_measurements_name_routes_not_addresses(api: Api, acme: Organization) -> None:
    client = await api.browser(acme)
    await client.get("keys/apikey_not_there")
    text = (await api.root().get("/metrics")).text
    assert 'matrix_http_requests_total{method="GET",route="/api/v1/keys/{key_id}",status="404"}' in text
    assert "apikey_not_there" not in text


async def test_measurements_do_not_grow_by_methods_that_callers_invent(api: Api) -> None:
    for number in range(3):
        await api.root().request(f"INVENTED{number}", "/healthz")

    text = (await api.root().get("/metrics")).text
    assert 'method="other"' in text
    assert "INVENTED" not in text


async def test_measurements_may_ask_for_a_token(api: Api, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MATRIX_METRICS_TOKEN", "let-me-see")
    settings.cache_clear()
    client = api.root()
    problem(await client.get("/metrics"), 401, "metrics_token_required")
    problem(
        await client.get("/metrics", headers={"authorization": "Bearer wrong"}), 401, "metrics_token_required"
    )
    assert (await client.get("/metrics", headers={"authorization": "Bearer let-me-see"})).status_code == 200


@pytest.mark.parametrize(
    "path", ["/healthz", "/api/v1/me", "/api/v1/nonsense", "/api/nonsense", "/v1/models"]
)
async def test_every_answer_is_guarded(api: Api, path: str) -> None:
    headers = (await api.root().get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-request-id"]
    assert "server" not in headers


async def test_the_document_says_openapi_3_1_and_how_to_sign_in(api: Api) -> None:
    document = api.contract.document
    assert document["openapi"].startswith("3.1")
    assert document["servers"] == [{"url": "/api/v1"}]
    assert set(document["components"]["securitySchemes"]) == {"ApiKey", "Session"}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            open_to_all = path.startswith(
                ("/sign-up", "/password/reset", "/mailbox", "/payment-link/")
            ) or path in (
                "/session",
                "/session/code",
                "/invitation/look",
                "/terms",
                "/invitation/sign-up",
                "/session/sign-out",
                "/files/{file_id}/content",  # by a signed link
                "/provider-accounts/{provider_account_id}/events",  # signed by the provider
            )
            assert bool(operation.get("security")) is not open_to_all, path
            assert "HTTPValidationError" not in str(operation)


async def test_our_pages_call_addresses_that_exist(api: Api) -> None:
    from matrix_app.pages import endpoints

    known = {f"/api/v1{path}" for path in api.contract.document["paths"]}
    ours = [value for name, value in vars(endpoints).items() if name.isupper() and isinstance(value, str)]
    assert ours
    for address in ours:
        if address.startswith("/api/v1"):
            assert address in known, address


async def test_with_the_database_away_everything_says_so(api: Api, acme: Organization) -> None:
    """The pool is asked for a database that is not there any more."""
    client = await api.key_client(acme)
    from services.core import database as databases

    here = databases.database()
    away = databases.connect("postgresql+psycopg://nobody@127.0.0.1:9/none")
    databases.install(away)
    try:
        answer = await client.get("models")
        problem(answer, 503, "unavailable")
        ready = await api.root().get("/readyz")
        assert (ready.status_code, ready.json()["database"]) == (503, "cannot be reached")
        assert ready.json()["worker"] == "unknown"
    finally:
        databases.install(here)
        await away.close()


@pytest.fixture
async def faulty() -> AsyncIterator[AsyncClient]:
    """An app whose resources fail in ways that ours should not."""
    inner = FastAPI()
    errors.install(inner)
    router = resource("faulty")

    @router.get("/bug")
    async def bug() -> None:
        raise ZeroDivisionError("the password is hunter2")

    @router.get("/away")
    async def away() -> None:
        raise Unavailable("The database cannot be reached.", next_step="Try again in a moment.")

    inner.include_router(router)

    async def torn(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise ZeroDivisionError("in the middle")

    outer = FastAPI()
    errors.install(outer)
    outer.mount("/torn", torn)
    outer.mount("/api/v1", inner)
    outer.add_middleware(Edge)
    async with AsyncClient(transport=ASGITransport(outer), base_url="http://test") as client:
        yield client


async def test_a_bug_shows_a_reference_and_nothing_else(faulty: AsyncClient, written: io.StringIO) -> None:
    answer = await faulty.get("/api/v1/bug")
    document = problem(answer, 500, "internal_error")
    assert "hunter2" not in answer.text
    assert "ZeroDivision" not in answer.text
    (line,) = [json.loads(line) for line in written.getvalue().splitlines()]
    assert (line["event"], line["trace_id"]) == ("request_failed", document["reference"])


async def test_what_is_away_is_503(faulty: AsyncClient) -> None:
    problem(await faulty.get("/api/v1/away"), 503, "unavailable")


async def test_half_an_answer_is_not_taken_for_a_whole_one(faulty: AsyncClient) -> None:
    with pytest.raises(ZeroDivisionError):  # a server cuts the connection here
        await faulty.get("/torn/x")


async def test_old_versions_of_rows_do_not_leak_between_requests(api: Api, acme: Organization) -> None:
    client = await api.browser(acme)
    before = (await client.get("organizations")).json()["data"][0]["name"]
    assert (await client.patch("organization", json={"name": "Renamed"})).json()["name"] == "Renamed"
    assert (await client.get("organizations")).json()["data"][0]["name"] == "Renamed" != before
    async with crossing(Reason.INVARIANTS) as uow:
        assert (await uow.execute("select name_key from organization")).scalar_one() == "renamed"


def test_a_long_address_is_told_in_part() -> None:
    """Each run of digits in it may begin a card's number, so looking through 64 kB held up everybody for seconds."""
    told = errors.shown_path({"path": "/4242424242424242/" + "4-" * 5_000_000})

    assert told.startswith("/[card number]/4-")
    assert len(told) < errors.PATH_CHARACTERS_MAX


async def test_a_wrong_method_is_told_all_right_ones(api: Api) -> None:
    answer = await api.client().put("keys")
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, POST"
    assert (await api.client().post("keys/apikey_1")).headers["allow"] == "DELETE, GET, PATCH"
