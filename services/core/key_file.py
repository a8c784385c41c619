"""The file of this installation's keys, and whether it is the one that its database was begun with.

Other keys find no API key and no session and open no secret, so they are worse than none: a database keeps a
fingerprint of its own, and the file is made only for a database that has none yet.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from services.core.refusal import Refused

LOOKUP = "lookup"  # the purpose of the key whose fingerprint is kept
KEY_BYTES = 32


class WrongKeys(Refused):
    """The keys are lost, damaged, or those of another installation."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A key that never leaves where it is kept: `kind` is what keeps it, `name` what it is called there."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Wrapped:
    """The lookup key, wrapped by the key `under`; `fingerprint` tells without opening it which it is."""

    under: str
    content: bytes
    fingerprint: bytes


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """Keys that wrap data keys, by their ids, and the one that secrets are looked up with.

    `current` wraps what is sealed now; others open what was sealed before. `next` is there and not current yet.
    """

    current: str
    wrapping: dict[str, bytes | Remote]
    lookup: bytes | Wrapped
    next: str = ""

    @property
    def fingerprint(self) -> bytes:
        """32 bytes that differ for other keys, and from which the key cannot be found."""
        lookup = self.lookup
        return lookup.fingerprint if isinstance(lookup, Wrapped) else fingerprint_of(lookup)


def fingerprint_of(lookup: bytes) -> bytes:
    return hmac.new(lookup, b"matrix key fingerprint", hashlib.sha256).digest()


def path_in(data_dir: Path) -> Path:
    return data_dir / "keys" / "master.json"


def state_of(path: Path) -> tuple[int, int] | None:
    """Differs once the file was replaced; None without one."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def read(path: Path) -> Keys | None:
    """The keys in the file; None when there is none. Raises WrongKeys when it cannot be read."""
    try:
        content = json.loads(path.read_text())
        keys = Keys(
            str(content["current"]),
            {str(key_id): _key(key) for key_id, key in content["keys"].items()},
            _lookup(content["lookup"]),
            str(content.get("next", "")),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is damaged"
        raise WrongKeys(f"{path} cannot be read ({reason}): put it back from the backup.") from error
    named = {keys.current, keys.next or keys.current}
    named |= {keys.lookup.under} if isinstance(keys.lookup, Wrapped) else set()
    there = [key for key in (*keys.wrapping.values(), keys.lookup) if isinstance(key, bytes)]
    if not named <= keys.wrapping.keys() or any(len(key) != KEY_BYTES for key in there):
        raise WrongKeys(f"{path} cannot be read (it is damaged): put it back from the backup.")
    return keys


def _key(written: str | dict[str, str]) -> bytes | Remote:
    if isinstance(written, str):
        return bytes.fromhex(written)
    return Remote(written["kind"], written["name"])


def _lookup(written: str | dict[str, str]) -> bytes | Wrapped:
    if isinstance(written, str):
        return bytes.fromhex(written)
    return Wrapped(written["under"], bytes.fromhex(written["wrapped"]), bytes.fromhex(written["fingerprint"]))


def new() -> Keys:
    """Keys that are all in the file. Not written anywhere."""
    key_id = new_id("file")
    return Keys(key_id, {key_id: new_secret()}, new_secret())


def new_secret() -> bytes:
    return secrets.token_bytes(KEY_BYTES)


def new_id(kind: str) -> str:
    return f"{kind}-{secrets.token_hex(4)}"


def make(path: Path, keys: Keys | None = None) -> Keys:
    """`keys`, or new ones, in a file that only its owner may read; of two processes that make it at once, one does."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = _draft(path, keys or new())
    try:
        os.link(draft, path)  # refuses to replace
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    _keep_name(path.parent)
    made = read(path)
    if made is None:
        raise WrongKeys(f"{path} was made and has vanished: what else uses this folder?")
    return made


def replace(path: Path, keys: Keys) -> None:
    """Have `keys` in the file instead of what is there, for the same owner; whoever reads finds one or the other."""
    draft = _draft(path, keys)
    try:
        owner = path.stat()
        if (owner.st_uid, owner.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(draft, owner.st_uid, owner.st_gid)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    _keep_name(path.parent)


def _draft(path: Path, keys: Keys) -> Path:
    draft = path.with_suffix(f".{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(_written(keys), file)
        file.flush()
        os.fsync(file.fileno())
    return draft


def _written(keys: Keys) -> dict[str, object]:
    lookup = keys.lookup
    written: dict[str, object] = {
        "current": keys.current,
        "keys": {
            key_id: key.hex() if isinstance(key, bytes) else {"kind": key.kind, "name": key.name}
            for key_id, key in keys.wrapping.items()
        },
        "lookup": lookup.hex()
        if isinstance(lookup, bytes)
        else {
            "under": lookup.under,
            "wrapped": lookup.content.hex(),
            "fingerprint": lookup.fingerprint.hex(),
        },
    }
    return written | ({"next": keys.next} if keys.next else {})


# -- keys that wrap nothing any more


def retire(path: Path, key_id: str, key: bytes | Remote) -> Path:
    """Put a key aside, for backups from before; the product does not open with it. Returns where it lies."""
    aside = path.with_name(f"retired-{key_id}.json")
    if not aside.exists():
        draft = _draft(path, Keys(key_id, {key_id: key}, b""))
        draft.replace(aside)
        _keep_name(path.parent)
    return aside


def retired(path: Path) -> dict[str, bytes | Remote]:
    """Those that were put aside. Raises WrongKeys for a file that cannot be read."""
    found: dict[str, bytes | Remote] = {}
    for aside in sorted(path.parent.glob("retired-*.json")):
        try:
            found |= {key_id: _key(key) for key_id, key in json.loads(aside.read_text())["keys"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise WrongKeys(f"{aside} cannot be read: put it back from a backup, or delete it.") from error
    return found


def _keep_name(folder: Path) -> None:
    """Have the file's name on the disk, too: its fingerprint must not outlive it in a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def require_same(keys: Keys | None, fingerprint: bytes, path: Path) -> Keys:
    """`keys`, if the database with this fingerprint was begun with them. Raises WrongKeys."""
    if keys is None:
        raise WrongKeys(
            f"{path} is missing, and without the keys in it no API key, session or stored secret of this database "
            "works: put it back from the backup."
        )
    if not hmac.compare_digest(keys.fingerprint, fingerprint):
        raise WrongKeys(
            f"{path} holds other keys than this database was begun with, and with them no API key, session or stored "
            "secret works: put the right file back from the backup."
        )
    return keys
