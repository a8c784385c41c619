"""The websockets that are open, so that all can be told to come back elsewhere before the process ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

RESTARTING = 1012  # the code of RFC 6455's registry that has clients connect again at once
FAREWELL_S = 2.0


class OpenSockets:
    """Those of one server. Use within its loop."""

    def __init__(self) -> None:
        self._open: set[_OpenSocket] = set()
        self._closing = False

    async def serve(
        self, app: Callable[[Any, Receive, Send], Awaitable[None]], scope: Any, receive: Receive, send: Send
    ) -> None:
        """Run `app` for one socket; one that comes too late is sent on at once."""
        if self._closing:
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close", "code": RESTARTING})
            return
        socket = _OpenSocket(receive, send)
        self._open.add(socket)
        try:
            await app(scope, socket.receive, socket.send)
        finally:
            self._open.discard(socket)
            socket.ended.set()

    async def close(self) -> None:
        """Tell all that they should connect again, and give their apps a moment to end."""
        self._closing = True
        waiting = [asyncio.ensure_future(socket.ended.wait()) for socket in self._open]
        for socket in self._open:
            socket.farewell.set_result(None)
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=FAREWELL_S)
            for task in late:
                task.cancel()


class _OpenSocket:
    """One socket as its app sees it. After our farewell the app hears that it is gone, and nothing more is sent."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._accepted = False
        self._closed = False
        self.farewell: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ended = asyncio.Event()

    async def receive(self) -> Message:
        if not self.farewell.done():
            hearing = asyncio.ensure_future(self._receive())
            try:
                await asyncio.wait((hearing, self.farewell), return_when=asyncio.FIRST_COMPLETED)
                if hearing.done():
                    return hearing.result()
            finally:
                hearing.cancel()
            # The server sends nothing on a socket while somebody waits to hear from it.
            await asyncio.wait((hearing,))
        await self._say_farewell()
        return {"type": "websocket.disconnect", "code": RESTARTING}

    async def send(self, message: Message) -> None:
        if self._closed:
            return
        self._accepted = self._accepted or message["type"] == "websocket.accept"
        self._closed = message["type"] == "websocket.close"
        await self._send(message)

    async def _say_farewell(self) -> None:
        if self._accepted:
            await self.send({"type": "websocket.close", "code": RESTARTING, "reason": "Restarting"})
