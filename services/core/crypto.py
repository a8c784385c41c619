"""Envelope encryption and keyed hashes.

Each value gets a fresh data key (AES-256-GCM), which a `KeyProvider` wraps. The associated data names the
tenant, table, column and row, so that a sealed value moved elsewhere does not open. Rotation re-wraps
data keys only. See docs/decisions/0004-envelope-encryption.md and 0044-keys-of-others.md.

Layout of a sealed value: version (1 byte), length of key id (1), key id, length of the wrapped data key (2), wrapped
data key, nonce (12), ciphertext with tag. The wrapped key is bound to key id and place, the ciphertext to the place.
Version 1 had 60 bytes of wrapped data key without a length, and bound its ciphertext to the key id, too.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlmodel import SQLModel

from services.core import key_file
from services.core.key_providers import CannotUnwrap, KeyRing

VERSION = 2
PLATFORM = "platform"  # the tenant in the place of what belongs to the installation
_V1 = 1
_NONCE = 12
_V1_WRAPPED = _NONCE + 32 + 16


class CannotOpen(Exception):
    """The value was changed, moved, or sealed under a key this installation does not have."""


class KeyProvider(Protocol):
    """What wraps data keys. Remote ones raise KeysUnavailable while they cannot be asked, CannotUnwrap for what is
    none of theirs, and KeyError for a key id they do not know."""

    def current_key_id(self) -> str: ...
    async def wrap(self, key_id: str, data_key: bytes, aad: bytes) -> bytes: ...
    async def unwrap(self, key_id: str, wrapped: bytes, aad: bytes) -> bytes: ...
    def lookup_key(self) -> bytes: ...
    def fingerprint(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed value belongs: in a column that models declare as `sealed`."""

    tenant: str
    table: str
    column: str
    row: str

    def aad(self) -> bytes:
        return json.dumps([self.tenant, self.table, self.column, self.row]).encode()


@dataclass(frozen=True, slots=True)
class _Parts:
    """A sealed value, taken apart. `body_aad` is what its ciphertext is bound to."""

    header: bytes
    key_id: str
    wrapped: bytes
    content: bytes
    body_aad: bytes


class Vault:
    """Seals and opens values, and makes the keyed hashes by which secrets are looked up."""

    def __init__(self, keys: KeyProvider) -> None:
        self._keys = keys

    async def seal(self, plaintext: bytes, place: Place) -> bytes:
        """Raises ValueError for a place that models do not declare: keys are rotated by that declaration."""
        _require_declared(place)
        data_key, nonce = secrets.token_bytes(32), secrets.token_bytes(_NONCE)
        content = nonce + AESGCM(data_key).encrypt(nonce, plaintext, _body_aad(place))
        return await self._enveloped(data_key, content, place)

    async def open(self, sealed: bytes, place: Place) -> bytes:
        """Raises CannotOpen for anything but what `seal` made for this very place, and KeysUnavailable."""
        try:
            parts = _taken_apart(sealed, place)
            data_key = await self._keys.unwrap(parts.key_id, parts.wrapped, parts.header + place.aad())
            nonce, body = parts.content[:_NONCE], parts.content[_NONCE:]
            return AESGCM(data_key).decrypt(nonce, body, parts.body_aad)
        except (CannotUnwrap, InvalidTag, KeyError, IndexError, ValueError) as error:
            raise CannotOpen("the value cannot be opened here") from error

    async def rewrap(self, sealed: bytes, place: Place) -> bytes:
        """The same under the current key. Raises CannotOpen and KeysUnavailable."""
        if sealed[:1] != bytes([VERSION]):
            return await self.seal(await self.open(sealed, place), place)
        try:
            parts = _taken_apart(sealed, place)
            data_key = await self._keys.unwrap(parts.key_id, parts.wrapped, parts.header + place.aad())
        except (CannotUnwrap, InvalidTag, KeyError, IndexError, ValueError) as error:
            raise CannotOpen("the value cannot be opened here") from error
        return await self._enveloped(data_key, parts.content, place)

    def current_header(self) -> bytes:
        """How everything begins that is sealed by now."""
        return header(self._keys.current_key_id())

    def fingerprint(self) -> bytes:
        """What the database knows these keys by."""
        return self._keys.fingerprint()

    def lookup_hash(self, secret: str) -> bytes:
        """32 bytes that find a secret again without storing it. For high-entropy secrets, not passwords."""
        return hmac.new(self._keys.lookup_key(), secret.encode(), hashlib.sha256).digest()

    async def _enveloped(self, data_key: bytes, content: bytes, place: Place) -> bytes:
        key_id = self._keys.current_key_id()
        begins = header(key_id)
        wrapped = await self._keys.wrap(key_id, data_key, begins + place.aad())
        return begins + len(wrapped).to_bytes(2) + wrapped + content


def header(key_id: str, version: int = VERSION) -> bytes:
    """What values under a key begin with."""
    return bytes([version, len(key_id)]) + key_id.encode()


def headers(key_id: str) -> tuple[bytes, ...]:
    """The same, of every version."""
    return tuple(header(key_id, version) for version in (_V1, VERSION))


def _require_declared(place: Place) -> None:
    table = SQLModel.metadata.tables.get(place.table)
    if table is None or place.column not in table.c or "sealed" not in table.c[place.column].info:
        raise ValueError(f"{place.table}.{place.column} is not declared as sealed: see models.base.sealed")


def _body_aad(place: Place) -> bytes:
    return bytes([VERSION]) + place.aad()


def _taken_apart(sealed: bytes, place: Place) -> _Parts:
    """Raises IndexError or ValueError for what was never sealed."""
    if sealed[0] not in (VERSION, _V1):
        raise ValueError(f"unknown version {sealed[0]}")
    end = 2 + sealed[1]
    begins, key_id = sealed[:end], sealed[2:end].decode()
    if sealed[0] == _V1:
        after = end + _V1_WRAPPED
        return _Parts(begins, key_id, sealed[end:after], sealed[after:], begins + place.aad())
    start = end + 2
    after = start + int.from_bytes(sealed[end:start])
    return _Parts(begins, key_id, sealed[start:after], sealed[after:], _body_aad(place))


_vault: Vault | None = None


def install(vault: Vault) -> None:
    global _vault
    _vault = vault


def vault() -> Vault:
    if _vault is None:
        raise RuntimeError("No vault is installed: call services.core.crypto.install() at start.")
    return _vault


def file_vault(data_dir: Path) -> Vault:
    """A vault with the keys of a data folder, made if there are none. Asks no database: see keyring."""
    path = key_file.path_in(data_dir)
    return Vault(KeyRing.of_file(key_file.read(path) or key_file.make(path), path))
