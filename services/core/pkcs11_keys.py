"""A key of a hardware module that speaks PKCS#11: data keys are wrapped and unwrapped there by AES-GCM.

`python-pkcs11` is asked for only here, and only where a key is kept like this: see requirements-pkcs11.txt.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import threading
from dataclasses import dataclass, field
from typing import Any

from services.core.key_providers import CannotUnwrap, KeysUnavailable
from services.core.logs import get_logger
from services.core.refusal import Refused

log = get_logger(__name__)

KIND = "pkcs11"
TIMEOUT_S = 5.0
_NONCE = 12
_TAG_BITS = 128


@dataclass(frozen=True, slots=True)
class Hsm:
    """The module's library, the label of a token in it, and what opens that."""

    module: str
    token: str
    pin: str = field(repr=False)


class HsmKey:
    """`label` names an AES key in the token. One session, one call at a time; a call that fails ends the session."""

    def __init__(self, hsm: Hsm, label: str) -> None:
        self._hsm = hsm
        self._label = label
        self._lock = threading.Lock()
        self._key: Any = None
        self._session: Any = None

    async def wrap(self, data_key: bytes, aad: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE)
        return nonce + await self._done("encrypt", data_key, nonce, aad)

    async def unwrap(self, wrapped: bytes, aad: bytes) -> bytes:
        return await self._done("decrypt", wrapped[_NONCE:], wrapped[:_NONCE], aad)

    async def _done(self, act: str, content: bytes, nonce: bytes, aad: bytes) -> bytes:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await asyncio.to_thread(self._at_once, act, content, nonce, aad)
        except TimeoutError as error:
            raise KeysUnavailable("does not answer") from error

    def _at_once(self, act: str, content: bytes, nonce: bytes, aad: bytes) -> bytes:
        pkcs11 = _library()
        bound = pkcs11.GCMParams(nonce, hashlib.sha256(aad).digest(), _TAG_BITS)
        with self._lock:
            try:
                key = self._opened(pkcs11)
                return getattr(key, act)(content, mechanism=pkcs11.Mechanism.AES_GCM, mechanism_param=bound)
            except pkcs11.exceptions.PKCS11Error as error:
                fault = type(error).__name__
                if act == "decrypt" and fault in _NOT_OURS:
                    raise CannotUnwrap(fault) from None
                log.error("hsm_refused", act=act, fault=fault)
                self._close()
                raise KeysUnavailable(f"refused ({fault})") from None

    def _opened(self, pkcs11: Any) -> Any:
        if self._key is None:
            token = pkcs11.lib(self._hsm.module).get_token(token_label=self._hsm.token)
            try:
                self._session = token.open(user_pin=self._hsm.pin)
            except pkcs11.exceptions.UserAlreadyLoggedIn:  # by another key of this process
                self._session = token.open()
            self._key = self._session.get_key(object_class=pkcs11.ObjectClass.SECRET_KEY, label=self._label)
        return self._key

    def _close(self) -> None:
        session, self._session, self._key = self._session, None, None
        if session is not None:
            try:
                session.close()
            except Exception as error:  # it is of no use any more, whatever it says
                log.info("hsm_session_lost", fault=type(error).__name__)


# Modules do not agree on what a wrong tag is; SoftHSM calls it a general error.
_NOT_OURS = frozenset({"EncryptedDataInvalid", "EncryptedDataLenRange", "GeneralError", "ArgumentsBad"})


def _library() -> Any:
    try:
        import pkcs11
    except ImportError as error:
        raise Refused(
            "Keys kept by a PKCS#11 module need a library: `uv pip install -r requirements-pkcs11.txt`."
        ) from error
    return pkcs11
