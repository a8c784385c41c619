"""A key of AWS KMS: data keys are wrapped and unwrapped there, and the key never leaves.

The service is named by the operator's settings and by nobody else. What a data key is bound to goes along as its
encryption context, hashed, because AWS writes contexts down where more people read than here.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson
from aiohttp import ClientError, ClientTimeout

from services.core.aws_signing import Credentials, signed_headers
from services.core.clock import Clock, SystemClock
from services.core.key_providers import CannotUnwrap, KeysUnavailable
from services.core.logs import get_logger
from services.core.outgoing import inside_session
from services.core.tracing import outgoing_call

log = get_logger(__name__)

KIND = "aws-kms"
TRIES_MAX = 2
PAUSE_S = 0.1
_TIMEOUT = ClientTimeout(total=3, connect=2, sock_connect=2, sock_read=2)
_NOT_OURS = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})
_LATER = frozenset({"ThrottlingException", "KMSInternalException", "DependencyTimeoutException"})
_NAME = re.compile(r"\w{1,60}")


@dataclass(frozen=True, slots=True)
class Kms:
    """Where the service answers, and as whom it is asked."""

    endpoint: str
    credentials: Credentials


class KmsKey:
    """`name` is the key's ARN, id or alias. Each call takes at most two tries of three seconds."""

    def __init__(self, kms: Kms, name: str, clock: Clock | None = None) -> None:
        self._kms = kms
        self._name = name
        self._clock = clock or SystemClock()

    async def wrap(self, data_key: bytes, aad: bytes) -> bytes:
        said = await self._asked("Encrypt", aad, Plaintext=base64.b64encode(data_key).decode())
        return base64.b64decode(said["CiphertextBlob"])

    async def unwrap(self, wrapped: bytes, aad: bytes) -> bytes:
        said = await self._asked("Decrypt", aad, CiphertextBlob=base64.b64encode(wrapped).decode())
        return base64.b64decode(said["Plaintext"])

    async def _asked(self, act: str, aad: bytes, **asked: str) -> dict[str, Any]:
        context = {"matrix": hashlib.sha256(aad).hexdigest()}
        content = orjson.dumps({"KeyId": self._name, "EncryptionContext": context, **asked})
        for turn in range(TRIES_MAX):
            if turn:
                await asyncio.sleep(PAUSE_S)
            try:
                status, answer = await self._sent(act, content)
            except (ClientError, TimeoutError) as error:
                if turn + 1 == TRIES_MAX:
                    raise KeysUnavailable("cannot be reached") from error
                continue
            if status == 200:
                return orjson.loads(answer)
            fault = _fault(answer)
            if fault in _NOT_OURS:
                raise CannotUnwrap(fault)
            if status < 500 and fault not in _LATER:
                log.error("kms_refused", act=act, status=status, fault=fault)
                raise KeysUnavailable(f"refused ({fault or status})")
        raise KeysUnavailable("is busy")

    async def _sent(self, act: str, content: bytes) -> tuple[int, bytes]:
        endpoint = urlsplit(self._kms.endpoint)
        headers = signed_headers(
            self._kms.credentials,
            method="POST",
            host=endpoint.netloc,
            path="/",
            content_sha256=hashlib.sha256(content).hexdigest(),
            at=self._clock.now(),
            service="kms",
            more={"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"TrentService.{act}"},
        )
        with outgoing_call("aws kms", act=act):
            async with (
                inside_session() as session,
                session.post(
                    f"{endpoint.scheme}://{endpoint.netloc}/",
                    data=content,
                    headers=headers,
                    timeout=_TIMEOUT,
                    allow_redirects=False,
                ) as answer,
            ):
                return answer.status, await answer.read()


def _fault(answer: bytes) -> str:
    """What AWS calls it; empty for an answer that is not AWS's."""
    try:
        told = str(orjson.loads(answer)["__type"]).rpartition("#")[2]
    except (ValueError, KeyError, TypeError):
        return ""
    return told if _NAME.fullmatch(told) else ""
