"""Deleting a copy's data: what Matrix made in the data folder, and nothing else that lies there."""

import shutil
from pathlib import Path

from matrix_app.up.preflight import lock_data
from matrix_app.up.reflex_environment import ROOT
from services.core.postgres import EmbeddedPostgres
from services.core.refusal import Refused

# One of these is in every folder that Matrix has worked in.
_MARKS = ("matrix.lock", "postgres.lock", "keys/master.json")
_WHOLE = ("postgres", "postgres.new", "run", "files", "incoming", "kept-log", "test-providers")
_FILES = (
    "keys/master.*",
    "keys/retired-*.json",
    "journal/*",
    "logs/*.log",
    "logs/*.log.1",
    "postgres.log",
    "postgres.log.1",
    "postgres.lock",
    "copy.json",
    "collecting.lock",
    "backup.lock",
    "demo.json",
    ".demo.json.*",
    "matrix.lock",
)
_EMPTIED = ("keys", "journal", "logs")


def require_ours(data_dir: Path) -> None:
    """Refuse a folder that Matrix has not worked in, and every folder with more in it than a copy's data."""
    place = data_dir.resolve()
    for above in (ROOT, Path.home().resolve()):
        if above.is_relative_to(place):
            raise Refused(
                f"{data_dir} holds more than data of Matrix: choose the right folder with MATRIX_DATA_DIR, "
                "or delete by hand what must go."
            )
    if not any((data_dir / mark).exists() for mark in _MARKS):
        raise Refused(f"{data_dir} was not made by Matrix: choose the right folder with MATRIX_DATA_DIR.")


def delete(data_dir: Path) -> list[str]:
    """Delete what is ours, then the folder if it is empty. Returns the names that stay. Raises Refused."""
    require_ours(data_dir)
    with lock_data(data_dir):
        EmbeddedPostgres(data_dir).stop_leftover()
        for name in _WHOLE:
            _remove(data_dir / name)
        for pattern in _FILES:
            for path in data_dir.glob(pattern):
                _remove(path)
        for name in _EMPTIED:
            _remove_if_empty(data_dir / name)
    _remove_if_empty(data_dir)
    return sorted(path.name for path in data_dir.iterdir()) if data_dir.exists() else []


def _remove(path: Path) -> None:
    """A link goes itself; what it leads to may be shared."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
        folder.rmdir()
