"""A database works with the keys it was begun with: lost or other ones stop a start, and are never replaced."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from httpx import ASGITransport

from matrix_app.api.app import create_app
from matrix_app.up import schema
from services.core import crypto, key_file
from services.core import settings as settings_module
from services.core.postgres import EmbeddedPostgres
from services.core.refusal import Refused
from services.core.settings import Settings
from tests.bench.product import free_port
from tests.conftest import TEMPLATE
from tests.folders import short_folder

ROOT = Path(__file__).parents[2]
BEGUN = "boot_begun"
PROCESSES = ("api", "worker", "migrate", "up")


def deeply(cases: Sequence[str]) -> list[Any]:
    """Each starts a process for seconds, and says what the one that always runs says: for `make test-deep`."""
    return [pytest.param(case, marks=pytest.mark.deep) for case in cases]


@dataclass(frozen=True, slots=True)
class Installation:
    """A migrated and furnished database of one's own, with a data folder."""

    data_dir: Path
    owner_url: str
    app_url: str

    @property
    def keys(self) -> Path:
        return self.data_dir / "keys" / "master.json"

    @property
    def settings(self) -> Settings:
        return Settings(data_dir=self.data_dir, database_url=self.owner_url, database_app_url=self.app_url)  # type: ignore[arg-type]

    async def matrix(self, *command: str) -> tuple[int | None, str]:
        """Exit status, and what was said on standard error."""
        return await asyncio.to_thread(self.matrix_at_once, *command)

    def matrix_at_once(self, *command: str) -> tuple[int | None, str]:
        """As `matrix`, where nothing waits."""
        process = subprocess.run(
            [sys.executable, "-m", "matrix_app.cli", *command], check=False, cwd=ROOT, stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
            env={
                **os.environ,
                "MATRIX_DATA_DIR": str(self.data_dir),
                "MATRIX_DATABASE_URL": self.owner_url,
                "MATRIX_DATABASE_APP_URL": self.app_url,
                "MATRIX_MODEL_URL": "http://127.0.0.1:9",
                "MATRIX_PORT": str(free_port()),
            },
        )  # fmt: skip
        return process.returncode, process.stderr.decode()


@pytest.fixture
def bare(owner_url: str, postgres: EmbeddedPostgres, database_name: str, tmp_path: Path) -> Installation:
    """Migrated, and nothing more: as a start leaves it that was killed there."""
    return Installation(tmp_path / "data", owner_url, postgres.app_url(database_name))


@pytest.fixture(scope="session")
def first_start(postgres: EmbeddedPostgres) -> Iterator[Installation]:
    """One installation that was started, for others to be copied from."""
    postgres.ensure_database(BEGUN, template=TEMPLATE)
    with short_folder() as folder:
        started = Installation(folder / "data", postgres.owner_url(BEGUN), postgres.app_url(BEGUN))
        assert started.matrix_at_once("migrate") == (0, "")
        yield started
    postgres.drop_database(BEGUN)


@pytest.fixture
def begun(first_start: Installation, postgres: EmbeddedPostgres, tmp_path: Path) -> Iterator[Installation]:
    """An installation after its first start, with the keys that were made then."""
    name = f"{BEGUN}_copy"
    postgres.ensure_database(name, template=BEGUN)
    shutil.copytree(first_start.data_dir, tmp_path / "data")
    yield Installation(tmp_path / "data", postgres.owner_url(name), postgres.app_url(name))
    postgres.drop_database(name)


async def assert_refused(installation: Installation, command: str, *words: str) -> None:
    before = installation.keys.read_bytes() if installation.keys.exists() else None

    status, said = await installation.matrix(command)

    assert (status, said.count("\n")) == (1, 1), said
    assert all(word in said for word in (str(installation.keys), "backup", *words)), said
    assert (installation.keys.read_bytes() if installation.keys.exists() else None) == before


async def test_keys_are_made_once_and_serve_every_later_start(begun: Installation) -> None:
    keys = begun.keys.read_bytes()

    assert await begun.matrix("migrate") == (0, "")

    assert begun.keys.read_bytes() == keys
    assert schema.is_furnished(begun.settings)


async def test_rotated_keys_serve_the_database_that_was_begun_with_the_old_ones(begun: Installation) -> None:
    old = json.loads(begun.keys.read_text())

    assert await begun.matrix("keys", "rotate") == (0, "")

    new = json.loads(begun.keys.read_text())
    assert (new["lookup"], len(new["keys"])) == (old["lookup"], 1)
    assert new["current"] != old["current"]
    assert schema.is_furnished(begun.settings)
    assert await begun.matrix("keys") == (0, "")


@pytest.mark.parametrize("command", [PROCESSES[0], *deeply(PROCESSES[1:])])
async def test_lost_keys_are_not_replaced(begun: Installation, command: str) -> None:
    begun.keys.unlink()

    await assert_refused(begun, command, "missing")


@pytest.mark.parametrize("command", [PROCESSES[0], *deeply(PROCESSES[1:])])
async def test_other_keys_are_refused(begun: Installation, command: str, tmp_path: Path) -> None:
    crypto.file_vault(tmp_path / "other")
    begun.keys.write_bytes((tmp_path / "other" / "keys" / "master.json").read_bytes())

    await assert_refused(begun, command)


async def test_keys_lost_for_good_give_way_to_new_ones_when_somebody_says_so(begun: Installation) -> None:
    lost = begun.keys.read_bytes()
    begun.keys.unlink()

    assert await begun.matrix("migrate", "--forget-lost-keys") == (0, "")

    assert begun.keys.read_bytes() != lost
    assert await begun.matrix("migrate") == (0, "")


DAMAGED = ("[]", "", "{", '{"current": "a", "keys": {"a": "zz"}, "lookup": "00"}')


@pytest.mark.parametrize("damaged", [DAMAGED[0], *deeply(DAMAGED[1:])])
async def test_damaged_keys_are_refused(begun: Installation, damaged: str) -> None:
    begun.keys.write_text(damaged)

    await assert_refused(begun, "migrate", "cannot be read")


async def test_a_start_killed_after_the_keys_were_made_goes_on_with_them(bare: Installation) -> None:
    key_file.make(bare.keys)
    made = json.loads(bare.keys.read_text())

    assert not schema.is_furnished(bare.settings)
    assert await bare.matrix("migrate") == (0, "")

    assert json.loads(bare.keys.read_text()) == made
    bare.keys.unlink()
    await assert_refused(bare, "migrate", "missing")


async def test_of_two_first_starts_with_keys_of_their_own_one_is_refused(
    bare: Installation, tmp_path: Path
) -> None:
    """Two machines on one database, each with a data folder, and nobody copied the keys."""
    other = Installation(tmp_path / "elsewhere", bare.owner_url, bare.app_url)

    answers = await asyncio.gather(bare.matrix("migrate"), other.matrix("migrate"))

    assert sorted(status or 0 for status, _ in answers) == [0, 1], answers
    assert "backup" in "".join(said for _, said in answers)


async def test_without_a_shape_there_are_no_keys(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    postgres.ensure_database("boot_empty")
    try:
        empty = Installation(
            tmp_path / "data", postgres.owner_url("boot_empty"), postgres.app_url("boot_empty")
        )

        status, said = await empty.matrix("worker")

        assert (status, said.count("\n")) == (1, 1), said
        assert "`matrix migrate`" in said
        assert not empty.keys.exists()
    finally:
        postgres.drop_database("boot_empty")


async def test_a_process_that_began_while_the_database_was_away_is_not_ready_with_other_keys(
    begun: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (
        ("DATA_DIR", str(begun.data_dir)),
        ("DATABASE_URL", begun.owner_url),
        ("DATABASE_APP_URL", begun.app_url),
    ):
        monkeypatch.setenv(f"MATRIX_{name}", value)
    settings_module.settings.cache_clear()
    app = create_app()
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=ASGITransport(app), base_url="http://here") as client,
    ):
        assert (await client.get("/readyz")).json()["keys"] == "ok"

        crypto.install(crypto.file_vault(tmp_path / "other"))
        answer = await client.get("/readyz")

        assert (answer.status_code, answer.json()["keys"]) == (503, "not those of this database")
    settings_module.settings.cache_clear()


async def test_with_the_database_away_keys_are_used_but_not_made(bare: Installation) -> None:
    nowhere = Installation(bare.data_dir, "postgresql://me@127.0.0.1:9/x", "postgresql://me@127.0.0.1:9/x")

    status, said = await nowhere.matrix("worker")

    assert (status, said.count("\n")) == (1, 1), said
    assert not bare.keys.exists()


def test_the_sentence_names_no_secret(tmp_path: Path) -> None:
    keys = key_file.make(tmp_path / "master.json")

    with pytest.raises(Refused) as refused:
        key_file.require_same(keys, bytes(32), tmp_path / "master.json")

    assert isinstance(keys.lookup, bytes)
    assert keys.lookup.hex() not in str(refused.value)
    assert keys.fingerprint != keys.lookup
