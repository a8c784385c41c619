"""Serving an ASGI app with granian inside this very process.

One process, one loop: a supervisor's signal reaches the app itself, and killing the process leaves no worker
behind that still holds the port.
"""

import asyncio
import contextlib
import gc
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvloop
from granian.constants import Interfaces
from granian.errors import FatalError
from granian.log import LogLevels

from matrix_app.up import draining, reflex_environment
from matrix_app.up.door import DoorServer
from matrix_app.up.frontend import published
from matrix_app.up.sockets import OpenSockets
from services.core.refusal import Refused
from services.core.settings import Settings

DRAIN_TIMEOUT_S = 15.0  # how long answers under way may take once we were asked to stop
QUIET_S = 1.0  # nobody has asked anything for so long: who is still connected has nothing to ask
QUIET_TIMEOUT_S = 5.0
LOOK_S = 0.05
BACKLOG = 1024

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class ServingFailed(Refused):
    """The server ended although nobody asked it to."""


def web(settings: Settings) -> None:
    """Pages, their websocket, API and gateway on one port, from the frontend built last."""
    reflex_environment.prepare(published())
    from reflex_base.environment import environment

    environment.REFLEX_SKIP_COMPILE.set(True)
    environment.REFLEX_MOUNT_FRONTEND_COMPILED_APP.set(True)
    from matrix_app.matrix_app import app

    serve(app(), settings)


def api(settings: Settings) -> None:
    """API and gateway without pages, as a process of their own."""
    from matrix_app.api.app import create_app

    serve(create_app(), settings)


def serve(app: AsgiApp, settings: Settings) -> None:
    """Serve `app` until SIGTERM or SIGINT, then let requests under way finish, up to DRAIN_TIMEOUT_S.

    Before that, for MATRIX_DRAIN_NOTICE_S, everybody is still served and `/readyz` says that this process leaves; a
    second signal ends the notice. Every answer then says that its connection ends, so that none is cut while a caller
    sends on it; websockets are closed with 1012, at which clients connect again; newcomers are turned away.

    Raises ServingFailed when it ends by itself: the address is taken or the app does not start; or the app's own
    Refused.
    """
    uvloop.run(_serve(_Requests(app), settings))


class _Requests:
    """Knows the requests under way, so that the last of them can be cut when draining takes too long."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app
        self._running: set[asyncio.Task[Any]] = set()
        self._cutting = False
        self._begun = 0  # how many requests have begun
        self.sockets = OpenSockets()
        self.refusal: Refused | None = None  # why the app did not start, where that is a sentence

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif scope["type"] == "http":
            await self._request(scope, receive, send)
        else:
            await self.sockets.serve(self._app, scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Settle down once the app has started; or keep why it did not: granian would tell its own end of it, twice."""
        trace = ""

        async def tell(message: MutableMapping[str, Any]) -> None:
            nonlocal trace
            if message["type"] == "lifespan.startup.failed":
                trace = message.get("message", "")
                logging.getLogger("_granian").disabled = True
            elif message["type"] == "lifespan.startup.complete":
                _leave_alone_what_stays()
            await send(message)

        try:
            await self._app(scope, receive, tell)
        except Refused as refusal:
            self.refusal = refusal
        finally:
            if self.refusal is None:
                sys.stderr.write(trace)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("A request must run in a task, else it could not be cut.")
        self._running.add(task)
        self._begun += 1
        try:
            await self._app(scope, receive, _telling_of_the_end(send, scope))
        except asyncio.CancelledError:
            if not self._cutting:
                raise
        finally:
            self._running.discard(task)

    async def quiet(self, connected: Callable[[], bool]) -> None:
        """Wait until nobody is connected any more, or nobody who is asks anything.

        Time in which this process itself was held up does not count: whoever asked meanwhile was not heard yet.
        """
        loop = asyncio.get_running_loop()
        ends, quiet_s = loop.time() + QUIET_TIMEOUT_S, 0.0
        while quiet_s < QUIET_S and loop.time() < ends and connected():
            begun, looked = self._begun, loop.time()
            await asyncio.sleep(LOOK_S)
            held_up = loop.time() - looked > 2 * LOOK_S
            quiet_s = 0 if held_up or self._begun > begun else quiet_s + LOOK_S

    def cut(self) -> None:
        """Cancel what still runs; each sees a cancellation and closes its books as when a caller hangs up."""
        self._cutting = True
        for task in self._running:
            task.cancel()


def _telling_of_the_end(send: Send, scope: Scope) -> Send:
    """Once we are asked to end, answers say that no other will come on their connection (HTTP/1; 2 has its own way)."""

    async def tell(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start" and draining.begun() and scope["http_version"] == "1.1":
            message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
        await send(message)

    return tell


def _leave_alone_what_stays() -> None:
    """Have the garbage collector pass over code and tables, which live as long as the process does.

    Walking them again and again took a quarter of the gateway's own time, in pauses that everybody waited for.
    """
    gc.collect()
    gc.freeze()


async def _serve(app: _Requests, settings: Settings) -> None:
    server = DoorServer(
        app,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        backlog=BACKLOG,
        log_level=LogLevels.error,
    )
    loop = asyncio.get_running_loop()
    asked, hurry = asyncio.Event(), asyncio.Event()

    def ask() -> None:
        (hurry if asked.is_set() else asked).set()

    async def stop() -> None:
        await asked.wait()
        draining.begin()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(hurry.wait(), settings.drain_notice_s)
        try:
            await app.sockets.close()
            server.turn_away()
            await app.quiet(server.connected)
        finally:  # whatever fails, a process that was asked to end ends
            server.stop()
        loop.call_later(DRAIN_TIMEOUT_S, app.cut)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ask)
    stopping = asyncio.create_task(stop(), name="stop")
    with contextlib.suppress(FatalError):
        await server.serve()
    stopping.cancel()
    if app.refusal is not None:
        raise app.refusal
    if not asked.is_set():
        raise ServingFailed("The app did not start, or its server ended: see above.")
