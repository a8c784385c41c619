"""The web process's part in live figures: one hub, and the socket that serves it at /live."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from starlette.websockets import WebSocket

from matrix_app.api.live import TRY_LATER, LiveEndpoint
from services.core.actor import Actor
from services.core.database import Database
from services.core.logs import get_logger
from services.core.settings import Settings
from services.identity import cookies
from services.identity.queries import actor_for_token
from services.live.hub import Hub
from services.live.views import VIEWS, View

log = get_logger(__name__)

RESTART_S = 1.0


class LiveDoor:
    """An ASGI app for websockets. Before its hub runs, and after, it asks pages to come back later."""

    def __init__(self, views: Mapping[str, View] = VIEWS) -> None:
        self._views = views
        self._endpoint: LiveEndpoint | None = None

    @contextlib.asynccontextmanager
    async def open(self, on: Database, settings: Settings) -> AsyncIterator[None]:
        """Run the hub for as long as the context lasts."""
        hub = Hub(on, views=self._views)
        running = asyncio.create_task(_kept_running(hub), name="live hub")
        cookie = cookies.session_cookie(settings.public_url)
        self._endpoint = LiveEndpoint(hub, _authenticate, settings.origins, cookie)
        try:
            yield
        finally:
            self._endpoint = None
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        socket = WebSocket(scope, receive, send)
        if self._endpoint is None:
            await socket.accept()
            await socket.close(TRY_LATER, "Not ready yet.")
            return
        await self._endpoint(socket)


async def _authenticate(token: str) -> Actor | None:
    signed_in = await actor_for_token(token)
    return signed_in.actor if signed_in else None


async def _kept_running(hub: Hub) -> None:
    """Pages would silently stand still if the hub's task died of something nobody foresaw."""
    while True:
        try:
            await hub.run()
        except Exception as error:
            log.exception("live_hub_failed", exc_info=error)
            await asyncio.sleep(RESTART_S)
