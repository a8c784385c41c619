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


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """Keys that wrap data keys, by their ids, and the one that secrets are looked up with."""

    current: str
    wrapping: dict[str, bytes]
    lookup: bytes

    @property
    def fingerprint(self) -> bytes:
        """32 bytes that differ for other keys, and from which the key cannot be found."""
        return hmac.new(self.lookup, b"matrix key fingerprint", hashlib.sha256).digest()


def path_in(data_dir: Path) -> Path:
    return data_dir / "keys" / "master.json"


def read(path: Path) -> Keys | None:
    """The keys in the file; None when there is none. Raises WrongKeys when it cannot be read."""
    try:
        content = json.loads(path.read_text())
        wrapping = {str(key_id): bytes.fromhex(key) for key_id, key in content["keys"].items()}
        keys = Keys(str(content["current"]), wrapping, bytes.fromhex(content["lookup"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is damaged"
        raise WrongKeys(f"{path} cannot be read ({reason}): put it back from the backup.") from error
    if keys.current not in wrapping or {len(key) for key in (*wrapping.values(), keys.lookup)} != {KEY_BYTES}:
        raise WrongKeys(f"{path} cannot be read (it is damaged): put it back from the backup.")
    return keys


def make(path: Path) -> Keys:
    """New keys in a file that only its owner may read; of two processes that make it at once, one does."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    key_id = f"file-{secrets.token_hex(4)}"
    content = {
        "current": key_id,
        "keys": {key_id: secrets.token_hex(KEY_BYTES)},
        "lookup": secrets.token_hex(KEY_BYTES),
    }
    draft = path.with_suffix(f".{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)  # refuses to replace
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    _keep_name(path.parent)
    keys = read(path)
    if keys is None:
        raise WrongKeys(f"{path} was made and has vanished: what else uses this folder?")
    return keys


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
