"""`Idempotency-Key`: a POST that may be sent again without happening again."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel

from services.core.work import UnitOfWork
from services.identity import idempotency
from services.identity.idempotency import Answer

Effect = Callable[[UnitOfWork], Awaitable[BaseModel]]


class Repeat:
    """Runs the effect of one request once."""

    def __init__(self, key: str | None, fingerprint: bytes) -> None:
        self._key = key
        self._fingerprint = fingerprint

    async def once(
        self,
        work: AbstractAsyncContextManager[UnitOfWork],
        effect: Effect,
        *,
        owner: str,
        status: int = 201,
    ) -> Response:
        """Answer with what `effect` gives within `work`, or with what it gave to the same request before."""
        async with work as uow:

            async def answer() -> Answer:
                return Answer(status, (await effect(uow)).model_dump_json().encode())

            if self._key is None:
                given = await answer()
            else:
                given = await idempotency.once(
                    uow, owner=owner, key=self._key, fingerprint=self._fingerprint, effect=answer
                )
        return _response(given)

    async def apart(
        self,
        work: Callable[[], AbstractAsyncContextManager[UnitOfWork]],
        act: Callable[[], Awaitable[BaseModel]],
        *,
        owner: str,
        status: int = 200,
    ) -> Response:
        """The same for what takes more than one transaction, as whoever asks a provider: the key is bound to the
        request before `act`, and the answer kept after it, each in a `work`. `act` may be run again where nobody has
        learnt how it ended, and has to tell by itself what is done already."""
        if self._key is None:
            return _response(Answer(status, (await act()).model_dump_json().encode()))
        named: dict[str, Any] = {"owner": owner, "key": self._key, "fingerprint": self._fingerprint}
        async with work() as uow:
            given = await idempotency.begin(uow, **named)
        if given is None:
            given = Answer(status, (await act()).model_dump_json().encode())
            async with work() as uow:
                await idempotency.end(uow, given, **named)
        return _response(given)


def _response(given: Answer) -> Response:
    headers = {"Idempotent-Replayed": "true"} if given.replayed else None
    return Response(given.body, given.status, headers, media_type="application/json")


RepeatKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="The same key with the same request answers the same for 24 hours",
    ),
]


def repeat_of(request: Request, key: str | None, content: bytes) -> Repeat:
    """For a request that says `content`: the same key with anything else is refused."""
    act = f"{request.method} {request.url.path}\n".encode()
    return Repeat(key, hashlib.sha256(act + content).digest() if key else b"")


async def _repeat(request: Request, key: RepeatKey = None) -> Repeat:
    return repeat_of(request, key, await request.body() if key else b"")


RepeatOnce = Annotated[Repeat, Depends(_repeat)]
