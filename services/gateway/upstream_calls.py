"""Calling upstreams: connect, retry what surely was not received, translate failures into ours."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from typing import Any, cast

import aiohttp
import orjson
from aiohttp import ClientResponse, ClientSession, ClientTimeout

from services.core import tracing
from services.core.logs import get_logger
from services.core.outgoing import ForbiddenAddress, guarded_session, inside_session
from services.gateway import rules
from services.gateway.calls import Call
from services.gateway.directory import Route, Target
from services.gateway.orders import Endpoint, Order
from services.gateway.refusals import IN_VAIN, Code, Refusal

log = get_logger(__name__)

CONNECT_RETRIES_MAX = 2
RETRY_BASE_S = 0.05
RETRY_S_MAX = 0.5
ANSWER_BYTES_MAX = 64_000_000
BUILTIN_COMPLETION_TOKENS = 512  # when the caller names no bound: the small model may never end by itself
RESERVED_COMPLETION_TOKENS = 1_024
MESSAGE_LENGTH_MAX = 500
_WORTH_ASKING_AGAIN = frozenset({408, 409, 425})  # below 500
_BROKEN_STATUSES = frozenset({502, 503, 504})  # the server behind is away: counts for the circuit


def longest_answer(order: Order, route: Route) -> int:
    """Tokens to reserve for the answer."""
    if order.endpoint is Endpoint.EMBEDDINGS:
        return 0
    usual = BUILTIN_COMPLETION_TOKENS if route.target.builtin else RESERVED_COMPLETION_TOKENS
    return min(order.max_tokens or usual, route.context_tokens)


def body_for(order: Order, route: Route) -> bytes:
    """The request as the upstream gets it: its name of the model, and always with usage."""
    body = dict(order.parameters)
    body["model"] = route.upstream_model
    if order.stream:
        body["stream_options"] = {**body.get("stream_options", {}), "include_usage": True}
    if route.target.builtin:
        if order.endpoint is not Endpoint.EMBEDDINGS:
            body.pop("max_completion_tokens", None)
            body["max_tokens"] = longest_answer(order, route)
        if order.stream:
            body["timings_per_token"] = True
    return orjson.dumps(body)


class UpstreamClient:
    """The connections of one process. Made inside the running loop."""

    def __init__(self, allowed_private: Collection[str]) -> None:
        self._outside = guarded_session(allowed_private)
        self._inside = inside_session()
        self._timeouts: dict[tuple[int, int], ClientTimeout] = {}

    async def close(self) -> None:
        await self._outside.close()
        await self._inside.close()

    async def send(self, order: Order, route: Route, call: Call) -> ClientResponse:
        """Ask the upstream; returns its answer, of whatever status, when the head has come.

        Only a connection that was never made is tried again: what may have been received is not.
        Counts the attempts in `call`. Raises Refusal.
        """
        target = route.target
        body = body_for(order, route)
        self._require_closed_circuit(target)
        try:
            response = await self._connected(body, target, order.endpoint, call)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            target.circuit.failed(time.monotonic())
            raise self.refusal_of(error, target) from error
        except BaseException:
            # Also in a pause between attempts: a probe nobody ends would keep the upstream shut for good.
            target.circuit.undecided()
            raise
        self._note_health(target, response.status)
        return response

    async def _connected(self, body: bytes, target: Target, endpoint: Endpoint, call: Call) -> ClientResponse:
        """The answer of the first attempt that made a connection, else the error of the last."""
        for attempt in range(1, CONNECT_RETRIES_MAX + 2):
            call.attempts = attempt
            try:
                with tracing.outgoing_call("upstream", upstream=target.id, attempt=attempt) as traced:
                    return await self._session(target).post(
                        target.url(endpoint),
                        data=body,
                        headers=target.headers | traced if traced else target.headers,
                        timeout=self._timeout(target),
                        allow_redirects=False,
                    )
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                if attempt > CONNECT_RETRIES_MAX or not _never_connected(error):
                    raise
                await asyncio.sleep(rules.retry_delay_s(attempt, base_s=RETRY_BASE_S, most_s=RETRY_S_MAX))
        raise AssertionError("the last attempt returns or raises")

    def _session(self, target: Target) -> ClientSession:
        return self._inside if target.builtin else self._outside

    def _timeout(self, target: Target) -> ClientTimeout:
        key = (target.connect_timeout_s, target.read_timeout_s)
        timeout = self._timeouts.get(key)
        if timeout is None:
            timeout = ClientTimeout(total=None, sock_connect=key[0], sock_read=key[1])
            self._timeouts[key] = timeout
        return timeout

    def _require_closed_circuit(self, target: Target) -> None:
        wait_s = target.circuit.closed_for(time.monotonic())
        if wait_s > 0:
            raise Refusal(
                Code.UPSTREAM_AWAY,
                "The server of this model has failed several times and is left alone for a moment. Try again.",
                headers={"Retry-After": str(max(1, round(wait_s)))},
            )

    def _note_health(self, target: Target, status: int) -> None:
        if status in _BROKEN_STATUSES:
            target.circuit.failed(time.monotonic())
        else:
            target.circuit.succeeded()

    def refusal_of(self, error: BaseException, target: Target) -> Refusal:
        """What to tell the caller of a failed exchange. The cause goes to the log: it may name what is inside."""
        log.warning("upstream_failed", upstream=target.id, kind=type(error).__name__, error=str(error)[:300])
        if isinstance(error, TimeoutError) and not _never_connected(error):
            return Refusal(
                Code.UPSTREAM_TIMEOUT, f"The server of this model sent nothing for {target.read_timeout_s} s."
            )
        if _never_connected(error):
            forbidden = isinstance(error.__cause__, ForbiddenAddress)
            return Refusal(
                Code.UPSTREAM_AWAY,
                "The server of this model cannot be reached.",
                headers=IN_VAIN if forbidden else {"Retry-After": "2"},
            )
        return Refusal(Code.UPSTREAM_ERROR, "The server of this model broke off the connection.")


def _never_connected(error: BaseException) -> bool:
    return isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError))


async def read_answer(response: ClientResponse) -> bytes:
    """The whole body, bounded. Raises aiohttp's errors, and Refusal for one that is too long."""
    length = response.content_length
    if length is not None and length <= ANSWER_BYTES_MAX:
        return await response.read()
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > ANSWER_BYTES_MAX:
            raise Refusal(
                Code.UPSTREAM_ERROR,
                "The server of this model sent an answer that is too long.",
                headers=IN_VAIN,
            )
    return bytes(body)


async def refusal_from(response: ClientResponse, route: Route) -> Refusal:
    """An upstream's error in our words. Its text is passed on only where it speaks of the caller's request."""
    raw = await read_answer(response)
    said = _said(raw)
    status = response.status
    log.warning("upstream_refused", upstream=route.target.id, status=status, error=said[:300])
    if _speaks_of_context(said, raw):
        return Refusal(
            Code.CONTEXT_LENGTH,
            f"This model's maximum context length is {route.context_tokens} tokens. {said}",
            param="messages",
        )
    if status in (400, 404, 413, 415, 422):
        return Refusal(Code.UPSTREAM_REJECTED, said or "The server of this model refused the request.")
    if status == 429:
        wait = response.headers.get("Retry-After", "")
        return Refusal(
            Code.UPSTREAM_BUSY,
            "The server of this model has more requests than it takes. Try again shortly.",
            headers={"Retry-After": wait if wait.isdecimal() and len(wait) < 5 else "2"},
        )
    if status == 503:
        return Refusal(
            Code.UPSTREAM_AWAY, "The server of this model is not ready.", headers={"Retry-After": "2"}
        )
    # What is left below 500 is between the operator and the upstream: its key, its address, its payment.
    in_vain = status == 501 or (status < 500 and status not in _WORTH_ASKING_AGAIN)
    return Refusal(
        Code.UPSTREAM_ERROR,
        f"The server of this model answered with an error ({status}).",
        headers=IN_VAIN if in_vain else None,
    )


def _said(raw: bytes) -> str:
    """The message in an error body of any of the shapes in use; empty when there is none."""
    try:
        error: Any = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return ""
    for name in ("error", "message", "detail"):
        if isinstance(error, dict):
            error = cast("dict[str, Any]", error).get(name, error)
    return error[:MESSAGE_LENGTH_MAX] if isinstance(error, str) else ""


def _speaks_of_context(said: str, raw: bytes) -> bool:
    known = (b"exceed_context_size_error", b"context_length_exceeded")
    return any(code in raw[:4_000] for code in known) or "too large to process" in said
