"""An installation that was backed up, written to and backed up again: made once, restored from by many tests."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg
import pytest

from services.core import database, kept_log, migrations
from services.core.clock import SystemClock
from services.core.crossing import Reason, crossing
from services.core.keyring import open_vault
from services.core.postgres import EmbeddedPostgres
from services.core.settings import Settings
from services.identity import accounts, passwords
from services.operations.backup import make_backup
from services.operations.folder import BackupFolder, Manifest
from services.operations.sealing import BackupKey
from tests.folders import short_folder

EMAIL, PASSWORD = "ana@example.com", "nine lives and one more"
KEY_TEXT = "5a" * 32
KEY = BackupKey.of(KEY_TEXT)


@dataclass(slots=True)
class Installation:
    """`between` lies after the note "before" and before the note "after"."""

    settings: Settings
    postgres: EmbeddedPostgres
    folder: BackupFolder
    first: Manifest
    second: Manifest
    between: datetime

    @property
    def data_dir(self) -> Path:
        return self.settings.data_dir

    def copied_to(self, path: Path) -> BackupFolder:
        """The backup folder as a copy that a test may damage."""
        return BackupFolder(shutil.copytree(self.folder.path, path), KEY)


def query(server: EmbeddedPostgres, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(server.owner_url().replace("+psycopg", ""), autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def back_up(chosen: Settings, folder: BackupFolder, *, with_keys: bool = False, keep: int = 7) -> Manifest:
    return make_backup(chosen.data_dir, folder, keep=keep, with_keys=with_keys, clock=SystemClock())


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def installation(place: Path) -> Iterator[Installation]:
    (place / "key").write_text(KEY_TEXT)
    chosen = Settings(data_dir=place / "data", backup_dir=place / "backups", backup_key_file=place / "key")
    postgres = EmbeddedPostgres(chosen.data_dir, durable=False, options=kept_log.options(chosen))
    postgres.start()
    migrations.migrate(postgres.owner_url())
    (chosen.data_dir / "files").mkdir()
    (chosen.data_dir / "files" / "fil_1").write_text("a page of a contract")
    asyncio.run(add_ana(postgres, chosen.data_dir))
    query(postgres, "create table note (text text)")
    folder = BackupFolder(place / "backups", KEY)
    first = back_up(chosen, folder)
    query(postgres, "insert into note values ('before')")
    between = query(postgres, "select clock_timestamp()")[0][0]
    with postgres.superuser() as server:
        server.execute("select pg_switch_wal()")
    query(postgres, "insert into note values ('after')")
    with postgres.superuser() as server:
        server.execute("select pg_switch_wal()")
    (chosen.data_dir / "files" / "fil_1").unlink()
    (chosen.data_dir / "files" / "fil_2").write_text("new")
    second = back_up(chosen, folder, with_keys=True)
    assert isinstance(between, datetime)
    yield Installation(chosen, postgres, folder, first, second, between)
    postgres.stop()


async def add_ana(postgres: EmbeddedPostgres, data_dir: Path) -> None:
    on = database.connect(postgres.app_url())
    database.install(on)
    await open_vault(on, data_dir)
    async with crossing(Reason.SIGN_IN) as uow:
        hashed = await asyncio.to_thread(passwords._hasher.hash, PASSWORD)
        await accounts.add_confirmed(uow, email=EMAIL, name="Ana", password_hash=hashed)
    database.install(None)
    await on.close()
