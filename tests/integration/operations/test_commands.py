"""`matrix backup`, `backups` and `restore` as an operator meets them, and the worker that calls them."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from matrix_app.cli import main
from matrix_app.worker import backups as worker
from services.core import database, migrations
from services.core import settings as settings_module
from services.core.database import Database
from services.core.keyring import open_vault
from services.core.postgres import EmbeddedPostgres
from services.operations.refusal import BackupRefused
from tests.integration.operations.conftest import KEY_TEXT, Installation, query

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str, **environment: str | Path) -> tuple[int, str]:
        set_environment(monkeypatch, **environment)
        code = main(list(arguments))
        said = capsys.readouterr()
        return code, said.out + said.err

    return call


def set_environment(monkeypatch: pytest.MonkeyPatch, **environment: str | Path) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(f"MATRIX_{name.upper()}", str(value))
    settings_module.settings.cache_clear()


async def know_keys(server: EmbeddedPostgres, data_dir: Path) -> None:
    """Have the database know the keys it is begun with, as furnishing does."""
    on = database.connect(server.app_url())
    await open_vault(on, data_dir)
    await on.close()


@pytest.fixture(autouse=True)
def forget_settings() -> Any:
    yield
    settings_module.settings.cache_clear()


def test_a_stopped_copy_is_backed_up_listed_and_restored(run: Run, place: Path) -> None:
    stopped, folder, key = place / "stopped", place / "kept", place / "key"
    key.write_text(KEY_TEXT)
    server = EmbeddedPostgres(stopped, durable=False)
    server.start()
    migrations.migrate(server.owner_url())
    asyncio.run(know_keys(server, stopped))
    server.stop()
    here = {"data_dir": stopped, "backup_key_file": key}

    code, said = run("backup", "--to", str(folder), **here)

    assert code == 0, said
    assert "read back and whole" in said
    assert "set MATRIX_BACKUP_DIR and start Matrix again" in said
    code, listed = run("backups", "--from", str(folder), **here)
    assert code == 0
    assert "without keys" in listed
    code, said = run(
        "restore", "--from", str(folder), "--to", str(place / "new"), "--at", "2126-01-01T00:00Z"
    )
    assert code == 1
    assert "no log was kept after it: leave out --at" in said
    code, said = run("restore", "--from", str(folder), "--to", str(place / "new"))
    assert code == 0, said
    assert "put the installation's keys/master.json" in said
    code, said = run("migrate", data_dir=place / "new")
    assert code == 1
    assert "master.json is missing" in said
    assert not (place / "new" / "keys" / "master.json").exists()


@pytest.mark.parametrize(
    ("arguments", "environment", "sentence"),
    [
        (["backup"], {}, "Name it with --to or MATRIX_BACKUP_DIR"),
        (["backups", "--from", "there"], {}, "set MATRIX_BACKUP_KEY_FILE to a file"),
        (["backups", "--from", "there"], {"backup_key_file": "key"}, "There are no backups in"),
        (["backup", "--to", "data/backups"], {"backup_key_file": "key"}, "is in the data folder"),
        (["backup", "--to", "there"], {"database_url": "postgresql://db/matrix"}, "with its own tools"),
        (["backups"], {"backup_dir": "there"}, "MATRIX_BACKUP_KEY_FILE is required"),
        (["backups"], {"backup_dir": ".", "backup_key_file": "key"}, "must not lie in MATRIX_BACKUP_DIR"),
        (
            ["restore", "--from", "there", "--to", "new", "--at", "yesterday"],
            {"backup_key_file": "key"},
            "'yesterday' is no moment: write it as",
        ),
        (
            ["restore", "--from", "there", "--to", "new", "--at", "2026-10-11T09:30"],
            {"backup_key_file": "key"},
            "names no time zone",
        ),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    arguments: list[str],
    environment: dict[str, str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "key").write_text(KEY_TEXT)

    code, said = run(*arguments, **environment)

    assert code == 1
    assert sentence in said
    assert said.startswith("matrix: ")
    assert {path.name for path in tmp_path.iterdir()} == {"key"}


async def test_the_worker_takes_the_log_and_backs_up_when_it_is_due(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen, folder = installation.settings, installation.folder
    here = {
        "data_dir": chosen.data_dir,
        "backup_dir": folder.path,
        "backup_key_file": str(chosen.backup_key_file),
    }
    set_environment(monkeypatch, **here)
    nothing = cast(Database, None)
    query(installation.postgres, "insert into note values ('for the worker')")
    with installation.postgres.superuser() as server:
        server.execute("select pg_switch_wal()")
    before = len(folder.log_parts())

    while len(folder.log_parts()) == before:
        await worker.collect_what_is_new(nothing)
    await worker.back_up_daily(nothing)
    assert folder.manifests() == [installation.first, installation.second]

    shutil.rmtree(folder.base / installation.second.id)
    shutil.rmtree(folder.base / installation.first.id)
    await worker.back_up_daily(nothing)
    assert len(folder.manifests()) == 1


async def test_a_backup_of_the_worker_that_fails_is_said(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("ee" * 32)
    set_environment(
        monkeypatch,
        data_dir=installation.data_dir,
        backup_dir=installation.folder.path,
        backup_key_file=tmp_path / "key",
    )
    for manifest in installation.folder.manifests():
        shutil.rmtree(installation.folder.base / manifest.id)

    with pytest.raises(BackupRefused, match="are encrypted with another key"):
        await worker.back_up_daily(cast(Database, None))
