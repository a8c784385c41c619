"""Which app of the web process answers: the API, the live figures, or the pages with their websocket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, MutableMapping, Sequence
from typing import Any
from urllib.parse import quote

from matrix_app.api.edge import HEADERS_BYTES_MAX, HeadersTooLarge, headers_bytes
from matrix_app.page_headers import caching, unlisted
from matrix_app.socket_limits import SocketLimits
from services.core.errors import MatrixError, RateLimited

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

# First parts of the paths that belong to the API; a page must not begin with one of them.
API_ROOTS = frozenset({"api", "v1", "healthz", "readyz", "metrics"})
LIVE = "/live"
_ANSWER = "websocket.http.response"  # to a handshake, from servers that can


def is_api(path: str) -> bool:
    """Whether the API answers at `path`."""
    return path.removeprefix("/").split("/", 1)[0] in API_ROOTS


async def _nowhere(scope: Scope) -> None:
    """Every page is for everybody."""


class Doors:
    """One ASGI app of several. Start and stop are the pages' app's, which starts the API's own with it.

    `documents` are the routes that were compiled to a document of their own; `headers` says what goes with an answer
    of the pages at a path. `led_to` says where a request for a page leads, None when it is the page that is answered.
    """

    def __init__(
        self,
        *,
        api: AsgiApp,
        live: AsgiApp,
        pages: AsgiApp,
        documents: Collection[str],
        headers: Callable[[str], Sequence[tuple[bytes, bytes]]] = lambda path: (),
        led_to: Callable[[Scope], Awaitable[str | None]] = _nowhere,
        limits: SocketLimits | None = None,
    ) -> None:
        self._limits = SocketLimits() if limits is None else limits
        self._api = api
        self._live = live
        self._pages = pages
        self._headers = headers
        self._led_to = led_to
        self._documents = {route: f"{route}.html" for route in documents}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan" and is_api(scope["path"]):
            await self._api(scope, receive, send)  # which refuses in its own shapes
        elif scope["type"] != "lifespan" and headers_bytes(scope) > HEADERS_BYTES_MAX:
            await self._refuse(scope, send, HeadersTooLarge())
        elif scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        else:
            await self._page(scope, receive, send)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with self._limits.holding(scope):
                await (self._live if scope["path"] == LIVE else self._pages)(scope, receive, send)
        except RateLimited as refused:
            await self._refuse(scope, send, refused)

    async def _refuse(self, scope: Scope, send: Send, refused: MatrixError) -> None:
        """Of headers: else a browser that has collected too many cookies would get pages of which no part works."""
        if scope["type"] == "websocket" and _ANSWER not in scope.get("extensions", ()):
            await send({"type": "websocket.close"})
            return
        kind = _ANSWER if scope["type"] == "websocket" else "http.response"
        text = f"{refused.title}\n\n{refused.message} {refused.next_step}\n".encode()
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(text))]
        await _answer(refused.status, headers, text, self._with_headers(scope, send), kind)

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        asks = scope["type"] == "http" and scope["method"] in {"GET", "HEAD"}
        path = await self._led_to(scope) if asks else None
        if path is not None:
            await _lead_to(path, self._with_headers(scope, send))
        else:
            await self._pages(self._as_document(scope), receive, self._with_headers(scope, send))

    def _with_headers(self, scope: Scope, send: Send) -> Send:
        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                own = [caching(scope["path"], message["status"]), *unlisted(scope["path"])]
                ours = [*(one for one in self._headers(scope["path"]) if one[0] not in dict(own)), *own]
                names = {name for name, _ in ours}
                kept = [header for header in message.get("headers", ()) if header[0].lower() not in names]
                message = {**message, "headers": [*kept, *ours]}
            await send(message)

        return send_with_headers

    def _as_document(self, scope: Scope) -> Scope:
        """A page lies both at /sign-in.html and in a folder /sign-in, and the folder would answer by a redirect."""
        document = self._documents.get(scope["path"]) if scope["type"] == "http" else None
        return {**scope, "path": document, "raw_path": document.encode()} if document else scope


async def _lead_to(path: str, send: Send) -> None:
    """A temporary redirect, so that a page may stand at the address one day."""
    # As an address is written: what it was read out of may have been any text.
    location = quote(path, safe="/?#&=%:;,@+!$'()*[]~")
    await _answer(307, [(b"location", location.encode()), (b"content-length", b"0")], b"", send)


async def _answer(
    status: int, headers: list[tuple[bytes, bytes]], body: bytes, send: Send, kind: str = "http.response"
) -> None:
    await send({"type": f"{kind}.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})
