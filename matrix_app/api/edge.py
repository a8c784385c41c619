"""What happens to every request of a program at the edge: a trace, limits, headers, measurements.

Plain ASGI: Starlette's BaseHTTPMiddleware runs each request in a task of its own, which breaks
cancellation when a caller hangs up and costs more than the gateway may add in all.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, MutableMapping
from functools import lru_cache
from typing import Any

from prometheus_client import Counter, Histogram
from starlette.exceptions import HTTPException

from matrix_app.api import errors
from matrix_app.api.rates import SCOPE_KEY
from matrix_app.page_headers import transport_headers
from services.core import metrics, tracing
from services.core.errors import MatrixError
from services.core.logs import get_logger
from services.core.settings import settings

log = get_logger(__name__)

BODY_BYTES_MAX = 12 * 1024 * 1024

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_GATEWAY = "/v1/"
# Callers may invent methods, and each would be a series that is kept for ever.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
# A body that arrives more slowly is taken for one that was broken off: each of them keeps a connection.
BODY_WAIT_S = 30
BODY_BYTES_PER_S_MIN = 1_000
HEADERS_BYTES_MAX = 32 * 1024  # of one request, its cookies included


class BodyTooLarge(HTTPException):
    """Raised from `receive` when a body without a stated length grows too large."""

    def __init__(self) -> None:
        super().__init__(413, f"The body is larger than {BODY_BYTES_MAX // 1024 // 1024} MB.")


class HeadersTooLarge(MatrixError):
    """A request whose headers alone are larger than what any of our own pages or clients would send."""

    status = 431
    code = "headers_too_large"
    title = "The headers are too large"

    def __init__(self) -> None:
        super().__init__(
            f"The headers, cookies included, are larger than {HEADERS_BYTES_MAX // 1024} kB.",
            next_step="Send fewer; in a browser, delete this site's cookies.",
        )


class Edge:
    """Around REST, gateway and health alike."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method, started = scope["method"], time.perf_counter()
        with tracing.act(f"http {method}", path=errors.shown_path(scope)) as trace_id:
            exchange = _Exchange(scope, receive, send, trace_id)
            try:
                await self._serve(scope, exchange)
            finally:
                known = method if method in _METHODS else "other"
                requests, seconds = _measured(_route_of(scope), known, exchange.status)
                requests.inc()
                seconds.observe(time.perf_counter() - started)

    async def _serve(self, scope: Scope, exchange: _Exchange) -> None:
        try:
            if exchange.too_large:
                raise BodyTooLarge
            if not exchange.speaks_openai and headers_bytes(scope) > HEADERS_BYTES_MAX:
                raise HeadersTooLarge
            await self._app(scope, exchange.receive, exchange.send)
        except BodyTooLarge as error:
            if exchange.status:
                raise
            answer = errors.problem_response(
                413, "too_large", error.detail, next_step="Send it in smaller parts."
            )
            await answer(scope, exchange.receive, exchange.send)
        except HeadersTooLarge as error:
            answer = errors.from_matrix_error(error)
            await answer(scope, exchange.receive, exchange.send)
        except Exception as error:
            log.error("request_failed", path=errors.shown_path(scope), method=scope["method"], exc_info=error)
            if not exchange.status:
                await errors.unexpected()(scope, exchange.receive, exchange.send)
            elif not exchange.finished:
                raise  # the server cuts the connection, so that half an answer is not taken for a whole one


class _Exchange:
    """One request and its answer, watched on their way through."""

    __slots__ = (
        "_bytes_max",
        "_read",
        "_receive",
        "_scope",
        "_send",
        "_trace_id",
        "_waited_s",
        "_whole",
        "finished",
        "speaks_openai",
        "status",
        "too_large",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send, trace_id: str) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._trace_id = trace_id
        # The gateway has limits of its own, and says so in the words its clients understand.
        self.speaks_openai = scope["path"].startswith(_GATEWAY)
        self._bytes_max = math.inf if self.speaks_openai else BODY_BYTES_MAX
        self._read = 0
        self._waited_s = 0.0
        self._whole = False
        self.status = 0
        self.finished = False
        self.too_large = _stated_length(scope) > self._bytes_max

    async def receive(self) -> Message:
        message = await (self._receive() if self._whole else self._in_time())
        if message["type"] == "http.request":
            self._whole = not message.get("more_body", False)
            self._read += len(message.get("body", b""))
            if self._read > self._bytes_max:
                raise BodyTooLarge
        return message

    async def _in_time(self) -> Message:
        """The next part of the body. Only waiting for it counts, not what we do with those that came."""
        begun, patience_s = time.monotonic(), BODY_WAIT_S + self._read / BODY_BYTES_PER_S_MIN - self._waited_s
        try:
            async with asyncio.timeout(patience_s):
                return await self._receive()
        except TimeoutError:
            return {"type": "http.disconnect"}
        finally:
            self._waited_s += time.monotonic() - begun

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            given = [(name.lower(), value) for name, value in message.get("headers", ())]
            names = {name for name, _ in given}
            ours = (
                (b"x-request-id", self._trace_id.encode()),
                *self._scope.get(SCOPE_KEY, ()),
                *_HEADERS,
                *transport_headers(https=_https()),
            )
            message["headers"] = [*given, *(header for header in ours if header[0] not in names)]
        elif message["type"] == "http.response.body":
            self.finished = not message.get("more_body", False)
        await self._send(message)


def headers_bytes(scope: Scope) -> int:
    return sum(len(name) + len(value) for name, value in scope["headers"])


def _https() -> bool:
    return settings().secure_cookies


def _stated_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() and len(value) < 20 else 0
    return 0


@lru_cache(maxsize=4_096)
def _measured(route: str, method: str, status: int) -> tuple[Counter, Histogram]:
    """The metrics of this route and outcome. Finding them by label costs more than counting."""
    return metrics.HTTP_REQUESTS.labels(route, method, str(status)), metrics.HTTP_SECONDS.labels(route)


def _route_of(scope: Scope) -> str:
    """The route's template, so that metrics have as many series as there are routes."""
    route = scope.get("route")
    template = getattr(route, "path", None)
    if template is not None:
        return f"{scope.get('root_path', '')}{template}"
    return _GATEWAY if scope["path"].startswith(_GATEWAY) else "unmatched"
