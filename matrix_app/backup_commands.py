"""`matrix backup`, `matrix backups` and `matrix restore`."""

from __future__ import annotations

import argparse
import getpass
import sys
from datetime import UTC, datetime
from pathlib import Path

from services.core.clock import SystemClock
from services.core.postgres import serving
from services.core.refusal import Refused
from services.core.settings import Settings
from services.operations import restore as restoring
from services.operations.backup import make_backup
from services.operations.folder import BackupFolder, Manifest
from services.operations.sealing import BackupKey

YOUR_OWN_DATABASE = (
    "The database in MATRIX_DATABASE_URL is backed up with its own tools (pg_basebackup and a log archive, pgBackRest, "
    "or your provider's snapshots); docs/operations.md says what else to keep."
)


def back_up(chosen: Settings, arguments: argparse.Namespace) -> None:
    if chosen.database_url is not None:
        raise Refused(YOUR_OWN_DATABASE)
    folder = _folder(chosen, arguments.to, "--to")
    with serving(chosen):
        made = make_backup(
            chosen.data_dir,
            folder,
            keep=chosen.backup_keep,
            with_keys=arguments.with_keys,
            clock=SystemClock(),
            binaries=chosen.postgres_bin,
        )
    _say(f"{_line(made)}\nin {folder.path}, read back and whole.")
    if not made.log_kept:
        _say(
            "Only the state at its end can be restored: set MATRIX_BACKUP_DIR and start Matrix again, so that the "
            "log is kept and any moment can be."
        )
    if not made.with_keys:
        _say(f"Keep {chosen.data_dir}/keys/master.json elsewhere: secrets cannot be read without it.")


def list_backups(chosen: Settings, arguments: argparse.Namespace) -> None:
    folder = _folder(chosen, arguments.source, "--from")
    manifests = folder.manifests()
    for manifest in manifests:
        _say(_line(manifest))
    if not manifests:
        _say(f"There is no finished backup in {folder.path}.")
        return
    newest = manifests[-1]
    if gap := folder.first_gap(newest):
        _say(f"The log after {newest.id} lacks segment {gap}: make a new backup now.")
        return
    since, parts = manifests[0].finished_at, folder.log_after(newest) if newest.log_kept else []
    if parts and parts[-1].put_aside_at > since:  # a part may have been put aside while the first was made
        _say(f"Any moment from {_shown(since)} to {_shown(parts[-1].put_aside_at)}.")


def restore(chosen: Settings, arguments: argparse.Namespace) -> None:
    folder = _folder(chosen, arguments.source, "--from")
    target: Path = arguments.to.expanduser().absolute()
    at = _moment(arguments.at) if arguments.at else None
    made = restoring.restore(folder, target, at=at, binaries=chosen.postgres_bin)
    last = made.last_change_at or made.manifest.finished_at
    _say(f"{target} holds the state of {_shown(at or last)}; its last change is of {_shown(last)}.")
    if made.keys_needed:
        keys = ", ".join(made.manifest.master_keys)
        _say(f"Before starting it put the installation's keys/master.json ({keys}) into {target}/keys.")
    _say(f"Start it with MATRIX_DATA_DIR={target}, and with an empty MATRIX_BACKUP_DIR if it stays.")


def _folder(chosen: Settings, given: Path | None, option: str) -> BackupFolder:
    path = given or chosen.backup_dir
    if path is None:
        raise Refused(f"Which folder are the backups in? Name it with {option} or MATRIX_BACKUP_DIR.")
    path = path.expanduser().absolute()
    if path.is_relative_to(chosen.data_dir):
        raise Refused(
            f"{path} is in the data folder and would be lost with it: choose another backup folder."
        )
    return BackupFolder(path, _key(chosen))


def _key(chosen: Settings) -> BackupKey:
    if chosen.backup_key_file is not None:
        return BackupKey.read(chosen.backup_key_file)
    if not sys.stdin.isatty():
        raise Refused(
            "Backups are encrypted: set MATRIX_BACKUP_KEY_FILE to a file with 64 hexadecimal digits "
            "(`openssl rand -hex 32`) or a passphrase."
        )
    return BackupKey.of(getpass.getpass("Passphrase of the backups: "))


def _moment(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refused(f"{text!r} is no moment: write it as 2026-10-11T09:30:00Z.") from error
    if at.tzinfo is None:
        raise Refused(f"{text!r} names no time zone: write it as {text}Z for UTC, or with an offset.")
    return at.astimezone(UTC)


def _line(one: Manifest) -> str:
    size = f"{one.bytes / 1_000_000:,.1f} MB"
    keys = "with keys" if one.with_keys else "without keys"
    return f"{one.id}  {_shown(one.finished_at)}  {size}  revision {one.revision}  log from {one.start_lsn}  {keys}"


def _shown(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
