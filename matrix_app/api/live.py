"""The websocket of live figures: `/live`.

The browser's cookie says who it is; Origin, session, organisation and role are checked before the socket is
accepted, on a timer, and whenever an event says that somebody's access changed.

From the page: `{"subscribe": ["overview"]}`, `{"unsubscribe": [...]}`.
To the page: `{"topic", "version", "at", "data"}`; `{"beat": <instant>, "behind": {<topic>: <since>}}` every two
seconds, so that a page knows when it has stopped hearing; `{"refused": <topic>, "code", "message"}`.
Closes with 4401 (sign in again), 4403 (no right), 1013 (come back later), and, for what no page says, with 1003
(not understood) or 1009 (too long).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import orjson
from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect

from services.core.actor import Actor
from services.core.clock import SystemClock
from services.core.errors import Conflict, MatrixError, Unavailable
from services.live.hub import Hub, Watcher

SIGN_IN_AGAIN = 4401
NO_RIGHT = 4403
TRY_LATER = 1013
NOT_UNDERSTOOD = 1003
TOO_LONG = 1009
BEAT_S = 2.0
RECHECK_S = 30.0
SEND_TIMEOUT_S = 10.0
MESSAGE_BYTES_MAX = 2_000
TOPICS_MAX = 20

Authenticate = Callable[[str], Awaitable[Actor | None]]


class LiveEndpoint:
    """Serves the sockets of one hub. `authenticate` turns a session token into an actor."""

    def __init__(self, hub: Hub, authenticate: Authenticate, origins: frozenset[str], cookie: str) -> None:
        self._hub = hub
        self._authenticate = authenticate
        self._origins = origins
        self._cookie = cookie
        self._clock = SystemClock()

    async def __call__(self, socket: WebSocket) -> None:
        if socket.headers.get("origin") not in self._origins:
            await socket.close(NO_RIGHT, "This origin may not connect.")
            return
        token = socket.cookies.get(self._cookie, "")
        try:
            actor = await self._authenticate(token) if token else None
        except Unavailable:
            await socket.close(TRY_LATER, "The database cannot be reached.")
            return
        # Accepted before it is closed: a refused handshake reaches the page as 1006, without a reason.
        await socket.accept()
        if actor is None:
            await socket.close(SIGN_IN_AGAIN, "Sign in again.")
            return
        if actor.organization_id is None:
            await socket.close(NO_RIGHT, "You are in no organisation, whose figures could be shown.")
            return
        await self._serve(socket, actor, token)

    async def _serve(self, socket: WebSocket, actor: Actor, token: str) -> None:
        watcher = self._hub.join(actor)
        parts = (
            self._listen(socket, watcher),
            self._send(socket, watcher),
            self._watch_access(socket, watcher, token),
        )
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                with contextlib.suppress(WebSocketDisconnect, TimeoutError, RuntimeError):
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._hub.leave(watcher)

    async def _listen(self, socket: WebSocket, watcher: Watcher) -> None:
        while True:
            try:
                wish = _wish(await socket.receive())
            except _NotUnderstood as error:
                await socket.close(error.close_code, error.reason)
                return
            for name in wish.wanted:
                await self._follow(socket, watcher, name)
            for topic in [topic for topic in watcher.sent if topic.view.name in wish.unwanted]:
                self._hub.unsubscribe(watcher, topic)

    async def _follow(self, socket: WebSocket, watcher: Watcher, name: str) -> None:
        try:
            if len(watcher.sent) >= TOPICS_MAX and name not in {topic.view.name for topic in watcher.sent}:
                raise Conflict(f"A page watches {TOPICS_MAX} topics at most.", code="too_many_topics")
            self._hub.subscribe(watcher, name)
        except MatrixError as error:
            await _send(socket, {"refused": name, "code": error.error_code, "message": error.message})

    async def _send(self, socket: WebSocket, watcher: Watcher) -> None:
        while True:
            try:
                async with asyncio.timeout(BEAT_S):
                    await watcher.wake.wait()
            except TimeoutError:
                await _send(socket, {"beat": self._clock.now(), "behind": watcher.behind()})
                continue
            watcher.wake.clear()
            for text in watcher.take():
                async with asyncio.timeout(SEND_TIMEOUT_S):
                    await socket.send_text(text)

    async def _watch_access(self, socket: WebSocket, watcher: Watcher, token: str) -> None:
        """Close the socket once its session, membership or capabilities are no longer what they were."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RECHECK_S):
                    await watcher.recheck.wait()
            watcher.recheck.clear()
            try:
                actor = await self._authenticate(token)
            except Unavailable:
                continue  # figures stand still too while the database is away
            if actor is None:
                await socket.close(SIGN_IN_AGAIN, "Sign in again.")
                return
            if (actor.organization_id, actor.capabilities) != (
                watcher.actor.organization_id,
                watcher.actor.capabilities,
            ):
                await socket.close(NO_RIGHT, "What you may see has changed; load the page again.")
                return


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a page asks for: names of views it wants to follow, and no longer wants to."""

    wanted: list[str]
    unwanted: list[str]


class _NotUnderstood(Exception):
    """What arrived is nothing that a page says. `reason` goes into the close frame: 123 bytes at most."""

    def __init__(self, reason: str, *, close_code: int = NOT_UNDERSTOOD) -> None:
        super().__init__(reason)
        self.reason = reason
        self.close_code = close_code


def _wish(received: Message) -> _Wish:
    """Raises _NotUnderstood, and WebSocketDisconnect when the page has left."""
    if received["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(received.get("code", 1005))
    text = received.get("text")
    if text is None:
        raise _NotUnderstood("Text is expected, not bytes.")
    if len(text.encode()) > MESSAGE_BYTES_MAX:
        raise _NotUnderstood("Messages of a page are short.", close_code=TOO_LONG)
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _NotUnderstood("JSON is expected.") from error
    if not isinstance(message, dict):
        raise _NotUnderstood("An object is expected.")
    return _Wish(_names(message, "subscribe"), _names(message, "unsubscribe"))


def _names(message: dict[str, object], verb: str) -> list[str]:
    """The list of view names under `verb`; raises _NotUnderstood for anything else."""
    names = message.get(verb, [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _NotUnderstood(f"{verb} takes a list of names.")
    return names


async def _send(socket: WebSocket, message: dict[str, object]) -> None:
    async with asyncio.timeout(SEND_TIMEOUT_S):
        await socket.send_text(orjson.dumps(message, option=orjson.OPT_UTC_Z).decode())
