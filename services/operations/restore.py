"""Making a data folder from a backup: the database as it was at a moment, the files, and the keys if they are there.

All of it is made beside its place and moved there when it is complete, so a restore that fails leaves nothing.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tarfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from services.core import key_file
from services.core.postgres import EmbeddedPostgres
from services.core.postgres_account import PostgresFailed, ServerAccount, server_account
from services.operations.collecting import FILES, gone_files, stored_files
from services.operations.folder import BackupFolder, LogPart, Manifest, segment_number
from services.operations.refusal import BackupRefused
from services.operations.sealing import CHUNK_BYTES, SealedReader

RECOVERY_TIMEOUT_S = 6 * 3_600.0
_NOT_REACHED = "recovery ended before configured recovery target was reached"


@dataclass(frozen=True, slots=True)
class Restored:
    """`last_change_at` is the last commit that was restored; None when the base backup was all there is."""

    manifest: Manifest
    last_change_at: datetime | None
    keys_needed: bool


def restore(
    folder: BackupFolder, data_dir: Path, *, at: datetime | None = None, binaries: Path | None = None
) -> Restored:
    """Restore the newest state, or that of the moment `at`, into the new folder `data_dir`.

    Commits up to and with `at` are there, later ones are not. Blocking, for as long as reading the backup and its
    log takes. Raises BackupRefused or PostgresFailed, and leaves nothing then.
    """
    _require_free(data_dir)
    manifest = choose(folder.manifests(), at, folder)
    log = needed_log(folder, manifest, at)
    with _staging(data_dir) as staging:
        postgres = EmbeddedPostgres(
            staging,
            binaries=binaries,
            options=_recovery(staging, at),
            start_timeout_s=RECOVERY_TIMEOUT_S,
        )
        account = server_account()
        _open_cluster(folder, manifest, postgres)
        _open_log(log, folder, staging, account)
        too_short = None if at is None else _too_short(folder, manifest, at)
        last_change_at = _recover(postgres, account, too_short)
        _open_files(folder, staging, at)
        # Without them nothing starts here: the database knows the keys it was begun with.
        key_file.path_in(staging).parent.mkdir(mode=0o700)
        if manifest.with_keys:
            _open_keys(folder, manifest, staging)
    return Restored(manifest, last_change_at, keys_needed=not manifest.with_keys)


# -- from what


def choose(manifests: list[Manifest], at: datetime | None, folder: BackupFolder) -> Manifest:
    """The base backup to start from: the newest that was finished by then."""
    if not manifests:
        raise BackupRefused(f"There is no finished backup in {folder.path}.")
    fitting = [one for one in manifests if at is None or one.finished_at <= at]
    if not fitting:
        raise BackupRefused(
            f"The oldest backup in {folder.path} is of {_shown(manifests[0].finished_at)}: choose that moment or a "
            "later one for --at."
        )
    return fitting[-1]


def needed_log(folder: BackupFolder, manifest: Manifest, at: datetime | None) -> list[LogPart]:
    """The segments to go through. Raises BackupRefused when one is missing on the way."""
    if not manifest.log_kept:
        if at is not None:
            raise BackupRefused(
                f"Backup {manifest.id} was made without MATRIX_BACKUP_DIR, so no log was kept after it: leave out "
                f"--at to restore the state of {_shown(manifest.finished_at)}."
            )
        return []
    parts, gap = folder.log_after(manifest), folder.first_gap(manifest)
    last = _last_segment(folder, manifest, at)
    if last is not None and (not parts or parts[-1].number >= last):
        return [part for part in parts if part.number <= last]
    if gap is not None and (at is None or not parts or parts[-1].put_aside_at < at):
        raise _lacking(folder, manifest, gap)
    return parts


def _lacking(folder: BackupFolder, manifest: Manifest, gap: str) -> BackupRefused:
    parts = folder.log_after(manifest)
    whole_until = parts[-1].put_aside_at if parts else manifest.finished_at
    until = whole_until if whole_until > manifest.finished_at else manifest.started_at
    return BackupRefused(
        f"The log in {folder.log} lacks segment {gap}: put it back, or restore what was before it with an --at "
        f"before {_shown(until)}."
    )


def _too_short(folder: BackupFolder, manifest: Manifest, at: datetime) -> BackupRefused:
    """Why the log did not reach `at`. A segment may be put aside long after what it holds, so that a gap behind it is
    seen only here."""
    gap = folder.first_gap(manifest)
    if gap is not None:
        return _lacking(folder, manifest, gap)
    return BackupRefused(
        f"The log that was kept ends before {_shown(at)}: choose an earlier --at, or leave it out to restore "
        "the newest state."
    )


def _last_segment(folder: BackupFolder, manifest: Manifest, at: datetime | None) -> int | None:
    """The segment after which nothing can be of the moment `at`: the one after the next backup."""
    if at is None:
        return None
    later = [
        one
        for one in folder.manifests()
        if one.started_at > at and one.timeline == manifest.timeline and one.log_kept
    ]
    return segment_number(later[0].log_from) if later else None


def _require_free(data_dir: Path) -> None:
    if data_dir.exists() and (not data_dir.is_dir() or next(data_dir.iterdir(), None) is not None):
        raise BackupRefused(f"{data_dir} is in use or not empty: restore into a new folder with --to.")


# -- steps


@contextmanager
def _staging(data_dir: Path) -> Generator[Path]:
    """A folder beside `data_dir` that takes its place when all went well, and is removed when not."""
    staging = data_dir.with_name(f"{data_dir.name}.restoring")
    try:
        staging.mkdir(mode=0o700, parents=True)
    except FileExistsError as error:
        raise BackupRefused(
            f"{staging} is there: another restore runs, or one was cut off; if none runs, remove it and try again."
        ) from error
    except OSError as error:
        raise BackupRefused(f"{staging} cannot be made ({error.strerror}): choose another --to.") from error
    try:
        yield staging
        if data_dir.exists():
            data_dir.rmdir()
        staging.rename(data_dir)
    except OSError as error:
        raise BackupRefused(
            f"{data_dir} could not be written ({error.strerror}): make room, or choose another --to."
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _recovery(staging: Path, at: datetime | None) -> dict[str, str]:
    log = shlex.quote(str(_log_folder(staging)).replace("%", "%%"))
    options = {
        "restore_command": f"cp {log}/%f %p",
        "recovery_target_timeline": "current",
        # Until the moment is reached nobody is let in: answering is how the server says that it is there.
        "hot_standby": "off",
        "archive_mode": "off",
    }
    if at is not None:
        options |= {
            "recovery_target_time": at.astimezone(UTC).isoformat(),
            "recovery_target_action": "promote",
        }
    return options


def _log_folder(staging: Path) -> Path:
    return staging.resolve() / "restored-log"


def _open_cluster(folder: BackupFolder, manifest: Manifest, postgres: EmbeddedPostgres) -> None:
    cluster = postgres.cluster
    cluster.mkdir(mode=0o700)
    with folder.part(f"base/{manifest.id}/cluster") as reader:
        with tarfile.open(fileobj=reader, mode="r|", bufsize=CHUNK_BYTES) as members:
            for member in members:
                _open_member(members, member, cluster)
        reader.finish()
    checked = subprocess.run(
        [str(postgres.binaries / "pg_verifybackup"), "--quiet", str(cluster)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if checked.returncode != 0:
        reason = checked.stderr.strip().splitlines()[0] if checked.stderr.strip() else "it said nothing"
        raise BackupRefused(
            f"The database in backup {manifest.id} is not whole ({reason}): use an older backup."
        )
    (cluster / "recovery.signal").touch()


def _open_member(members: tarfile.TarFile, member: tarfile.TarInfo, cluster: Path) -> None:
    target = cluster / member.name
    if not target.resolve().is_relative_to(cluster.resolve()) or not (member.isdir() or member.isfile()):
        raise BackupRefused(f"The backup holds {member.name}, which is no file of a database of ours.")
    if member.isdir():
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        return
    content = members.extractfile(member)
    with target.open("xb") as file:
        target.chmod(0o600)
        if content is not None:
            shutil.copyfileobj(content, file, CHUNK_BYTES)


def _open_log(log: list[LogPart], folder: BackupFolder, staging: Path, account: ServerAccount) -> None:
    target = _log_folder(staging)
    target.mkdir(mode=0o700)
    account.own(target)
    for part in log:
        with (
            SealedReader(part.path, part.name, folder.key) as reader,
            (target / part.segment).open("xb") as file,
        ):
            shutil.copyfileobj(reader, file, CHUNK_BYTES)
        account.own(target / part.segment)


def _recover(
    postgres: EmbeddedPostgres, account: ServerAccount, too_short: BackupRefused | None
) -> datetime | None:
    """Run the server until it has gone through the log, and stop it again. Raises `too_short` if the log is."""
    account.own(postgres.cluster)
    for path in postgres.cluster.rglob("*"):
        account.own(path)
    near = postgres.socket_dir.is_relative_to(postgres.data_dir)
    try:
        postgres.start()
        with postgres.superuser() as server:
            row = server.execute("select pg_last_xact_replay_timestamp()").fetchone()
        return row[0].astimezone(UTC) if row and row[0] else None
    except PostgresFailed as error:
        if too_short is not None and _NOT_REACHED in postgres.log_path.read_text(errors="replace"):
            raise too_short from error
        raise
    finally:
        postgres.stop()
        shutil.rmtree(_log_folder(postgres.data_dir), ignore_errors=True)
        if not near:
            shutil.rmtree(postgres.socket_dir, ignore_errors=True)


def _open_files(folder: BackupFolder, staging: Path, at: datetime | None) -> None:
    gone = gone_files(folder)
    for place, path in stored_files(folder.path):
        since = gone.get(place)
        if path.suffix == ".half" or (since is not None and (at is None or since <= at)):
            continue
        target = staging / FILES / place
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with SealedReader(path, f"{FILES}/{place}", folder.key) as reader, target.open("xb") as file:
            target.chmod(0o600)
            shutil.copyfileobj(reader, file, CHUNK_BYTES)


def _open_keys(folder: BackupFolder, manifest: Manifest, staging: Path) -> None:
    target = key_file.path_in(staging)
    with folder.part(f"base/{manifest.id}/keys") as reader, target.open("xb") as file:
        target.chmod(0o600)
        shutil.copyfileobj(reader, file, CHUNK_BYTES)


def _shown(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")
