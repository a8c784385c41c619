"""The worker's part in backups, when MATRIX_BACKUP_DIR is set."""

from __future__ import annotations

import asyncio
import contextlib
import sys

from services.core.clock import SystemClock
from services.core.database import Database
from services.core.settings import Settings, settings
from services.core.tether import tied
from services.operations.backup import is_due
from services.operations.collecting import collect
from services.operations.folder import BackupFolder
from services.operations.refusal import BackupRefused
from services.operations.sealing import BackupKey


async def collect_what_is_new(_: Database) -> None:
    """Take log and files into the backup folder."""
    chosen = settings()
    if (folder := _folder(chosen)) is not None:
        await asyncio.to_thread(collect, chosen.data_dir, folder, at=SystemClock().now())


async def back_up_daily(_: Database) -> None:
    """Make a base backup when one is due, in a process of its own: it takes minutes of a core and much memory."""
    chosen = settings()
    folder = _folder(chosen)
    if folder is None or not await asyncio.to_thread(is_due, folder, SystemClock().now()):
        return
    made = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "matrix_app.cli",
        "backup",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=tied(),
    )
    try:
        said = (await made.communicate())[1]
    finally:
        with contextlib.suppress(ProcessLookupError):
            if made.returncode is None:
                made.terminate()
    if made.returncode != 0:
        raise BackupRefused(said.decode(errors="replace").strip())


def _folder(chosen: Settings) -> BackupFolder | None:
    """None when no backups are kept, or the database has its own."""
    if chosen.backup_dir is None or chosen.backup_key_file is None or chosen.database_url is not None:
        return None
    return BackupFolder(chosen.backup_dir, BackupKey.read(chosen.backup_key_file))
