"""What goes into the backup folder as it comes: the database's log and the file store."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.core import kept_log
from services.operations.folder import HISTORY, SEGMENT, BackupFolder, sync_folder, write_durably
from services.operations.refusal import BackupRefused
from services.operations.sealing import CHUNK_BYTES, SealedReader, SealedWriter, Written, facts_of

FILES = "files"
_GONE_FILE = "files-gone.json"
_HALF = ".half"


@dataclass(frozen=True, slots=True)
class Collected:
    segments: int = 0
    files: int = 0


def copy_of(data_dir: Path) -> str:
    """The mark of this copy of Matrix, made on first use. A restored copy gets another."""
    path = data_dir / "copy.json"
    if not path.exists():
        write_durably(path, json.dumps({"copy": secrets.token_hex(16)}).encode())
    return str(json.loads(path.read_text())["copy"])


@contextmanager
def alone(data_dir: Path, what: str) -> Generator[None]:
    """Hold back every other process that does `what` for this data folder."""
    with (data_dir / f"{what}.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def collect(data_dir: Path, folder: BackupFolder, *, at: datetime) -> Collected:
    """Take what is new: log that the server put aside, and files. May be cut off anywhere and run again."""
    with alone(data_dir, "collecting"):
        folder.claim(copy_of(data_dir))
        return Collected(_collect_log(data_dir, folder), _collect_files(data_dir, folder, at))


def _collect_log(data_dir: Path, folder: BackupFolder) -> int:
    kept = kept_log.folder(data_dir)
    taken = 0
    for path in sorted(kept.iterdir()) if kept.is_dir() else []:
        if not (SEGMENT.fullmatch(path.name) or HISTORY.fullmatch(path.name)):
            # A label of a base backup, which its own manifest replaces; or half written, and not ours to touch.
            if path.suffix == ".backup":
                path.unlink()
            continue
        at = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat()
        _keep_once(path, folder.log / path.name, f"log/{path.name}", folder, put_aside_at=at)
        path.unlink()
        taken += 1
    return taken


def _keep_once(path: Path, target: Path, name: str, folder: BackupFolder, **facts: Any) -> None:
    """Seal `path` as `target`. A target that is there already must hold the same."""
    written = seal_file(path, target.with_name(f"{target.name}{_HALF}"), name, folder, **facts)
    if target.exists() and _content(target, name, folder) != written.plain_sha256:
        raise BackupRefused(
            f"{target} is there already with other content: two copies of Matrix write into {folder.path}; "
            "give each its own MATRIX_BACKUP_DIR."
        )
    target.with_name(f"{target.name}{_HALF}").rename(target)
    sync_folder(target.parent)


def seal_file(path: Path, target: Path, name: str, folder: BackupFolder, **facts: Any) -> Written:
    """Seal `path` as `target`, read it back, and fail unless it opens to the same."""
    target.unlink(missing_ok=True)
    with path.open("rb") as source, SealedWriter(target, name, folder.key, folder.salt, **facts) as writer:
        while piece := source.read(CHUNK_BYTES):
            writer.write(piece)
        written = writer.finish()
    require_whole(target, written, folder)
    return written


def require_whole(path: Path, written: Written, folder: BackupFolder) -> None:
    """Raises BackupRefused unless the file opens to what was written."""
    with SealedReader(path, written.name, folder.key) as reader:
        if reader.finish() != (written.plain_bytes, written.plain_sha256):
            raise BackupRefused(f"{path} does not hold what was written to it: check its disk.")


def _content(path: Path, name: str, folder: BackupFolder) -> str:
    with SealedReader(path, name, folder.key) as reader:
        return reader.finish()[1]


# -- files


def stored_files(data_dir: Path) -> Iterator[tuple[str, Path]]:
    """The file store of a data folder: each file's place in it, and where it is."""
    root = data_dir / FILES
    for folder, _, names in os.walk(root):
        for name in sorted(names):
            path = Path(folder) / name
            yield path.relative_to(root).as_posix(), path


def _collect_files(data_dir: Path, folder: BackupFolder, at: datetime) -> int:
    taken = 0
    seen: set[str] = set()
    for place, path in stored_files(data_dir):
        seen.add(place)
        try:
            status = path.stat()
            stamp = f"{status.st_size} {status.st_mtime_ns}"
            target = folder.files / place
            if target.exists() and facts_of(target).get("stamp") == stamp:
                continue
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            half = target.with_name(f"{target.name}{_HALF}")
            seal_file(path, half, f"{FILES}/{place}", folder, stamp=stamp)
        except FileNotFoundError:  # deleted, or given its final name, while we looked
            continue
        half.rename(target)
        taken += 1
    _note_gone(folder, seen, at)
    return taken


def _note_gone(folder: BackupFolder, seen: set[str], at: datetime) -> None:
    """Remember since when a file that we keep is no longer in the store."""
    kept = {place for place, _ in stored_files(folder.path) if not place.endswith(_HALF)}
    known = gone_files(folder)
    gone = {place: known.get(place, at) for place in kept - seen}
    if gone != known:
        text = json.dumps({place: since.isoformat() for place, since in sorted(gone.items())})
        write_durably(folder.path / _GONE_FILE, text.encode())


def gone_files(folder: BackupFolder) -> dict[str, datetime]:
    """Files that are kept for older moments only, and since when."""
    try:
        stored = json.loads((folder.path / _GONE_FILE).read_text())
    except FileNotFoundError:
        return {}
    return {place: datetime.fromisoformat(since) for place, since in stored.items()}
