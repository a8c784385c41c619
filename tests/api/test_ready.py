"""Whether a process may be sent callers: by its database, and by the shape the database has."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from matrix_app.api import health
from services.core import key_file
from services.core.database import libpq_url
from services.core.key_file import Keys, Remote, Wrapped
from services.core.settings import Settings, settings
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


async def test_what_keeps_the_keys_is_told_apart_from_the_keys_and_makes_nothing_unready(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All processes at once would be sent no callers any more, and whoever starts them again would have none."""

    async def asked(path: str) -> tuple[int, dict[str, str]]:
        async with api.root() as client:
            answer = await client.get(path)
        return answer.status_code, answer.json()

    status, before = await asked("/readyz")
    wraps = Keys("one", {"one": Remote("aws-kms", "wraps")}, Wrapped("one", b"lookup", b"fingerprint"))
    key_file.make(key_file.path_in(tmp_path / "kms"), wraps)
    away = Settings(
        data_dir=tmp_path / "kms", keys="aws-kms", kms_key="wraps", kms_endpoint="http://127.0.0.1:9",
        kms_access_key="who", kms_secret_key=SecretStr("secret"),
    )  # fmt: skip
    monkeypatch.setattr(health, "settings", lambda: away)

    assert before["key_service"] == "not configured"
    assert await asked("/readyz") == (status, before | {"key_service": "away"})
    assert (await asked("/readyz/traffic"))[0] == 200
    async with api.root() as client:
        assert "matrix_key_service_answers 0.0" in (await client.get("/metrics")).text
