"""The real app in production mode, where nothing is shown to strangers that demo mode shows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from matrix_app.api.app import create_app
from services.core import settings as settings_module
from services.core.database import database
from services.core.postgres import EmbeddedPostgres
from tests.api.contract import contract_of
from tests.integration.walk import operations
from tests.integration.walk.callers import Cast
from tests.integration.walk.victim import Victim, furnish
from tests.integration.walk.walking import NEEDS, Walk, needs_of
from tests.world import World

ADDRESS = "http://localhost:3000"


@pytest.fixture
async def app(
    postgres: EmbeddedPostgres, database_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[FastAPI]:
    values = {
        "DATABASE_URL": postgres.owner_url(database_name),
        "DATABASE_APP_URL": postgres.app_url(database_name),
        "DATA_DIR": str(tmp_path),
        "PUBLIC_URL": ADDRESS,
        "POOL_SIZE": "8",
        "MODE": "production",
        "ALLOW_PRIVATE_UPSTREAMS": '["127.0.0.1:9"]',  # as the victim's payment provider
        "SMTP_URL": "smtp://127.0.0.1:9",  # the discard port: nothing is sent, as no worker runs
    }
    for name, value in values.items():
        monkeypatch.setenv(f"MATRIX_{name}", value)
    monkeypatch.delenv("MATRIX_MODEL_URL", raising=False)
    settings_module.settings.cache_clear()
    made = create_app()
    async with made.router.lifespan_context(made):
        yield made
    settings_module.settings.cache_clear()


@pytest.fixture
def world(app: FastAPI) -> World:
    """People and organisations of the app's own database."""
    return World(database())


@pytest.fixture
async def victim(world: World) -> Victim:
    return await furnish(world, "Victim")


@pytest.fixture
async def walk(app: FastAPI, world: World, victim: Victim) -> AsyncIterator[Walk]:
    document = (await contract_of(app, ADDRESS)).document
    cookie = document["components"]["securitySchemes"]["Session"]["name"]
    transport = ASGITransport(app, client=("192.0.2.10", 40_000))
    async with AsyncClient(transport=transport, base_url=ADDRESS) as client:
        walk = Walk(client, operations.declared(document), cookie, {})
        if not NEEDS:
            NEEDS.update(await needs_of(walk, await Cast(world, victim).key_without_scopes(), victim))
        walk.needs = NEEDS
        yield walk
