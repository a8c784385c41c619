"""The real app in production mode, where nothing is shown to strangers that demo mode shows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from matrix_app.api.app import create_app
from services.core import settings as settings_module
from services.core.database import database
from services.core.postgres import EmbeddedPostgres
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
