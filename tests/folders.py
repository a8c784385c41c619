"""Folders for what tests write: in memory where there is room, since a disk takes many times as long over files that
are made and deleted all the time, as a database for each test is."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests import leftovers

_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 4 * 2**30


@contextmanager
def short_folder(*, in_memory: bool = True) -> Generator[Path, None, None]:
    """A folder with a path short enough for a socket, open to the database's own system user; looked through and
    deleted at the end.

    What measures wants the disk that an installation has: `in_memory=False`.
    """
    folder = Path(tempfile.mkdtemp(prefix="mx-", dir=_memory() if in_memory else None))
    folder.chmod(0o755)
    try:
        yield folder
        leftovers.look_through_folder(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _memory() -> Path | None:
    has_room = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _ROOM_BYTES
    return _MEMORY if has_room else None
