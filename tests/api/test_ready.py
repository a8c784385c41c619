"""Whether a process may be sent callers: by its database, and by the shape the database has."""

from __future__ import annotations

import psycopg
import pytest

from services.core.database import libpq_url
from services.core.settings import settings
from tests.api.conftest import Api


@pytest.mark.parametrize(
    ("revision", "status", "said"),
    [("9999", 200, "newer than this code"), ("0001", 503, "at 0001, needs")],
)
async def test_a_newer_shape_is_served_and_an_older_one_is_not(
    api: Api, revision: str, status: int, said: str
) -> None:
    url = settings().database_url
    assert url is not None
    async with await psycopg.AsyncConnection.connect(libpq_url(url.get_secret_value())) as owner:
        await owner.execute("update alembic_version set version_num = %s", [revision])

    async with api.root() as client:
        answer = await client.get("/readyz/traffic")

    assert answer.status_code == status
    assert answer.json()["migrations"].startswith(said)
