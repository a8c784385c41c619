"""The API as programs reach it: the real app and its lifespan over a database of the test's own."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from granian.constants import Interfaces
from granian.server.embed import Server
from httpx import ASGITransport, AsyncClient

from matrix_app.api.app import create_app
from models.identity import Account, Organization
from models.types import OrganizationKind, Role
from services.core import settings as settings_module
from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.core.database import database
from services.core.postgres import EmbeddedPostgres
from services.core.work import unit_of_work
from services.identity import keys, passwords
from tests.api.contract import Contract, contract_of
from tests.bench.product import free_port
from tests.fakes.collector import Collector, collecting
from tests.integration.gateway.house import WAIT_S, until_answers
from tests.world import World

PASSWORD = "nine lives and one more"
ADDRESS = "http://localhost:3000"


@pytest.fixture
def environment(
    postgres: EmbeddedPostgres, database_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> pytest.MonkeyPatch:
    """Settings of one test; whoever changes them clears their cache."""
    monkeypatch.setenv("MATRIX_DATABASE_URL", postgres.owner_url(database_name))
    monkeypatch.setenv("MATRIX_DATABASE_APP_URL", postgres.app_url(database_name))
    monkeypatch.setenv("MATRIX_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("MATRIX_PUBLIC_URL", ADDRESS)
    monkeypatch.setenv("MATRIX_POOL_SIZE", "8")
    monkeypatch.delenv("MATRIX_MODEL_URL", raising=False)
    settings_module.settings.cache_clear()
    return monkeypatch


@pytest.fixture
def called() -> list[str]:
    """host:port of fakes on this machine that the app may call."""
    return []


@pytest.fixture
def traced(environment: pytest.MonkeyPatch, called: list[str]) -> Iterator[Collector]:
    """Where the app, made after this, sends its traces. It also writes down everything it does."""
    with collecting() as collector:
        environment.setenv("MATRIX_OTEL_ENDPOINT", collector.address)
        environment.setenv("MATRIX_LOG_LEVEL", "debug")
        environment.setenv("MATRIX_ALLOW_PRIVATE_UPSTREAMS", json.dumps(called))
        settings_module.settings.cache_clear()
        yield collector


@pytest.fixture
async def logged(traced: Collector, app: FastAPI) -> AsyncIterator[io.StringIO]:
    """What the app logs, as it writes it."""
    stream = io.StringIO()
    handler = logging.getLogger().handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    before = handler.setStream(stream)
    yield stream
    handler.setStream(before or stream)


@pytest.fixture
async def app(environment: pytest.MonkeyPatch) -> AsyncIterator[FastAPI]:
    made = create_app()
    async with made.router.lifespan_context(made):
        yield made
    settings_module.settings.cache_clear()


@dataclass
class Api:
    """Clients of one running app, and the people and organisations they act for."""

    app: FastAPI
    world: World
    contract: Contract

    def client(self, address: str = "192.0.2.10", **options: Any) -> AsyncClient:
        """A program. Each answer it gets is held against the OpenAPI document."""
        options.setdefault("base_url", f"{ADDRESS}/api/v1/")
        return AsyncClient(
            transport=ASGITransport(self.app, client=(address, 40_000)),
            event_hooks={"response": [self.contract.check]},
            **options,
        )

    def root(self, **options: Any) -> AsyncClient:
        return AsyncClient(transport=ASGITransport(self.app), base_url=ADDRESS, **options)

    async def key_client(self, organization: Organization, *scopes: str) -> AsyncClient:
        """Somebody with a fresh key of these scopes."""
        actor = system(organization.id)
        async with unit_of_work(actor) as uow:
            created = await keys.create_key(uow, name="test key", scopes=scopes or ("inference",))
        return self.client(headers={"authorization": f"Bearer {created.secret}"})

    async def browser(
        self, organization: Organization | None = None, role: Role = Role.OWNER, email: str = ""
    ) -> AsyncClient:
        """Somebody signed in by cookie, with the header that our own pages send."""
        account = await self.world.account(email, member_of=organization, role=role)
        await set_password(account)
        client = self.client(headers={"x-matrix-csrf": "1"})
        answer = await client.post("session", json={"email": account.email, "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        return client


@lru_cache(maxsize=1)
def password_hash() -> str:
    """Of PASSWORD, made once for all tests: it is meant to take long."""
    return passwords._hasher.hash(PASSWORD)


async def set_password(account: Account) -> None:
    async with crossing(Reason.DEMO) as uow:
        await uow.execute(
            "update account set password_hash = :hash where id = :id",
            hash=password_hash(),
            id=account.id,
        )


@pytest.fixture
async def api(app: FastAPI) -> Api:
    return Api(app, World(database()), await contract_of(app, ADDRESS))


@pytest.fixture
async def acme(api: Api) -> Organization:
    return await api.world.organization(name="Acme")


@pytest.fixture
async def operators(api: Api) -> Organization:
    return await api.world.organization(OrganizationKind.OPERATOR, name="Operators")


@pytest.fixture
async def wire(app: FastAPI) -> AsyncIterator[int]:
    """The port of the real server, with the app behind it."""
    port = free_port()
    server = Server(app, address="127.0.0.1", port=port, interface=Interfaces.ASGINL, log_enabled=False)
    serving = asyncio.create_task(server.serve())
    await until_answers(f"http://127.0.0.1:{port}")
    yield port
    server.stop()
    await asyncio.wait_for(serving, WAIT_S)


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document of an answer, after checking that it is a good one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["code"] == code, document
    assert document["status"] == status
    assert document["type"] == f"urn:matrix:error:{code}"
    assert document["title"]
    assert document["detail"]
    assert document["reference"] == answer.headers["x-request-id"]
    assert "Traceback" not in answer.text
    return document
