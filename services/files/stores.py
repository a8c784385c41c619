"""Where the content of files lies: a folder, or a bucket of an S3 server. Both know a file by its id alone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from services.core.clock import Clock, SystemClock
from services.core.ids import is_id
from services.core.settings import Settings
from services.files.rules import PIECE_BYTES, ContentMissing
from services.files.s3 import Bucket, S3Store

FOLDER = "files"  # in the data folder; backups take what is in it
INCOMING = "incoming"  # beside it: what has not all arrived


class Store(Protocol):
    """Everything may be done again: to put is to replace by the same, to remove what is gone is nothing."""

    async def put(self, file_id: str, source: Path, *, sha256: bytes) -> None:
        """Keep the content of `source`, durably once this returns; `source` is then gone, and may have gone before.

        Raises ContentMissing when it is neither there nor in the store.
        """
        ...

    def read(self, file_id: str) -> AsyncIterator[bytes]:
        """The content in pieces. Raises ContentMissing before the first."""
        ...

    async def remove(self, file_id: str) -> None: ...


class FolderStore:
    """A file each, two levels deep so that no folder gets too large to list."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def _path(self, file_id: str) -> Path:
        if not is_id(file_id, "file"):
            raise ContentMissing(file_id)  # ids are ours; a path made of anything else could lead anywhere
        return self._root / file_id[-2:] / file_id

    async def put(self, file_id: str, source: Path, *, sha256: bytes) -> None:
        target = self._path(file_id)
        try:
            await asyncio.to_thread(_move_durably, source, target)
        except FileNotFoundError:
            raise ContentMissing(file_id) from None

    async def read(self, file_id: str) -> AsyncIterator[bytes]:
        try:
            content = await asyncio.to_thread(self._path(file_id).open, "rb")
        except FileNotFoundError:
            raise ContentMissing(file_id) from None
        with content:
            while piece := await asyncio.to_thread(content.read, PIECE_BYTES):
                yield piece

    async def remove(self, file_id: str) -> None:
        await asyncio.to_thread(self._path(file_id).unlink, missing_ok=True)


def _move_durably(source: Path, target: Path) -> None:
    """Under its final name the file is whole, even after a power cut."""
    if not source.exists() and target.exists():
        return  # moved already, before we were killed
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with source.open("rb") as content:
        os.fsync(content.fileno())
    source.rename(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@dataclass(frozen=True, slots=True)
class FilePlaces:
    """The store, and the folder of this machine in which files arrive before they go there."""

    store: Store
    incoming: Path


def places(chosen: Settings, clock: Clock | None = None) -> FilePlaces:
    """As settings have it: the data folder, or the bucket of MATRIX_S3_BUCKET."""
    incoming = chosen.data_dir / INCOMING
    if chosen.s3_bucket and chosen.s3_secret_key is not None:
        bucket = Bucket(
            chosen.s3_endpoint,
            chosen.s3_bucket,
            chosen.s3_region,
            chosen.s3_access_key,
            chosen.s3_secret_key.get_secret_value(),
        )
        return FilePlaces(S3Store(bucket, clock or SystemClock()), incoming)
    return FilePlaces(FolderStore(chosen.data_dir / FOLDER), incoming)
