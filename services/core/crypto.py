"""Envelope encryption and keyed hashes.

Each value gets a fresh data key (AES-256-GCM), which a `KeyProvider` wraps. The associated data names the
tenant, table, column and row, so that a sealed value moved elsewhere does not open. Rotation re-wraps
data keys only. See docs/decisions/0004-envelope-encryption.md.

Layout of a sealed value: version (1 byte), length of key id (1), key id, wrapped data key (60), nonce (12),
ciphertext with tag.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.core.errors import KeysAwaited

VERSION = 1
_NONCE = 12
_WRAPPED = _NONCE + 32 + 16


class CannotOpen(Exception):
    """The value was changed, moved, or sealed under a key this installation does not have."""


class KeyProvider(Protocol):
    def current_key_id(self) -> str: ...
    def wrap(self, key_id: str, data_key: bytes, aad: bytes) -> bytes: ...
    def unwrap(self, key_id: str, wrapped: bytes, aad: bytes) -> bytes: ...
    def lookup_key(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed value belongs."""

    tenant: str
    table: str
    column: str
    row: str

    def aad(self) -> bytes:
        return json.dumps([self.tenant, self.table, self.column, self.row]).encode()


class FileKeyProvider:
    """Key-encryption keys in one file that only its owner may read; made on first use."""

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.exists():
            self._create()
        keys = json.loads(path.read_text())
        self._current: str = keys["current"]
        self._keys = {key_id: bytes.fromhex(key) for key_id, key in keys["keys"].items()}
        self._lookup = bytes.fromhex(keys["lookup"])

    def _create(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        key_id = f"file-{secrets.token_hex(4)}"
        content = {
            "current": key_id,
            "keys": {key_id: secrets.token_hex(32)},
            "lookup": secrets.token_hex(32),
        }
        draft = self._path.with_suffix(f".{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(
                draft, self._path
            )  # refuses to replace: of two processes starting at once, one makes the keys
        except FileExistsError:
            pass
        finally:
            draft.unlink()

    def current_key_id(self) -> str:
        return self._current

    def wrap(self, key_id: str, data_key: bytes, aad: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE)
        return nonce + AESGCM(self._keys[key_id]).encrypt(nonce, data_key, aad)

    def unwrap(self, key_id: str, wrapped: bytes, aad: bytes) -> bytes:
        return AESGCM(self._keys[key_id]).decrypt(wrapped[:_NONCE], wrapped[_NONCE:], aad)

    def lookup_key(self) -> bytes:
        return self._lookup


class Vault:
    """Seals and opens values, and makes the keyed hashes by which secrets are looked up."""

    def __init__(self, keys: KeyProvider) -> None:
        self._keys = keys

    def seal(self, plaintext: bytes, place: Place) -> bytes:
        key_id = self._keys.current_key_id()
        data_key = secrets.token_bytes(32)
        nonce = secrets.token_bytes(_NONCE)
        header = bytes([VERSION, len(key_id)]) + key_id.encode()
        aad = header + place.aad()
        wrapped = self._keys.wrap(key_id, data_key, aad)
        return header + wrapped + nonce + AESGCM(data_key).encrypt(nonce, plaintext, aad)

    def open(self, sealed: bytes, place: Place) -> bytes:
        """Raises CannotOpen for anything but what `seal` made for this very place."""
        try:
            if sealed[0] != VERSION:
                raise CannotOpen(f"unknown version {sealed[0]}")
            end = 2 + sealed[1]
            header, key_id = sealed[:end], sealed[2:end].decode()
            aad = header + place.aad()
            wrapped, rest = sealed[end : end + _WRAPPED], sealed[end + _WRAPPED :]
            data_key = self._keys.unwrap(key_id, wrapped, aad)
            return AESGCM(data_key).decrypt(rest[:_NONCE], rest[_NONCE:], aad)
        except (InvalidTag, KeyError, IndexError, ValueError, UnicodeDecodeError) as error:
            raise CannotOpen("the value cannot be opened here") from error

    def lookup_hash(self, secret: str) -> bytes:
        """32 bytes that find a secret again without storing it. For high-entropy secrets, not passwords."""
        return hmac.new(self._keys.lookup_key(), secret.encode(), hashlib.sha256).digest()


_vault: Vault | None = None


def install(vault: Vault) -> None:
    global _vault
    _vault = vault


def vault() -> Vault:
    if _vault is None:
        raise RuntimeError("No vault is installed: call services.core.crypto.install() at start.")
    return _vault


def keys_path(data_dir: Path) -> Path:
    return data_dir / "keys" / "master.json"


def await_keys(data_dir: Path) -> None:
    """Let no key be made here: those of the installation that the data came from are to be put in place."""
    keys_path(data_dir).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _awaited(data_dir).touch()


def _awaited(data_dir: Path) -> Path:
    return keys_path(data_dir).with_name("awaited")


def file_vault(data_dir: Path) -> Vault:
    path = keys_path(data_dir)
    if _awaited(data_dir).exists() and not path.exists():
        raise KeysAwaited(
            f"{path} is missing: this data was restored without its keys; put the keys/master.json of the "
            "installation it came from there."
        )
    return Vault(FileKeyProvider(path))
