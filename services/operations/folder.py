"""The folder that backups are kept in, and what stands where in it.

    copy.json                       which copy of Matrix writes here, and the salt of its key
    base/<id>/manifest.json         what a base backup is; written last, sealed by the key
    base/<id>/cluster, files, keys  its parts
    log/<segment>                   the write-ahead log since the oldest of them, 16 MB a segment
    files/<path>                    the file store, each file once

One copy of Matrix writes into one folder: a copy restored for a drill would otherwise mix its log with that of the
copy it came from, and neither could be restored.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter

from services.operations.refusal import BackupRefused
from services.operations.sealing import SALT_BYTES, BackupKey, SealedReader, Written, facts_of

SEGMENT = re.compile(r"[0-9A-F]{24}")
HISTORY = re.compile(r"[0-9A-F]{8}\.history")
SEGMENT_BYTES = 16 * 1024 * 1024
SEGMENTS_PER_LOG_FILE = 256
BASE_BACKUPS_MAX = 1_000
_COPY_FILE = "copy.json"
_UNFINISHED = ".new"
_BEGUN = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class Manifest:
    """One base backup.

    Its own parts restore the database as it was at `end_lsn`, that is at `finished_at`; with `log_kept` the log
    from segment `log_from` on restores any later moment. `master_keys` are the ids of the keys that its secrets are
    sealed with.
    """

    id: str
    started_at: datetime
    finished_at: datetime
    postgres: str
    revision: str
    system_identifier: str
    timeline: int
    start_lsn: str
    end_lsn: str
    log_from: str
    log_kept: bool
    master_keys: list[str]
    parts: list[Written]

    @property
    def with_keys(self) -> bool:
        return any(part.name.endswith("/keys") for part in self.parts)

    @property
    def bytes(self) -> int:
        return sum(part.bytes for part in self.parts)


@dataclass(frozen=True, slots=True)
class LogPart:
    """A segment of the log. All that it holds was committed before `put_aside_at`."""

    segment: str
    path: Path

    @property
    def put_aside_at(self) -> datetime:
        try:
            return datetime.fromisoformat(facts_of(self.path)["put_aside_at"])
        except (KeyError, ValueError, TypeError) as error:
            raise BackupRefused(
                f"{self.path} is not a file of a backup, or its beginning is damaged."
            ) from error

    @property
    def name(self) -> str:
        return f"log/{self.segment}"

    @property
    def number(self) -> int:
        return segment_number(self.segment)

    @property
    def timeline(self) -> int:
        return int(self.segment[:8], 16)


def new_id(started_at: datetime) -> str:
    """Of a base backup. Says when it was begun."""
    return f"{started_at:{_BEGUN}}-{secrets.token_hex(2)}"


def begun_at(backup_id: str) -> datetime:
    """Raises ValueError for what is no id of a base backup."""
    return datetime.strptime(backup_id.partition("-")[0], _BEGUN).replace(tzinfo=UTC)


def segment_number(segment: str) -> int:
    """Counts segments of a timeline without gaps."""
    return int(segment[8:16], 16) * SEGMENTS_PER_LOG_FILE + int(segment[16:], 16)


def segment_at(lsn: str, offset_bytes: int = 0) -> int:
    """The number of the segment with that place of the log."""
    high, low = lsn.split("/")
    return ((int(high, 16) << 32 | int(low, 16)) + offset_bytes) // SEGMENT_BYTES


def segment_named(timeline: int, number: int) -> str:
    high, low = divmod(number, SEGMENTS_PER_LOG_FILE)
    return f"{timeline:08X}{high:08X}{low:08X}"


class BackupFolder:
    """Backups of one copy, opened with one key."""

    def __init__(self, path: Path, key: BackupKey) -> None:
        self.path = path
        self.key = key
        self.base = path / "base"
        self.log = path / "log"
        self.files = path / "files"

    # -- whose it is

    @property
    def salt(self) -> bytes:
        return bytes.fromhex(self._copy()["salt"])

    def claim(self, copy: str) -> None:
        """Make the folder this copy's, if it is nobody's. Raises BackupRefused when it is another's."""
        for folder in (self.path, self.base, self.log, self.files):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (self.path / _COPY_FILE).exists():
            if next(self.base.iterdir(), None) or next(self.log.iterdir(), None):
                raise BackupRefused(
                    f"{self.path} holds backups but no {_COPY_FILE}: choose an empty MATRIX_BACKUP_DIR."
                )
            salt = secrets.token_bytes(SALT_BYTES)
            write_durably(
                self.path / _COPY_FILE,
                json.dumps({"copy": copy, "salt": salt.hex(), "key": self.key.mark(salt)}).encode(),
            )
        known = self._copy()
        if known["copy"] != copy:
            raise BackupRefused(
                f"{self.path} holds the backups of another copy of Matrix (or of this one before it was restored): "
                "choose an empty MATRIX_BACKUP_DIR."
            )
        if known["key"] != self.key.mark(self.salt):
            raise BackupRefused(
                f"The backups in {self.path} are encrypted with another key: name its file in "
                "MATRIX_BACKUP_KEY_FILE, or choose an empty MATRIX_BACKUP_DIR."
            )

    def _copy(self) -> dict[str, str]:
        try:
            found = json.loads((self.path / _COPY_FILE).read_text())
            bytes.fromhex(found["salt"])
            return {name: found[name] for name in ("copy", "salt", "key")}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BackupRefused(f"There are no backups in {self.path}: is it the right folder?") from error

    # -- base backups

    def manifests(self) -> list[Manifest]:
        """All finished base backups, oldest first. Raises BackupRefused for a manifest that was changed."""
        if not self.base.is_dir():
            self._copy()
            return []
        found = [self._manifest(folder) for folder in self.base.iterdir() if folder.suffix != _UNFINISHED]
        return sorted(found, key=lambda one: one.started_at)[-BASE_BACKUPS_MAX:]

    def unfinished(self) -> list[Path]:
        """What a backup that was cut off left behind."""
        return [folder for folder in self.base.iterdir() if folder.suffix == _UNFINISHED]

    def draft(self, backup_id: str) -> Path:
        """Where the parts of a base backup are written before it counts."""
        folder = self.base / f"{backup_id}{_UNFINISHED}"
        folder.mkdir(mode=0o700)
        return folder

    def publish(self, draft: Path, manifest: Manifest) -> None:
        text = _MANIFEST.dump_json(manifest, indent=1).decode()
        seal = self._seal(text)
        write_durably(draft / "manifest.json", json.dumps({"manifest": text, "seal": seal}).encode())
        draft.rename(self.base / manifest.id)
        sync_folder(self.base)

    def part(self, name: str) -> SealedReader:
        """Open a part by its name in the manifest."""
        return SealedReader(self.path / name, name, self.key)

    def _manifest(self, folder: Path) -> Manifest:
        try:
            stored = json.loads((folder / "manifest.json").read_text())
            text, seal = str(stored["manifest"]), str(stored["seal"])
            manifest = _MANIFEST.validate_json(text)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BackupRefused(
                f"{folder}/manifest.json is damaged: take another copy of it, or remove that backup's folder."
            ) from error
        if not hmac.compare_digest(seal, self._seal(text)):
            known = self._copy()["key"] == self.key.mark(self.salt)
            raise BackupRefused(
                f"{folder}/manifest.json was changed: take another copy of it, or remove that backup's folder."
                if known
                else f"The key given does not open {folder}: it was made with another; name that key's file in "
                "MATRIX_BACKUP_KEY_FILE."
            )
        return manifest

    def _seal(self, text: str) -> str:
        return hmac.new(self.key.derived(self.salt, "manifest"), text.encode(), hashlib.sha256).hexdigest()

    # -- the log

    def log_parts(self) -> list[LogPart]:
        """All segments, in order."""
        if not self.log.is_dir():
            return []
        names = sorted(path.name for path in self.log.iterdir() if SEGMENT.fullmatch(path.name))
        return [LogPart(name, self.log / name) for name in names]

    def log_after(self, manifest: Manifest) -> list[LogPart]:
        """The segments that a restore from `manifest` goes through after its own, as far as there is no gap."""
        parts = {part.number: part for part in self.log_parts() if part.timeline == manifest.timeline}
        whole: list[LogPart] = []
        while found := parts.get(segment_number(manifest.log_from) + len(whole)):
            whole.append(found)
        return whole

    def first_gap(self, manifest: Manifest) -> str | None:
        """The first segment that is missing although a later one is there."""
        missing = segment_number(manifest.log_from) + len(self.log_after(manifest))
        later = any(part.timeline == manifest.timeline and part.number > missing for part in self.log_parts())
        return segment_named(manifest.timeline, missing) if later else None


_MANIFEST = TypeAdapter(Manifest)


@dataclass(frozen=True, slots=True)
class Newest:
    """When the newest base backup was begun, and up to when the newest part of the log reaches."""

    base: datetime | None
    log: datetime | None


def newest(path: Path) -> Newest:
    """What a backup folder says to anybody who looks, without its key. A folder that is away has nothing."""
    try:
        bases = [folder.name for folder in (path / "base").iterdir() if folder.suffix != _UNFINISHED]
        parts = [part for part in (path / "log").iterdir() if SEGMENT.fullmatch(part.name)]
        last = max(parts, key=lambda part: part.name, default=None)
        return Newest(
            max((begun_at(name) for name in bases), default=None),
            LogPart(last.name, last).put_aside_at if last else None,
        )
    except (OSError, ValueError, BackupRefused):
        return Newest(None, None)


def write_durably(path: Path, content: bytes) -> None:
    """All of it or nothing, and on the disk. Readable by its owner alone."""
    half = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    half.rename(path)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
