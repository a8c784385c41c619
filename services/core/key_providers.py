"""What wraps data keys: keys in the file, and keys that stay where they are kept, named in the file."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.core import key_file
from services.core.errors import Unavailable
from services.core.key_file import Keys, Remote, Wrapped, WrongKeys
from services.core.logs import get_logger

log = get_logger(__name__)

LOOKUP_AAD = b"matrix lookup key"
_NONCE = 12


class KeysUnavailable(Unavailable):
    """The service or module that keeps the keys did not do what it was asked. Its own words are not repeated."""

    code = "key_service_unavailable"
    title = "The keys cannot be reached"

    def __init__(self, what: str) -> None:
        super().__init__(f"What keeps the keys {what}.", next_step="Try again in a moment.")


class CannotUnwrap(Exception):
    """What was given was not wrapped by this key, or for another place."""


class WrappingKey(Protocol):
    """One key. `aad` is what a wrapped data key is bound to. Raises CannotUnwrap and KeysUnavailable."""

    async def wrap(self, data_key: bytes, aad: bytes) -> bytes: ...
    async def unwrap(self, wrapped: bytes, aad: bytes) -> bytes: ...


Reach = Callable[[Remote], WrappingKey]  # raises Refused where settings do not say how


class LocalKey:
    """32 bytes in memory."""

    def __init__(self, key: bytes) -> None:
        self._key = AESGCM(key)

    async def wrap(self, data_key: bytes, aad: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._key.encrypt(nonce, data_key, aad)

    async def unwrap(self, wrapped: bytes, aad: bytes) -> bytes:
        try:
            return self._key.decrypt(wrapped[:_NONCE], wrapped[_NONCE:], aad)
        except (InvalidTag, ValueError) as error:
            raise CannotUnwrap from error


def nowhere(remote: Remote) -> WrappingKey:
    """Where no key but those in the file can be reached."""
    raise WrongKeys(
        f"The keys are kept by {remote.kind}, and this process was not told how to reach it: see MATRIX_KEYS."
    )


class KeyRing:
    """The keys of a file, as a `KeyProvider`. Follows the file: a rotation adds a key to it and takes one away while
    processes run."""

    def __init__(self, keys: Keys, lookup: bytes, reach: Reach, path: Path | None = None) -> None:
        self._reach = reach
        self._path = path
        self._lookup = lookup
        self._fingerprint = key_file.fingerprint_of(lookup)
        self._take(keys)
        self._seen = key_file.state_of(path) if path else None

    @classmethod
    def of_file(cls, keys: Keys, path: Path) -> KeyRing:
        """With keys that are all in the file. Raises WrongKeys for others."""
        if isinstance(keys.lookup, Wrapped):
            raise WrongKeys(f"{path} names keys that are kept elsewhere: it takes settings to reach them.")
        return cls(keys, keys.lookup, nowhere, path)

    def current_key_id(self) -> str:
        self._follow()
        return self._current

    async def wrap(self, key_id: str, data_key: bytes, aad: bytes) -> bytes:
        return await self._keys[key_id].wrap(data_key, aad)

    async def unwrap(self, key_id: str, wrapped: bytes, aad: bytes) -> bytes:
        if key_id not in self._keys:
            self._follow()
        return await self._keys[key_id].unwrap(wrapped, aad)

    def lookup_key(self) -> bytes:
        return self._lookup

    def fingerprint(self) -> bytes:
        return self._fingerprint

    def _take(self, keys: Keys) -> None:
        self._keys = {key_id: wrapping_key(key, self._reach) for key_id, key in keys.wrapping.items()}
        self._current = keys.current

    def _follow(self) -> None:
        """Read the file again when it was replaced. One that is of no use changes nothing: a running process goes on
        with the keys it has."""
        if self._path is None or (state := key_file.state_of(self._path)) == self._seen:
            return
        self._seen = state
        try:
            keys = key_file.read(self._path)
            if keys is not None and keys.fingerprint == self._fingerprint:
                self._take(keys)
                return
            reason = "it is gone" if keys is None else "it holds the keys of another installation"
        except WrongKeys as error:
            reason = str(error)
        log.error("keys_not_followed", reason=reason)


def wrapping_key(key: bytes | Remote, reach: Reach) -> WrappingKey:
    """Raises Refused for a remote key that settings do not say how to reach."""
    return LocalKey(key) if isinstance(key, bytes) else reach(key)


async def lookup_of(keys: Keys, reach: Reach) -> bytes:
    """The key that secrets are looked up with. Raises WrongKeys, KeysUnavailable, Refused."""
    if not isinstance(keys.lookup, Wrapped):
        return keys.lookup
    by = wrapping_key(keys.wrapping[keys.lookup.under], reach)
    try:
        lookup = await by.unwrap(keys.lookup.content, LOOKUP_AAD)
    except CannotUnwrap as error:
        raise WrongKeys("The key that is named in the file did not wrap what is in it.") from error
    if key_file.fingerprint_of(lookup) != keys.lookup.fingerprint:
        raise WrongKeys("The file's lookup key is not the one that it was made with.")
    return lookup


async def lookup_under(keys: Keys, key_id: str, lookup: bytes, reach: Reach) -> bytes | Wrapped:
    """How the file keeps the lookup key while `key_id` is current: as it is beside a key that is there, too, else
    wrapped. Raises KeysUnavailable, Refused."""
    key = keys.wrapping[key_id]
    if isinstance(key, bytes):
        return lookup
    content = await reach(key).wrap(lookup, LOOKUP_AAD)
    return Wrapped(key_id, content, key_file.fingerprint_of(lookup))
