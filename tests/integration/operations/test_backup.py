"""Backups: what is restored is what was there at that moment, and what cannot be trusted is refused."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from services.core import crypto, database, kept_log
from services.core.clock import SystemClock
from services.core.key_file import WrongKeys
from services.core.keyring import open_vault
from services.core.postgres import EmbeddedPostgres
from services.core.settings import Settings
from services.identity import queries, sessions
from services.identity.clients import Client
from services.operations import alarms, doctor
from services.operations.backup import is_due
from services.operations.collecting import collect
from services.operations.doctor import CHECKS, Health
from services.operations.folder import BackupFolder, Newest, newest
from services.operations.refusal import BackupRefused
from services.operations.restore import needed_log, restore
from services.operations.sealing import BackupKey
from tests.faults.callers import until
from tests.integration.operations.conftest import EMAIL, KEY, PASSWORD, Installation, back_up, query

pytestmark = pytest.mark.xdist_group("backup")  # the installation is made once for all tests here

Damage = Callable[[BackupFolder, Installation], None]


@contextmanager
def started(data_dir: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(data_dir, durable=False)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def content(server: EmbeddedPostgres) -> dict[str, list[str]]:
    """All rows of all tables."""
    tables = query(
        server, "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'"
    )
    with psycopg.connect(
        host=str(server.socket_dir), user="postgres", dbname="matrix", autocommit=True
    ) as connection:
        return {
            str(name): sorted(
                str(row[0]) for row in connection.execute(f'select t::text from "{name}" t'.encode())
            )
            for (name,) in tables
        }


async def signs_in(server: EmbeddedPostgres, data_dir: Path) -> bool:
    """Through the service, as the product's own role and with the keys in `data_dir`."""
    on = database.connect(server.app_url())
    database.install(on)
    try:
        crypto.install(await open_vault(on, data_dir))
        opened = await sessions.sign_in(
            email=EMAIL, password=PASSWORD, client=Client(address="192.0.2.10", user_agent="Firefox")
        )
        assert isinstance(opened, sessions.OpenedSession)
        signed_in = await queries.actor_for_token(opened.token)
        return signed_in is not None and signed_in.account.email == EMAIL
    finally:
        database.install(None)
        await on.close()


async def test_the_newest_state_comes_back_whole_and_people_sign_in(
    installation: Installation, tmp_path: Path, place: Path
) -> None:
    target = place / "newest"
    expected = content(installation.postgres)

    restored = restore(installation.folder, target)

    assert restored.manifest == installation.second
    assert not restored.keys_needed
    with started(target) as server:
        assert content(server) == expected
        assert query(server, "select text from note") == [("before",), ("after",)]
        assert await signs_in(server, target)
    keys = target / "keys" / "master.json"
    assert keys.read_bytes() == (installation.data_dir / "keys" / "master.json").read_bytes()
    assert keys.stat().st_mode & 0o077 == 0
    assert {path.name for path in (target / "files").iterdir()} == {"fil_2"}
    assert not (place / "newest.restoring").exists()


async def test_a_moment_comes_back_without_what_came_after_it(
    installation: Installation, place: Path
) -> None:
    target = place / "moment"

    restored = restore(installation.folder, target, at=installation.between)

    assert restored.manifest == installation.first
    assert restored.last_change_at is not None
    assert restored.last_change_at <= installation.between
    assert restored.keys_needed
    keys = (installation.data_dir / "keys" / "master.json").read_text()
    with started(target) as server:
        assert query(server, "select text from note") == [("before",)]
        with pytest.raises(WrongKeys, match=r"master.json is missing"):
            await signs_in(server, target)
        assert (target / "keys").stat().st_mode & 0o077 == 0
        (target / "keys" / "master.json").write_text(keys)
        assert await signs_in(server, target)
    assert (target / "files" / "fil_1").read_text() == "a page of a contract"


def test_what_a_backup_says_of_itself_is_true(installation: Installation) -> None:
    first, second = installation.folder.manifests()

    assert (first, second) == (installation.first, installation.second)
    assert first.started_at < first.finished_at < installation.between < second.started_at
    assert (first.log_kept, first.with_keys, second.with_keys) == (True, False, True)
    assert first.revision == query(installation.postgres, "select version_num from alembic_version")[0][0]
    assert not is_due(installation.folder, second.started_at + timedelta(hours=23))
    assert is_due(installation.folder, second.started_at + timedelta(hours=24))


def test_nothing_in_the_folder_can_be_read_without_the_key(installation: Installation) -> None:
    secrets = (EMAIL.encode(), b"contract", b"PG_VERSION", b"lookup")

    for path in installation.folder.path.rglob("*"):
        if path.is_file():
            assert not any(secret in path.read_bytes() for secret in secrets), path


def one_bit_of_the_database(folder: BackupFolder, made: Installation) -> None:
    change_a_bit(folder.base / made.second.id / "cluster")


def one_bit_of_the_log(folder: BackupFolder, made: Installation) -> None:
    change_a_bit(folder.log_after(made.second)[0].path)


def the_end_of_the_database(folder: BackupFolder, made: Installation) -> None:
    path = folder.base / made.second.id / "cluster"
    path.write_bytes(path.read_bytes()[: -1024 * 1024])


def a_part_of_another_backup(folder: BackupFolder, made: Installation) -> None:
    other = folder.base / made.first.id / "cluster"
    (folder.base / made.second.id / "cluster").write_bytes(other.read_bytes())


def a_word_of_the_manifest(folder: BackupFolder, made: Installation) -> None:
    path = folder.base / made.second.id / "manifest.json"
    path.write_text(path.read_text().replace('\\"log_kept\\":true', '\\"log_kept\\":false', 1))
    path.write_text(path.read_text().replace('\\"log_kept\\": true', '\\"log_kept\\": false', 1))


def change_a_bit(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (one_bit_of_the_database, r"cluster is damaged at chunk \d+: take another copy of it"),
        (one_bit_of_the_log, r"log/[0-9A-F]{24} is damaged at chunk \d+"),
        (the_end_of_the_database, r"cluster is damaged at chunk \d+"),
        (a_part_of_another_backup, r"cluster holds base/\S+ and not base/\S+: it was moved or renamed"),
        (a_word_of_the_manifest, r"manifest.json was changed: take another copy of it"),
    ],
)
def test_damage_is_refused_and_leaves_nothing(
    installation: Installation, tmp_path: Path, place: Path, damage: Damage, sentence: str
) -> None:
    folder = installation.copied_to(tmp_path / "backups")
    damage(folder, installation)

    with pytest.raises(BackupRefused, match=sentence):
        restore(folder, place / "damaged")

    assert not (place / "damaged").exists()
    assert not (place / "damaged.restoring").exists()


def test_another_key_is_refused(installation: Installation, place: Path) -> None:
    folder = BackupFolder(installation.folder.path, BackupKey.of("ee" * 32))

    with pytest.raises(BackupRefused, match=r"The key given does not open .*MATRIX_BACKUP_KEY_FILE"):
        restore(folder, place / "keyless")


def test_a_missing_segment_of_the_log_is_named_with_the_moment_before_it(
    installation: Installation, tmp_path: Path, place: Path
) -> None:
    folder = installation.copied_to(tmp_path / "backups")
    log = folder.log_after(installation.first)
    whole = next(part for part in log if part.put_aside_at >= installation.between)
    missing = log[log.index(whole) + 1]
    missing.path.unlink()

    with pytest.raises(BackupRefused, match=rf"lacks segment {missing.segment}: put it back, or restore"):
        restore(folder, place / "gap", at=installation.second.started_at)

    assert needed_log(folder, installation.first, installation.between)[-1] == whole
    assert not (place / "gap").exists()


def test_moments_outside_of_what_was_kept_are_refused(installation: Installation, place: Path) -> None:
    with pytest.raises(
        BackupRefused, match=r"The oldest backup in .* is of .*: choose that moment or a later"
    ):
        restore(installation.folder, place / "early", at=installation.first.started_at)
    with pytest.raises(BackupRefused, match=r"The log that was kept ends before .*: choose an earlier --at"):
        restore(installation.folder, place / "late", at=installation.second.finished_at + timedelta(days=1))

    assert not (place / "late").exists()


@pytest.mark.parametrize("target", ["data", "backups"])
def test_a_folder_in_use_is_never_restored_into(installation: Installation, place: Path, target: str) -> None:
    with pytest.raises(BackupRefused, match="is in use or not empty: restore into a new folder"):
        restore(installation.folder, place / target)

    assert installation.postgres.ready()


def test_a_restore_that_was_cut_off_is_not_mistaken_for_one_that_runs(
    installation: Installation, place: Path
) -> None:
    (place / "cut.restoring").mkdir()

    with pytest.raises(BackupRefused, match="remove it and try again"):
        restore(installation.folder, place / "cut")


def test_another_copy_does_not_write_into_the_same_folder(installation: Installation, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()

    with pytest.raises(BackupRefused, match="holds the backups of another copy of Matrix"):
        collect(tmp_path / "other", installation.folder, at=installation.between)


def test_another_key_does_not_write_into_the_same_folder(installation: Installation) -> None:
    folder = BackupFolder(installation.folder.path, BackupKey.of("ee" * 32))

    with pytest.raises(BackupRefused, match="are encrypted with another key"):
        collect(installation.data_dir, folder, at=installation.between)


@pytest.mark.parametrize(
    ("changed", "later", "health", "words"),
    [
        ({}, timedelta(), Health.OK, "The newest base backup is of"),
        ({}, timedelta(days=3), Health.FAILED, "The newest base backup is of"),
        ({"data_dir": Path("waiting")}, timedelta(minutes=20), Health.FAILED, "is in no backup"),
        ({"backup_key_file": Path("/nowhere/key")}, timedelta(), Health.FAILED, "from /nowhere/key (No such file"),
        ({"backup_dir": Path("/nowhere/else")}, timedelta(), Health.WARNING, "There is no backup in /nowhere/else"),
        ({"backup_dir": None}, timedelta(), Health.OK, "this demo"),
        ({"backup_dir": None, "mode": "production"}, timedelta(), Health.WARNING, "No backups are kept."),
        ({"database_url": "postgresql://x/y"}, timedelta(), Health.SKIPPED, "by its own tools"),
    ],
)  # fmt: skip
async def test_the_doctor_misses_backups_that_are_not_made(
    installation: Installation,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changed: dict[str, object],
    later: timedelta,
    health: Health,
    words: str,
) -> None:
    class Later(SystemClock):
        def now(self) -> datetime:
            return super().now() + later

    monkeypatch.setattr(doctor, "SystemClock", Later)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "waiting" / "kept-log").mkdir(parents=True)
    (tmp_path / "waiting" / "kept-log" / "000000010000000000000001").touch()
    nowhere = database.connect("postgresql+psycopg://matrix@127.0.0.1:9/matrix", pool_size=2)

    found = await CHECKS["D012"].look(doctor.Place(installation.settings.model_copy(update=changed), nowhere))
    await nowhere.close()

    assert (found.health, words in found.detail) == (health, True), found


async def test_how_old_the_newest_backup_is_can_be_measured_without_the_key(
    installation: Installation,
) -> None:
    kept, log = installation.settings, installation.folder.log_parts()

    found = newest(installation.folder.path)
    measured = await alarms.beside(kept)
    away = await alarms.beside(kept.model_copy(update={"backup_dir": Path("/nowhere/else")}))

    begun = installation.second.started_at.replace(microsecond=0)
    assert found == Newest(base=begun, log=log[-1].put_aside_at)
    names = ["matrix_backup_base_age_seconds", "matrix_backup_log_age_seconds"]
    assert [name for name, _, age_s in measured if math.isfinite(age_s)] == names
    assert away == [(name, "", math.inf) for name in names]
    for changed in ({"backup_dir": None}, {"database_url": "postgresql://x/y"}):
        assert await alarms.beside(kept.model_copy(update=changed)) == []


def test_log_is_taken_once_also_after_a_crash_between_writing_and_forgetting(
    installation: Installation, tmp_path: Path
) -> None:
    query(installation.postgres, "insert into note values ('later')")
    with installation.postgres.superuser() as server:
        server.execute("select pg_switch_wal()")
    kept = installation.data_dir / "kept-log"
    while not (segments := [path for path in kept.iterdir() if path.suffix == ""]):
        pass
    segment, once_more = segments[0], segments[0].read_bytes()

    def collected() -> bytes:
        collect(installation.data_dir, installation.folder, at=installation.between)
        assert not segment.exists()
        with installation.folder.part(f"log/{segment.name}") as reader:
            return reader.readall()

    assert collected() == once_more
    segment.write_bytes(once_more)
    assert collected() == once_more
    segment.write_bytes(once_more[:-1] + b"x")
    with pytest.raises(BackupRefused, match="two copies of Matrix write into"):
        collected()
    segment.unlink()


async def test_log_is_put_aside_soon_after_a_start_too(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only from the server's first checkpoint on, which comes after five minutes."""
    monkeypatch.setattr(kept_log, "PUT_ASIDE_AFTER_S", 1)
    chosen = Settings(data_dir=place / "fresh", backup_dir=place / "kept", backup_key_file=place / "key")
    server = EmbeddedPostgres(chosen.data_dir, durable=False, options=kept_log.options(chosen))
    server.start()
    server.stop()
    for put_aside in kept_log.folder(chosen.data_dir).iterdir():
        put_aside.unlink()

    server.start()
    query(server, "create table note (text text)")

    await until(lambda: any(kept_log.folder(chosen.data_dir).iterdir()), "the server puts log aside")
    server.stop()


def test_only_so_many_backups_are_kept_and_the_log_back_to_the_oldest(installation: Installation) -> None:
    folder = installation.folder
    left_over = folder.draft("20260101T000000Z-dead")

    newest = back_up(installation.settings, folder, keep=1)

    assert folder.manifests() == [newest]
    assert not left_over.exists()
    assert folder.log_parts()[0].segment == newest.log_from
    assert not (folder.files / "fil_1").exists()
    assert (folder.files / "fil_2").exists()


def test_a_database_that_does_not_run_is_a_sentence(installation: Installation, tmp_path: Path) -> None:
    chosen = installation.settings.model_copy(update={"data_dir": tmp_path})

    with pytest.raises(BackupRefused, match="does not answer: start Matrix, then back it up"):
        back_up(chosen, BackupFolder(tmp_path / "backups", KEY))
