"""Base backups of the embedded database, with the tools that come with it.

A base backup is a copy of the running cluster made by pg_basebackup, sealed while it is made, so that nothing of it
touches the disk in the clear. Restoring goes on from there through the log that the server puts aside.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any

import psycopg

from services.core.clock import Clock
from services.core.postgres import DATABASE, SUPERUSER, EmbeddedPostgres
from services.core.tether import tied
from services.operations.collecting import alone, collect, copy_of, gone_files, seal_file
from services.operations.folder import (
    BackupFolder,
    Manifest,
    new_id,
    segment_at,
    segment_named,
    segment_number,
)
from services.operations.refusal import BackupRefused
from services.operations.sealing import CHUNK_BYTES, SealedReader, SealedWriter, Written

DUE_AFTER = timedelta(days=1)
LOG_TIMEOUT_S = 60.0
KEYS = Path("keys") / "master.json"
CLUSTER_MANIFEST = "backup_manifest"
_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class _Server:
    """What the running server says about itself."""

    version: str
    system_identifier: str
    log_kept: bool
    revision: str


@dataclass(frozen=True, slots=True)
class _Range:
    """What of the log a copy of the cluster needs to be whole."""

    timeline: int
    start_lsn: str
    end_lsn: str


def make_backup(
    data_dir: Path,
    folder: BackupFolder,
    *,
    keep: int,
    with_keys: bool,
    clock: Clock,
    binaries: Path | None = None,
) -> Manifest:
    """Back up the running database of `data_dir`, check what was written, and forget all but `keep` base backups.

    Blocking, for minutes when there is much. A backup that is cut off does not count and is removed by the next.
    Raises BackupRefused.
    """
    postgres = EmbeddedPostgres(data_dir, binaries=binaries)
    with alone(data_dir, "backup"), _disk_of(folder):
        folder.claim(copy_of(data_dir))
        for left in folder.unfinished():
            shutil.rmtree(left)
        started_at = clock.now()
        backup_id = new_id(started_at)
        draft = folder.draft(backup_id)
        with _connected(postgres) as server:
            about = _about(server, postgres)
            cluster, copied = _copy_cluster(server, postgres, draft, backup_id, folder)
            if about.log_kept:
                _put_log_aside(server, copied, postgres)
        collect(data_dir, folder, at=clock.now())
        parts = [cluster]
        if with_keys:
            parts.append(_seal_keys(data_dir, draft, backup_id, folder))
        manifest = Manifest(
            id=backup_id,
            started_at=started_at,
            finished_at=clock.now(),
            postgres=about.version,
            revision=about.revision,
            system_identifier=about.system_identifier,
            timeline=copied.timeline,
            start_lsn=copied.start_lsn,
            end_lsn=copied.end_lsn,
            # Its own parts end with a whole segment: the server begins another when a copy is complete.
            log_from=segment_named(copied.timeline, segment_at(copied.end_lsn, -1) + 1),
            log_kept=about.log_kept,
            master_keys=_master_keys(data_dir),
            parts=parts,
        )
        folder.publish(draft, manifest)
        forget_old(folder, keep=keep)
    return manifest


def is_due(folder: BackupFolder, at: datetime) -> bool:
    """Whether the newest base backup is too old, or the log after it has a gap."""
    made = folder.manifests() if folder.base.is_dir() else []
    return not made or made[-1].started_at + DUE_AFTER <= at or folder.first_gap(made[-1]) is not None


def forget_old(folder: BackupFolder, *, keep: int) -> None:
    """Remove all but the newest `keep` base backups, and the log and files that only those needed."""
    manifests = folder.manifests()
    for manifest in manifests[:-keep]:
        shutil.rmtree(folder.base / manifest.id)
    oldest = manifests[-keep:][0]
    for part in folder.log_parts():
        if part.timeline <= oldest.timeline and part.number < segment_number(oldest.log_from):
            part.path.unlink()
    for place, since in gone_files(folder).items():
        if since < oldest.started_at:
            (folder.files / place).unlink(missing_ok=True)


# -- steps


@contextmanager
def _disk_of(folder: BackupFolder) -> Generator[None]:
    """Turn a full or failing disk into a sentence."""
    try:
        yield
    except OSError as error:
        raise BackupRefused(
            f"The backup in {folder.path} could not be written ({error.strerror}): make room, or choose "
            "another MATRIX_BACKUP_DIR."
        ) from error


def _connected(postgres: EmbeddedPostgres) -> psycopg.Connection:
    try:
        return postgres.superuser(DATABASE)
    except psycopg.OperationalError as error:
        raise BackupRefused(
            f"The database of {postgres.data_dir} does not answer: start Matrix, then back it up."
        ) from error


def _value(server: psycopg.Connection, query: str) -> Any:
    row = server.execute(query.encode()).fetchone()
    return row[0] if row else None


def _about(server: psycopg.Connection, postgres: EmbeddedPostgres) -> _Server:
    try:
        revision = str(_value(server, "select version_num from alembic_version"))
    except psycopg.errors.UndefinedTable as error:
        raise BackupRefused(
            f"The database of {postgres.data_dir} is empty: run `matrix migrate` before a backup."
        ) from error
    return _Server(
        version=str(_value(server, "show server_version")),
        system_identifier=str(_value(server, "select system_identifier from pg_control_system()")),
        log_kept=_value(server, "show archive_mode") == "on",
        revision=revision,
    )


def _copy_cluster(
    server: psycopg.Connection, postgres: EmbeddedPostgres, draft: Path, backup_id: str, folder: BackupFolder
) -> tuple[Written, _Range]:
    # Without it the server may throw away log that was written while the copy was made, which then fails at its end.
    slot = f"matrix_backup_{secrets.token_hex(4)}"
    server.execute("select pg_create_physical_replication_slot(%s, true, true)", [slot])
    command = [postgres.binaries / "pg_basebackup", "--host", postgres.socket_dir, "--username", SUPERUSER]
    command += ["--pgdata=-", "--format=tar", "--wal-method=fetch", "--checkpoint=fast"]
    command += ["--manifest-checksums=SHA256", "--no-password"]
    name = f"base/{backup_id}/cluster"
    with tempfile.TemporaryFile() as said:
        copying = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            preexec_fn=tied(),
        )
        with copying, SealedWriter(draft / "cluster", name, folder.key, folder.salt) as writer:
            if copying.stdout is None:
                raise RuntimeError("pg_basebackup was started without a pipe.")
            while piece := copying.stdout.read(CHUNK_BYTES):
                writer.write(piece)
            if copying.wait() != 0:
                said.seek(0)
                raise BackupRefused(f"The database could not be copied: {_last_line(said)}")
            written = writer.finish()
    server.execute("select pg_drop_replication_slot(%s)", [slot])
    return written, _checked_cluster(draft / "cluster", written, folder)


def _checked_cluster(path: Path, written: Written, folder: BackupFolder) -> _Range:
    """Read the copy back from the disk and compare each file with the server's own manifest of them."""
    found: dict[str, tuple[int, str]] = {}
    stated: dict[str, Any] = {}
    with SealedReader(path, written.name, folder.key) as reader:
        with tarfile.open(fileobj=reader, mode="r|", bufsize=CHUNK_BYTES) as members:
            for member in members:
                content = members.extractfile(member)
                if content is None:
                    continue
                name = member.name.removeprefix("./")
                if name == CLUSTER_MANIFEST:
                    stated = json.load(content)
                    continue
                digest = hashlib.sha256()
                while piece := content.read(CHUNK_BYTES):
                    digest.update(piece)
                found[name] = (member.size, digest.hexdigest())
        if reader.finish() != (written.plain_bytes, written.plain_sha256):
            raise BackupRefused(f"{path} does not hold what was written to it: check its disk.")
    for file in stated.get("Files", []):
        if found.get(file["Path"]) != (file["Size"], file["Checksum"]):
            raise BackupRefused(f"The copy of the database is not whole ({file['Path']} differs): try again.")
    ranges = stated.get("WAL-Ranges", [])
    if len(ranges) != 1:
        raise BackupRefused("The copy of the database does not say what log it needs: try again.")
    return _Range(ranges[0]["Timeline"], ranges[0]["Start-LSN"], ranges[0]["End-LSN"])


def _put_log_aside(server: psycopg.Connection, copied: _Range, postgres: EmbeddedPostgres) -> None:
    """Have the server put aside its log up to the end of the copy, so that restoring may go on from there."""
    # A commit after the copy, so that any moment before it has a change that follows it: only then can the server
    # know, when it restores to that moment, that it has reached it.
    server.execute("select pg_logical_emit_message(true, 'matrix backup', '')")
    ended_at = str(_value(server, "select pg_switch_wal()"))
    wanted = segment_named(copied.timeline, segment_at(ended_at, -1))
    deadline = time.monotonic() + LOG_TIMEOUT_S
    while str(_value(server, "select last_archived_wal from pg_stat_archiver") or "")[:24] < wanted:
        if time.monotonic() > deadline:
            raise BackupRefused(
                f"The database does not put its log aside in {postgres.data_dir}: see {postgres.log_path}."
            )
        time.sleep(_POLL_S)


def _seal_keys(data_dir: Path, draft: Path, backup_id: str, folder: BackupFolder) -> Written:
    path = data_dir / KEYS
    if not path.exists():
        raise BackupRefused(f"There is no {path} to put into the backup: leave out --with-keys.")
    return seal_file(path, draft / "keys", f"base/{backup_id}/keys", folder)


def _master_keys(data_dir: Path) -> list[str]:
    try:
        return sorted(json.loads((data_dir / KEYS).read_text())["keys"])
    except FileNotFoundError:
        return []


def _last_line(said: IO[bytes]) -> str:
    lines = re.split(r"[\r\n]+", said.read().decode(errors="replace").strip())
    return lines[-1] or "it said nothing"
