"""Sockets of one session and one address are bounded, and refused before anything is opened."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest

from matrix_app.doors import Doors
from matrix_app.socket_limits import SocketLimits
from services.core.errors import RateLimited
from services.core.settings import settings
from services.identity.cookies import session_cookie


def handshake(session: str, address: str, **more: Any) -> dict[str, Any]:
    cookie = f"{session_cookie(settings().public_url)}={session}" if session else "theme=dark"
    told = {"type": "websocket", "path": "/_event/", "headers": [(b"cookie", cookie.encode())]}
    return told | {"client": (address, 1)} | more


def test_each_session_and_each_address_has_its_own_bound() -> None:
    limits = SocketLimits(of_session=2, of_address=3)
    with ExitStack() as opened:
        for session in ("one", "one", "two"):
            opened.enter_context(limits.holding(handshake(session, "192.0.2.1")))
        for session, address in (("one", "192.0.2.2"), ("two", "192.0.2.1"), ("", "192.0.2.1")):
            with pytest.raises(RateLimited), limits.holding(handshake(session, address)):
                pass
        assert len(limits) == 3
        with limits.holding(handshake("", "192.0.2.2")), limits.holding(handshake("", "192.0.2.2")):
            pass  # who is not signed in is counted by address alone
    with limits.holding(handshake("one", "192.0.2.1")):
        assert len(limits) == 2


@pytest.mark.parametrize(
    ("extensions", "said"),
    [
        ({"websocket.http.response": {}}, ["websocket.http.response.start", "websocket.http.response.body"]),
        ({}, ["websocket.close"]),
    ],
)
@pytest.mark.parametrize("path", ["/_event/", "/live"])
async def test_one_too_many_is_refused_before_it_is_opened(
    path: str, extensions: dict[str, Any], said: list[str]
) -> None:
    sent: list[Any] = []
    reached: list[str] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def silent() -> Any:
        return {"type": "websocket.connect"}

    async def behind(scope: Any, receive: Any, send: Any) -> None:
        reached.append(scope["path"])
        if len(reached) == 1:  # while the first is open
            await doors(scope, receive, send)

    doors = Doors(api=behind, live=behind, pages=behind, documents=[], limits=SocketLimits(of_session=1))
    scope = handshake("mine", "192.0.2.1", path=path, extensions=extensions)
    await doors(scope, silent, send)

    assert reached == [path]
    assert [message["type"] for message in sent] == said
    assert sent[0].get("status", 429) == 429
    await doors(scope, silent, send)
    assert len(reached) == 2  # the first has ended
