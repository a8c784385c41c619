"""VIES, the register of the European Union, asked whether a number exists there.

It speaks JSON over REST. What it could not find out, because a member state's own register is away or too many ask at
once, says nothing of the number. A consultation number, which proves that somebody asked, is only given to who says
its own number.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, cast

import orjson
from aiohttp import ClientError, ClientSession, ClientTimeout
from yarl import URL

from services.core.errors import Unavailable
from services.core.outgoing import checked_url, guarded_session, read_within
from services.core.tracing import outgoing_call

CONNECT_TIMEOUT_S = 5
ANSWER_TIMEOUT_S = 30  # it waits itself for the register of a member state
ANSWER_BYTES_MAX = 100_000
_TIMEOUT = ClientTimeout(total=ANSWER_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S)
_NO_SUCH_NUMBER = "INVALID_INPUT"
_WRONG_REQUESTER = "INVALID_REQUESTER_INFO"


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether the number exists, and the consultation number, if there is one."""

    valid: bool
    reference: str


class Vies:
    """Connections to it; `async with` closes them. Raises AddressRefused for an address that may not be called."""

    def __init__(self, address: str, *, allowed: Collection[str] = ()) -> None:
        self._address = checked_url(address, allowed=allowed)
        self._allowed = allowed
        self._session: ClientSession | None = None

    async def __aenter__(self) -> Vies:
        self._session = guarded_session(self._allowed)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ask(self, number: str, *, requester: str = "") -> Answer:
        """Whether `number`, letters in front, exists; `requester` is the number of who wants to know.

        A requester that VIES does not know is left out, and with it the consultation number: that ours is wrong is no
        reason to distrust theirs. Raises Unavailable.
        """
        asked = {"countryCode": number[:2], "vatNumber": number[2:]}
        who = (
            {"requesterMemberStateCode": requester[:2], "requesterNumber": requester[2:]} if requester else {}
        )
        told = await self._sent(asked | who)
        if who and _error(told) == _WRONG_REQUESTER:
            told = await self._sent(asked)
        if (error := _error(told)) == _NO_SUCH_NUMBER:
            return Answer(False, "")
        if error or not isinstance(told.get("valid"), bool):
            raise Unavailable(f"VIES could not answer ({error or 'without a word'}).")
        return Answer(told["valid"], str(told.get("requestIdentifier") or "")[:100])

    async def _sent(self, body: dict[str, str]) -> dict[str, Any]:
        if self._session is None:
            raise ValueError("Enter the context first: it opens the connections.")
        address = URL(f"{self._address}/check-vat-number")
        try:
            with outgoing_call("vies"):
                async with self._session.post(
                    address, json=body, timeout=_TIMEOUT, allow_redirects=False
                ) as answer:
                    raw = await read_within(answer.content, ANSWER_BYTES_MAX)
        except (ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"VIES cannot be reached ({type(error).__name__}).") from error
        try:
            told: Any = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise Unavailable(f"VIES answered with {answer.status} and no JSON.") from error
        return cast("dict[str, Any]", told) if isinstance(told, dict) else {}


def _error(told: dict[str, Any]) -> str:
    """The code of the first error; empty for an answer."""
    wrapped: Any = told.get("errorWrappers")
    if not isinstance(wrapped, list) or not wrapped:
        return "" if told.get("actionSucceed", True) else "UNKNOWN"
    first = cast("list[Any]", wrapped)[0]
    return (
        str(cast("dict[str, Any]", first).get("error") or "UNKNOWN") if isinstance(first, dict) else "UNKNOWN"
    )
