"""Serving an ASGI app with granian inside this very process.

One process, one loop: a supervisor's signal reaches the app itself, and killing the process leaves no worker
behind that still holds the port.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvloop
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.embed import Server

from matrix_app.up import reflex_environment
from matrix_app.up.frontend import published
from services.core.settings import Settings

DRAIN_TIMEOUT_S = 15.0  # how long answers under way may take once we were asked to stop
BACKLOG = 1024

Scope = MutableMapping[str, Any]
AsgiApp = Callable[[Scope, Callable[..., Any], Callable[..., Any]], Awaitable[None]]


class ServingFailed(RuntimeError):
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

    async def __call__(self, scope: Scope, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        task = asyncio.current_task()
        if scope["type"] != "http" or task is None:
            await self._app(scope, receive, send)
            return
        self._running.add(task)
        try:
            await self._app(scope, receive, send)
        finally:
            self._running.discard(task)

    def cut(self) -> None:
        """Cancel what still runs; each sees a cancellation and closes its books as when a caller hangs up."""
        for task in self._running:
            task.cancel()


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
    await server.serve()
    if not asked:
        raise ServingFailed("The server ended unasked: its app did not start.")
