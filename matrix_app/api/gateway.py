"""The door of the gateway: `/v1` as plain ASGI.

No framework stands between the server and a call: routing, headers and streaming are a few lines here, and
what a framework would add costs more than the call itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

from matrix_app.api.edge import HEADERS_BYTES_MAX, headers_bytes
from services.core.database import Database
from services.core.settings import Settings, settings
from services.gateway import gateway as gateways
from services.gateway.callers import OrganizationLimits
from services.gateway.exchange import Headers
from services.gateway.gateway import Gateway, Options
from services.gateway.orders import BODY_BYTES_MAX, Endpoint
from services.gateway.refusals import Code, Refusal
from services.identity import cookies
from services.identity.key_queries import KeyFacts, find_by_secret
from services.identity.queries import actor_for_token

DISCARDED_BYTES_MAX = 32_000_000  # of a body that is too long, read so that its sender can read our answer

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_ENDPOINTS = {
    "/chat/completions": Endpoint.CHAT,
    "/completions": Endpoint.COMPLETIONS,
    "/embeddings": Endpoint.EMBEDDINGS,
}


class GatewayApp:
    """An ASGI app for /v1. `start` and `stop` belong in the lifespan of whoever serves it."""

    def __init__(self) -> None:
        self._gateway: Gateway | None = None
        self._origins: frozenset[str] = frozenset()
        self._hops = 0

    async def start(self, on: Database, settings: Settings) -> None:
        self._origins, self._hops = settings.origins, settings.trusted_proxy_hops
        gateway = Gateway(
            on,
            Options(
                data_dir=settings.data_dir,
                model_url=settings.model_url,
                allowed_private=frozenset(settings.allow_private_upstreams),
                limits=OrganizationLimits(
                    settings.organization_requests_per_minute, settings.organization_tokens_per_minute
                ),
            ),
            signed_in_by=lambda token: actor_for_token(token, on=on),
        )
        await gateway.start()
        self._gateway = gateway

    async def stop(self) -> None:
        if self._gateway is not None:
            gateway, self._gateway = self._gateway, None
            await gateway.stop()

    async def key_facts(self, secret: str) -> KeyFacts | None:
        """What the gateway remembers of a key, at most half a minute old; None if it is no key."""
        if self._gateway is None:
            return await find_by_secret(secret)
        return await self._gateway.callers.facts_of(secret)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"The gateway does not speak {scope['type']!r}.")
        reply = AsgiReply(receive, send)
        try:
            await gateways.answer(lambda: self._route(scope, receive, reply), reply, lambda: reply.begun)
        finally:
            reply.stop_watching()

    async def _route(self, scope: Scope, receive: Receive, reply: AsgiReply) -> None:
        if self._gateway is None:
            raise Refusal(Code.NOT_AVAILABLE, "The gateway is starting or stopping. Try again shortly.")
        if headers_bytes(scope) > HEADERS_BYTES_MAX:
            raise Refusal(
                Code.TOO_LARGE, f"The headers are larger than {HEADERS_BYTES_MAX:,} bytes. Send fewer."
            )
        path, method = _path(scope), scope["method"]
        request = AsgiRequest(scope, receive, self._origins, self._hops)
        endpoint = _ENDPOINTS.get(path)
        if endpoint is not None:
            _require_method(method, "POST", path)
            await self._gateway.infer(request, reply, endpoint)
        elif path == "/models":
            _require_method(method, "GET", path)
            await self._gateway.models(request, reply)
        elif path.startswith("/models/"):
            _require_method(method, "GET", path)
            await self._gateway.model(request, reply, unquote(path.removeprefix("/models/")))
        else:
            raise Refusal(Code.NO_ROUTE, f"Unknown request URL: {method} /v1{path}.")


def _path(scope: Scope) -> str:
    """The path below the mount: servers and routers differ in whether they cut the mount off."""
    path: str = scope["path"]
    path = path.removeprefix(scope.get("root_path", "")).removeprefix("/v1")
    return path.rstrip("/") or "/"


def _require_method(method: str, wanted: str, path: str) -> None:
    if method != wanted and not (method == "HEAD" and wanted == "GET"):
        raise Refusal(
            Code.METHOD, f"Not allowed: {method} /v1{path}. Use {wanted}.", headers={"Allow": wanted}
        )


class AsgiRequest:
    """One request as the server hands it over; reads headers and body when asked."""

    def __init__(self, scope: Scope, receive: Receive, origins: frozenset[str], hops: int) -> None:
        self._headers: dict[bytes, bytes] = dict(scope["headers"])
        self._method: str = scope["method"]
        self._receive = receive
        self._origins = origins
        self.address = _address(scope, hops)

    @property
    def secret(self) -> str | None:
        kind, _, secret = self._headers.get(b"authorization", b"").partition(b" ")
        if kind.lower() != b"bearer" or not secret:
            return None
        return secret.strip().decode("latin-1")

    @property
    def session_token(self) -> str | None:
        token = _cookie(self._headers.get(b"cookie", b""))
        if token and self._method not in ("GET", "HEAD"):
            origin = self._headers.get(b"origin")
            if origin is not None and origin.decode("latin-1") not in self._origins:
                raise Refusal(Code.CSRF, "This origin may not call with a session. Use an API key.")
            if self._headers.get(b"x-matrix-csrf") != b"1":
                raise Refusal(Code.CSRF, "Calls with a session need the header 'X-Matrix-CSRF: 1'.")
        return token or None

    async def body(self) -> bytes:
        length = self._headers.get(b"content-length", b"")
        parts: list[bytes] = []
        size = 0
        too_long = length.isdigit() and len(length) < 20 and int(length) > BODY_BYTES_MAX
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Refusal(Code.INVALID_JSON, "The request ended before its body was complete.")
            part: bytes = message.get("body", b"")
            size += len(part)
            if size > BODY_BYTES_MAX:
                too_long = True
                parts.clear()
            if not too_long:
                parts.append(part)
            if not message.get("more_body", False) or size > DISCARDED_BYTES_MAX:
                break
        if too_long:
            raise Refusal(
                Code.TOO_LARGE,
                f"The request body is larger than {BODY_BYTES_MAX:,} bytes. Send less text.",
            )
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _address(scope: Scope, hops: int) -> str:
    """The caller's address: the one our outermost trusted proxy saw, else the peer's."""
    if hops:
        said = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
        seen = [part.strip() for part in said.split(b",") if part.strip()]
        if len(seen) >= hops:
            return seen[-hops].decode("latin-1")[:64]
    client = scope.get("client")
    return str(client[0]) if client else ""


def _cookie(header: bytes) -> str:
    return cookies.session_token(header.decode("latin-1"), settings().public_url) if header else ""


class AsgiReply:
    """The way back. Watching for the caller's leaving starts only when somebody wants to know."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._watcher: asyncio.Task[None] | None = None
        self.begun = False
        self.gone = False

    def watch(self, on_gone: Callable[[], None]) -> None:
        self._watcher = asyncio.create_task(self._wait_for_leaving(on_gone))

    async def _wait_for_leaving(self, on_gone: Callable[[], None]) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        on_gone()

    def stop_watching(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()

    async def send(self, status: int, headers: Headers, body: bytes) -> None:
        await self.begin(status, [*headers, (b"content-length", b"%d" % len(body))])
        await self.end(body)

    async def begin(self, status: int, headers: Headers) -> None:
        self.begun = True
        await self._put({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, data: bytes) -> None:
        await self._put({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes) -> None:
        await self._put({"type": "http.response.body", "body": data, "more_body": False})

    async def _put(self, message: MutableMapping[str, Any]) -> None:
        """Servers differ in how they say that the caller is gone; none of it may end the booking of a call."""
        if self.gone:
            return
        try:
            await self._send(message)
        except OSError:
            self.gone = True
