"""Which system account the embedded PostgreSQL runs as, and what that account may enter.

PostgreSQL refuses to run as root. For an ordinary user it simply runs as that user. For root it runs as a
system user of its own, which needs to pass through the folders above its binaries and its data, and no more.
"""

import contextlib
import fcntl
import os
import pwd
import shutil
import stat
import struct
import subprocess
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from services.core.refusal import Refused

SERVER_ACCOUNT = "matrix-postgres"

_ACL_ATTRIBUTE = "system.posix_acl_access"
_ACL_VERSION = 2
_ACL_ENTRY = struct.Struct("<HHI")
_USER_OBJ, _USER, _GROUP_OBJ, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x10, 0x20
_NO_ID = 0xFFFFFFFF
_SEARCH = 1


class PostgresFailed(Refused):
    """The embedded PostgreSQL cannot be used; the text is one sentence for the person, with the way out."""


@dataclass(frozen=True, slots=True)
class ServerAccount:
    """Who runs the server: `None` ids mean the caller's own account."""

    uid: int | None = None
    gid: int | None = None

    @property
    def extra_groups(self) -> list[int] | None:
        """What `subprocess` is given as extra groups: none of root's for an account of its own."""
        return None if self.uid is None else []

    def own(self, path: Path) -> None:
        """Give `path` to this account."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def reach(self, path: Path) -> None:
        """Let this account pass through every folder above `path`, which must exist.

        Only the right to pass is added, by an access list entry for this one account: nobody else
        sees more than before, and the account can neither list nor read those folders.
        """
        if self.uid is None:
            return
        for folder in reversed(path.resolve().parents):
            if not _may_search(folder, self.uid, self.gid):
                _allow_search(folder, self.uid)


def server_account() -> ServerAccount:
    """The account for the server, made on first use when we are root."""
    if os.geteuid() != 0:
        return ServerAccount()
    with _one_start_at_a_time():
        with contextlib.suppress(KeyError):
            return _known_account()
        refused = _add_account()
        with contextlib.suppress(KeyError):
            return _known_account()
    raise PostgresFailed(
        f"PostgreSQL does not run as root and its account {SERVER_ACCOUNT} could not be made "
        f"({refused}): add that system user, or run as an ordinary user."
    )


@contextlib.contextmanager
def _one_start_at_a_time() -> Generator[None]:
    """Hold all other starts on this machine here.

    Two useradd at once both succeed now and then, and the id that the first one gave is then nobody's: initdb
    refused to run as it. The lock is on the folder, since useradd replaces the file of accounts.
    """
    folder = os.open("/etc", os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _add_account() -> str:
    """Make the account; returns what useradd said against it."""
    useradd = shutil.which("useradd")
    if useradd is None:
        raise PostgresFailed(
            f"PostgreSQL does not run as root and there is no useradd to make its account: add a system user "
            f"{SERVER_ACCOUNT}, or run as an ordinary user."
        )
    command = [useradd, "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin"]
    made = subprocess.run([*command, SERVER_ACCOUNT], capture_output=True, text=True, check=False)
    return made.stderr.strip()


def _known_account() -> ServerAccount:
    entry = pwd.getpwnam(SERVER_ACCOUNT)
    return ServerAccount(uid=entry.pw_uid, gid=entry.pw_gid)


def _may_search(folder: Path, uid: int, gid: int | None) -> bool:
    status = folder.stat()
    if status.st_uid == uid:
        return bool(status.st_mode & stat.S_IXUSR)
    entries = _read_acl(folder)
    named = [perm for tag, perm, who in entries if tag == _USER and who == uid]
    if named:
        mask = next((perm for tag, perm, _ in entries if tag == _MASK), 7)
        return bool(named[0] & mask & _SEARCH)
    if status.st_gid == gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def _read_acl(folder: Path) -> list[tuple[int, int, int]]:
    try:
        raw = os.getxattr(folder, _ACL_ATTRIBUTE)
    except (OSError, AttributeError):  # none set, or a file system or platform without them
        return []
    return [_ACL_ENTRY.unpack_from(raw, at) for at in range(4, len(raw), _ACL_ENTRY.size)]


def _allow_search(folder: Path, uid: int) -> None:
    mode = folder.stat().st_mode
    entries = _read_acl(folder) or [
        (_USER_OBJ, mode >> 6 & 7, _NO_ID),
        (_GROUP_OBJ, mode >> 3 & 7, _NO_ID),
        (_OTHER, mode & 7, _NO_ID),
    ]
    named = next((perm for tag, perm, who in entries if tag == _USER and who == uid), 0)
    mask = next((perm for tag, perm, _ in entries if tag == _MASK), _group_rights(entries))
    kept = [e for e in entries if e[0] != _MASK and not (e[0] == _USER and e[2] == uid)]
    kept += [(_USER, named | _SEARCH, uid), (_MASK, mask | _SEARCH, _NO_ID)]
    # The kernel wants entries ordered by kind, named ones by id.
    blob = struct.pack("<I", _ACL_VERSION) + b"".join(
        _ACL_ENTRY.pack(*e) for e in sorted(kept, key=lambda e: (e[0], e[2]))
    )
    try:
        os.setxattr(folder, _ACL_ATTRIBUTE, blob)
    except (OSError, AttributeError) as error:
        raise PostgresFailed(
            f"PostgreSQL runs as the system user {SERVER_ACCOUNT}, which may not pass through {folder}: "
            f"run `chmod o+x {folder}`, or put Matrix and its data folder (MATRIX_DATA_DIR) elsewhere."
        ) from error


def _group_rights(entries: list[tuple[int, int, int]]) -> int:
    """The rights of the owning group: what the mask must not cut when it is added."""
    return next((perm for tag, perm, _ in entries if tag == _GROUP_OBJ), 0)
