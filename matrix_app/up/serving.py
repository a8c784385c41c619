"""Serving an ASGI app with granian inside this very process.

One process, one loop: a supervisor's signal reaches the app itself, and killing the process leaves no worker
behind that still holds the port.
"""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvloop
from granian.constants import Interfaces
from granian.errors import FatalError
from granian.log import LogLevels
from granian.server.embed import Server

from matrix_app.up import reflex_environment
from matrix_app.up.frontend import published
from matrix_app.up.refusal import Refused
from services.core.settings import Settings

DRAIN_TIMEOUT_S = 15.0  # how long answers under way may take once we were asked to stop
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

    Raises ServingFailed when it ends by itself: the address is taken or the app does not start.
    """
    uvloop.run(_serve(_Requests(app), settings))


class _Requests:
    """Knows the requests under way, so that the last of them can be cut when draining takes too long."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app
        self._running: set[asyncio.Task[Any]] = set()
        self._cutting = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, _telling_why(send))
        elif scope["type"] == "http":
            await self._request(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("A request must run in a task, else it could not be cut.")
        self._running.add(task)
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            if not self._cutting:
                raise
        finally:
            self._running.discard(task)

    def cut(self) -> None:
        """Cancel what still runs; each sees a cancellation and closes its books as when a caller hangs up."""
        self._cutting = True
        for task in self._running:
            task.cancel()


def _telling_why(send: Send) -> Send:
    """Write out why the app did not start: granian knows that it did not, and drops the reason."""

    async def tell(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "lifespan.startup.failed":
            sys.stderr.write(message.get("message", ""))
        await send(message)

    return tell


async def _serve(app: _Requests, settings: Settings) -> None:
    server = Server(
        app,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        backlog=BACKLOG,
        log_level=LogLevels.error,
    )
    loop = asyncio.get_running_loop()
    asked = False

    def stop() -> None:
        nonlocal asked
        if not asked:
            asked = True
            server.stop()
            loop.call_later(DRAIN_TIMEOUT_S, app.cut)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    with contextlib.suppress(FatalError):
        await server.serve()
    if not asked:
        raise ServingFailed("The app did not start, or its server ended: see above.")
