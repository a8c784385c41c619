"""The parts of the database's write-ahead log that the server has put aside, from where backups take them."""

from __future__ import annotations

import shlex
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from services.core.postgres_account import server_account
from services.core.settings import Settings

PUT_ASIDE_AFTER_S = 60  # so long at most a change waits in a part of the log that is not yet full
HALF = ".half"
_LABEL = ".backup"  # of a base backup; waits for nobody


def folder(data_dir: Path) -> Path:
    return data_dir / "kept-log"


def oldest(data_dir: Path) -> datetime | None:
    """When the part that waits longest for the backup folder was put aside; None when none waits."""
    waiting: list[float] = []
    for path in folder(data_dir).glob("*"):
        if path.suffix not in (HALF, _LABEL):
            with suppress(FileNotFoundError):  # taken meanwhile
                waiting.append(path.stat().st_mtime)
    return datetime.fromtimestamp(min(waiting), UTC) if waiting else None


def options(settings: Settings) -> dict[str, str]:
    """What makes the embedded server keep its log, if MATRIX_BACKUP_DIR is set; makes the folder it needs."""
    if settings.backup_dir is None or settings.database_url is not None:
        return {}
    kept = folder(settings.data_dir)
    kept.mkdir(mode=0o700, parents=True, exist_ok=True)
    server_account().own(kept)
    # The server forgets a part of its log only once this command has succeeded, and runs it again until then:
    # nothing half written may have the part's own name.
    place = str(kept.resolve()).replace("%", "%%")
    half, whole = shlex.quote(f"{place}/%f{HALF}"), shlex.quote(f"{place}/%f")
    return {
        "archive_mode": "on",
        "archive_command": f"cp %p {half} && sync {half} && mv {half} {whole}",
        "archive_timeout": str(PUT_ASIDE_AFTER_S),
    }
