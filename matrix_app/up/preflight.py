"""What must be true before anything is started, each said in one sentence with the way out."""

import errno
import fcntl
import os
import shutil
import socket
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from services.core.refusal import Refused
from services.core.settings import Settings

DATA_FREE_MB_MIN = 300
_ALTERNATIVES_TRIED = 20


class PreflightFailed(Refused):
    """Starting makes no sense on this machine as it is."""


def check(settings: Settings) -> IO[str]:
    """Check data folder, disk and port, and lock the data folder.

    The lock holds until the returned file is closed or this process ends, however it ends.
    """
    require_no_demo_in_production(settings)
    require_disk(settings.data_dir)
    require_writable(settings.data_dir)
    lock = lock_data(settings.data_dir)
    require_backups(settings)
    require_port(settings.host, settings.port)
    return lock


def require_no_demo_in_production(settings: Settings) -> None:
    """Refuse to open a demo to the world: anybody can read the passwords of its accounts, its staff's too."""
    if settings.mode == "production" and (settings.data_dir / "demo.json").exists():
        raise PreflightFailed(
            f"{settings.data_dir} holds the demo, whose accounts have published passwords: "
            "choose an empty folder for production with MATRIX_DATA_DIR."
        )


def require_writable(data_dir: Path) -> None:
    """Make the data folder if it is not there, and try to write in it."""
    elsewhere = "choose another folder with MATRIX_DATA_DIR"
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=data_dir):
            pass
    except (FileExistsError, NotADirectoryError) as error:
        raise PreflightFailed(
            f"{error.filename} is a file, not a folder: move it, or {elsewhere}."
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise PreflightFailed(f"The disk of {data_dir} is full: make room, or {elsewhere}.") from error
        reason = os.strerror(error.errno or errno.EACCES)
        raise PreflightFailed(
            f"{data_dir} cannot be written ({reason}): give yourself the right, or {elsewhere}."
        ) from error


def require_backups(settings: Settings) -> None:
    """Refuse to run without the backups that were asked for: nobody would miss them before they are needed.

    A folder that is away for now is for `matrix doctor` to tell: it is no reason to be away, too.
    """
    if settings.backup_dir is None or settings.backup_key_file is None or settings.database_url is not None:
        return
    from services.operations.collecting import copy_of
    from services.operations.folder import BackupFolder
    from services.operations.sealing import BackupKey

    folder = BackupFolder(settings.backup_dir, BackupKey.read(settings.backup_key_file))
    with suppress(OSError):
        folder.claim(copy_of(settings.data_dir))


def lock_data(data_dir: Path) -> IO[str]:
    """Take the data folder for this copy alone."""
    lock = (data_dir / "matrix.lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.seek(0)
        owner = lock.read().strip() or "unknown"
        lock.close()
        raise PreflightFailed(
            f"Another copy of Matrix already runs on {data_dir} (process {owner}): "
            "stop it, or choose another folder with MATRIX_DATA_DIR."
        ) from error
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def require_disk(data_dir: Path) -> None:
    """Refuse to start when the database could hardly write its log. The folder need not be there yet."""
    there = next(path for path in (data_dir, *data_dir.parents) if os.path.exists(path))
    free_mb = shutil.disk_usage(there).free // 1_000_000
    if free_mb < DATA_FREE_MB_MIN:
        raise PreflightFailed(
            f"{free_mb} MB are free on the disk of {data_dir} and {DATA_FREE_MB_MIN} are needed: "
            "make room, or choose another folder with MATRIX_DATA_DIR."
        )


def require_port(host: str, port: int) -> None:
    """Refuse an address that cannot be listened on."""
    try:
        _try_port(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PreflightFailed(
                f"Port {port} is in use: stop what uses it, or choose another, as in "
                f"`MATRIX_PORT={_free_port_after(host, port)} make run`."
            ) from error
        if error.errno == errno.EACCES:
            raise PreflightFailed(
                f"Port {port} needs more rights than this user has: choose one above 1023 with MATRIX_PORT."
            ) from error
        raise PreflightFailed(f"{host} is no address of this machine: correct MATRIX_HOST.") from error


def free_loopback_port() -> int:
    """A port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def explain(error: ValidationError) -> str:
    """Wrong settings as one sentence, naming variables and not values: some are secrets."""
    faults: list[str] = []
    for fault in error.errors(include_input=False, include_url=False):
        name = str(fault["loc"][0]).upper() if fault["loc"] else ""  # what follows is a place in a list
        message = fault["msg"].removeprefix("Value error, ").rstrip(".")
        faults.append(f"MATRIX_{name}: {message}" if name else message)
    return f"The settings are wrong ({'; '.join(faults)}): correct the environment."


def _try_port(host: str, port: int) -> None:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        # Binding next to a listener that also set SO_REUSEADDR may succeed; listening does not.
        probe.listen(1)


def _free_port_after(host: str, port: int) -> int:
    for candidate in range(port + 1, min(port + 1 + _ALTERNATIVES_TRIED, 65_536)):
        try:
            _try_port(host, candidate)
        except OSError:
            continue
        return candidate
    return free_loopback_port()
