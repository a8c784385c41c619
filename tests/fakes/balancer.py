"""A balancer before several web processes, in the manner of nginx: round robin, or sticky by a cookie of its own.

A process that refuses is passed over. A request that a process did not begin to answer is sent to the next one only
if sending it twice does no harm; else the caller gets 502. Websockets and streams are passed on as they come.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from types import TracebackType

import aiohttp
from aiohttp import web

ROUTE_COOKIE = "route"
_HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "transfer-encoding",
    "upgrade",
    "te",
    "trailer",
    "proxy-connection",
}
_SAFE_TWICE = {"GET", "HEAD", "OPTIONS"}
_LOST = (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError)


class Balancer:
    """Passes on to `backends`, each an address.

    By backend, `answered` counts what was answered through it and `sockets` the websockets that are open now.
    """

    def __init__(self, backends: Sequence[str], *, sticky: bool = False, port: int = 0) -> None:
        self.answered: Counter[str] = Counter()
        self.sockets: Counter[str] = Counter()
        self._backends = list(backends)
        self._sticky = sticky
        self._port = port
        self._next = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Balancer:
        self._session = aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            connector=aiohttp.TCPConnector(limit=0),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )
        app = web.Application(client_max_size=0)
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()
        await self._runner.cleanup()

    def _in_order(self, request: web.Request) -> list[str]:
        """The backend that is due, or the caller's own, and then the others."""
        chosen = request.cookies.get(ROUTE_COOKIE, "")
        if self._sticky and chosen.isdigit() and int(chosen) < len(self._backends):
            first = int(chosen)
        else:
            first, self._next = self._next, (self._next + 1) % len(self._backends)
        return self._backends[first:] + self._backends[:first]

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        is_socket = request.headers.get("Upgrade", "").casefold() == "websocket"
        for backend in self._in_order(request):
            try:
                if is_socket:
                    return await self._socket(request, backend)
                return await self._exchange(request, backend, body)
            except aiohttp.ClientConnectorError:
                continue
            except _LOST:
                if request.method in _SAFE_TWICE:
                    continue
                return web.Response(status=502, text="The process was lost before it answered.")
            except aiohttp.WSServerHandshakeError as error:
                return web.Response(status=error.status)
        return web.Response(status=503, text="No process answers.")

    async def _exchange(self, request: web.Request, backend: str, body: bytes) -> web.StreamResponse:
        sent = self._session.request(
            request.method,
            f"{backend}{request.raw_path}",
            headers=_end_to_end(request),
            data=body or None,
            allow_redirects=False,
        )
        async with sent as answer:
            passed = web.StreamResponse(status=answer.status, reason=answer.reason)
            for name, value in answer.headers.items():
                if name.casefold() not in _HOP_BY_HOP:
                    passed.headers.add(name, value)
            if self._sticky:
                route = self._backends.index(backend)
                passed.headers.add("Set-Cookie", f"{ROUTE_COOKIE}={route}; Path=/; HttpOnly; SameSite=Lax")
            first = await answer.content.readany()
            await passed.prepare(request)
            self.answered[backend] += 1
            try:
                await passed.write(first)
                async for piece in answer.content.iter_any():
                    await passed.write(piece)
            except _LOST:  # the caller must see that the answer has no end
                if request.transport is not None:
                    request.transport.abort()
            return passed

    async def _socket(self, request: web.Request, backend: str) -> web.StreamResponse:
        headers = {
            n: v for n, v in _end_to_end(request).items() if not n.casefold().startswith("sec-websocket")
        }
        asked = request.headers.get("Sec-WebSocket-Protocol", "")
        protocols = [name.strip() for name in asked.split(",") if name.strip()]
        # Answered by nobody: a line that goes before our answer would hide the code that was said on it.
        async with self._session.ws_connect(
            f"{backend}{request.raw_path}",
            headers=headers,
            protocols=protocols,
            max_msg_size=0,
            autoclose=False,
        ) as inner:
            outer = web.WebSocketResponse(protocols=protocols, max_msg_size=0)
            await outer.prepare(request)
            self.answered[backend] += 1
            self.sockets[backend] += 1
            ways = [asyncio.create_task(_pump(outer, inner)), asyncio.create_task(_pump(inner, outer))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                self.sockets[backend] -= 1
                for way in ways:
                    way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            if inner.close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE and request.transport is not None:
                request.transport.abort()
            elif inner.close_code is not None:
                await outer.close(code=inner.close_code)
            return outer


async def _pump(
    source: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
    target: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
) -> None:
    async for message in source:
        if message.type is aiohttp.WSMsgType.TEXT:
            await target.send_str(message.data)
        elif message.type is aiohttp.WSMsgType.BINARY:
            await target.send_bytes(message.data)


def _end_to_end(request: web.Request) -> dict[str, str]:
    return {name: value for name, value in request.headers.items() if name.casefold() not in _HOP_BY_HOP}
