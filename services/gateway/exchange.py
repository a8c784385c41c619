"""One call between caller and upstream: opened in the journal, answered, closed with what was used."""

# JSON from outside is looked at value by value, so its parts have no known type before that.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp
import orjson
from aiohttp import ClientResponse

from services.core.logs import get_logger
from services.gateway import rules, sse
from services.gateway.calls import COUNTED, Call
from services.gateway.directory import Route
from services.gateway.journal import Entry
from services.gateway.orders import Endpoint, Order
from services.gateway.refusals import IN_VAIN, STATUS_AND_TYPE, Code, Refusal
from services.gateway.upstream_calls import UpstreamClient, read_answer, refusal_from

log = get_logger(__name__)

CALL_S_MAX = 1_800.0
DRAIN_S_MAX = 120.0
END_OF_STREAM_S = 1.0

Headers = list[tuple[bytes, bytes]]

JSON_TYPE = (b"content-type", b"application/json")
STREAM_HEADERS: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # a proxy that collects would turn a stream into a lump
]


class Reply(Protocol):
    """The way back to the caller. Writing to one that is gone does nothing."""

    @property
    def gone(self) -> bool:
        """Whether the caller has hung up."""
        ...

    def watch(self, on_gone: Callable[[], None]) -> None:
        """Have `on_gone` called when the caller hangs up."""
        ...

    async def send(self, status: int, headers: Headers, body: bytes) -> None: ...
    async def begin(self, status: int, headers: Headers) -> None: ...
    async def write(self, data: bytes) -> None: ...
    async def end(self, data: bytes) -> None: ...


@dataclass(slots=True)
class Exchange:
    """Runs one call whose entry is open. `close` books it; it is called before the caller has the whole answer."""

    client: UpstreamClient
    order: Order
    route: Route
    entry: Entry
    reply: Reply
    headers: Headers
    close: Callable[[Entry], None]
    started: float
    _patience: asyncio.Timeout | None = None
    _closed: bool = False

    @property
    def call(self) -> Call:
        return self.entry.call

    async def run(self) -> None:
        """Raises Refusal when nothing was sent yet; a stream that breaks later says so in the stream."""
        cutter = sse.Cutter(self.order.model, wants_usage=self.order.wants_usage)
        try:
            async with asyncio.timeout(CALL_S_MAX) as self._patience:
                if self.order.stream:
                    await self._stream(cutter)
                else:
                    await self._plain()
        except TimeoutError as error:
            self._finish(cutter, Code.CLIENT_GONE if self.reply.gone else Code.UPSTREAM_TIMEOUT)
            if not self.reply.gone:
                raise Refusal(Code.UPSTREAM_TIMEOUT, "The answer took too long.") from error
        except Refusal as refusal:
            self._finish(cutter, refusal.code)
            raise
        except BaseException as error:
            cancelled = isinstance(error, asyncio.CancelledError)
            self._finish(cutter, Code.PROCESS_ENDED if cancelled else Code.INTERNAL)
            raise

    def _hung_up(self) -> None:
        """The caller left: stop at once, or read on for a while to learn the upstream's count."""
        if self._patience is None or self._closed:
            return
        loop = asyncio.get_running_loop()
        self._patience.reschedule(loop.time() + (DRAIN_S_MAX if self.route.target.drains else 0.0))

    async def _plain(self) -> None:
        if not self.route.target.drains:
            self.reply.watch(self._hung_up)
        response = await self.client.send(self.order, self.route, self.call)
        try:
            if response.status != 200:
                raise await self._refusal_from(response)
            raw = await read_answer(response)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self.client.refusal_of(error, self.route.target) from error
        finally:
            response.release()
        answer = _answer_in(raw, self.order.endpoint)
        answer["model"] = self.order.model
        answer.pop("timings", None)
        body = _written(answer)
        self._take_usage(answer)
        self._book(200)
        await self.reply.send(200, [JSON_TYPE, *self.headers], body)

    def _take_usage(self, answer: dict[str, Any]) -> None:
        """Take the upstream's count, unless there is none or it says that what it sent was no token at all."""
        call, usage = self.call, sse.usage_in(answer)
        if usage is not None:
            call.prompt_tokens, call.completion_tokens = usage.prompt_tokens, usage.completion_tokens
        else:
            call.prompt_tokens, call.tokens_source = call.prompt_estimate, COUNTED
        if not call.completion_tokens and self.order.endpoint is not Endpoint.EMBEDDINGS:
            call.completion_tokens = rules.prompt_estimate(_text_bytes(answer))
            if call.completion_tokens:
                call.tokens_source = COUNTED

    async def _refusal_from(self, response: ClientResponse) -> Refusal:
        try:
            return await refusal_from(response, self.route)
        except (aiohttp.ClientError, TimeoutError) as error:
            return self.client.refusal_of(error, self.route.target)

    async def _stream(self, cutter: sse.Cutter) -> None:
        self.reply.watch(self._hung_up)
        response = await self.client.send(self.order, self.route, self.call)
        try:
            if response.status != 200:
                raise await self._refusal_from(response)
            if response.content_type != "text/event-stream":
                raise Refusal(
                    Code.UPSTREAM_ERROR,
                    "The server of this model did not answer with a stream.",
                    headers=IN_VAIN,
                )
            await self.reply.begin(200, [*STREAM_HEADERS, *self.headers])
            trouble = await self._pass_on(response, cutter)
            await self._end_stream(cutter, trouble)
            await _read_to_end(response)
        except BaseException:
            response.close()
            raise
        finally:
            response.release()

    async def _pass_on(self, response: ClientResponse, cutter: sse.Cutter) -> Refusal | None:
        """Send what comes as it comes. Returns what went wrong, if the stream did not come to its end."""
        try:
            async for data in response.content.iter_any():
                passed = cutter.feed(data)
                # Noted before it leaves: a crash may then count a token nobody got, never the reverse.
                self.entry.progress(cutter.completion_tokens, cutter.prompt_tokens)
                if passed and not self.reply.gone:
                    if self.call.first_token_ms is None and cutter.completion_tokens:
                        self.call.first_token_ms = self._elapsed_ms()
                    await self.reply.write(passed)
                if cutter.done or cutter.error is not None:
                    break
        except (aiohttp.ClientError, TimeoutError) as error:
            return self.client.refusal_of(error, self.route.target)
        except sse.StreamBroken as error:
            log.warning("upstream_stream_unreadable", upstream=self.route.target.id, error=str(error))
            return Refusal(Code.UPSTREAM_ERROR, "The server of this model sent what cannot be read.")
        if cutter.error is not None:
            return Refusal(Code.UPSTREAM_ERROR, "The server of this model reported an error.")
        if not (cutter.done or cutter.finished):
            return Refusal(Code.UPSTREAM_ERROR, "The server of this model broke off its answer.")
        return None

    async def _end_stream(self, cutter: sse.Cutter, trouble: Refusal | None) -> None:
        if trouble is not None:
            self._finish(cutter, trouble.code)
            # The head said 200 long ago; the official clients raise an error event as APIError.
            await self.reply.end(sse.event(trouble.error()))
            return
        ending = b""
        if cutter.usage is None and self.order.wants_usage:
            ending = sse.event(_usage_chunk(cutter, self.call.prompt_estimate))
        self._finish(cutter, Code.CLIENT_GONE if self.reply.gone else None)
        await self.reply.end(ending + sse.DONE)

    def _finish(self, cutter: sse.Cutter, code: Code | None) -> None:
        """Book a call by what its stream said: the upstream's count if it came, else ours."""
        if self._closed:
            return
        if cutter.usage is not None:
            self.call.prompt_tokens = cutter.usage.prompt_tokens
            self.call.completion_tokens = cutter.usage.completion_tokens
        else:
            self.call.count_sent(cutter.completion_tokens, prompt=cutter.prompt_tokens)
        self.call.error_code = code.value if code else ""
        self._book(STATUS_AND_TYPE[code][0] if code else 200)

    def _book(self, status: int) -> None:
        self._closed = True
        self.call.status = status
        self.call.latency_ms = self._elapsed_ms()
        self.close(self.entry)

    def _elapsed_ms(self) -> int:
        return round((time.perf_counter() - self.started) * 1_000)


def _answer_in(raw: bytes, endpoint: Endpoint) -> dict[str, Any]:
    """What an upstream answered, as far as its shape is that of this API."""
    try:
        answer = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise _unreadable() from error
    if not isinstance(answer, dict) or answer.get("error") is not None:
        raise Refusal(Code.UPSTREAM_ERROR, "The server of this model reported an error.")
    if not _is_shaped(answer, endpoint):
        raise _unreadable()
    return answer


def _is_shaped(answer: dict[str, Any], endpoint: Endpoint) -> bool:
    if endpoint is Endpoint.EMBEDDINGS:
        return isinstance(answer.get("data"), list)
    choices = answer.get("choices")
    if not isinstance(choices, list):
        return False
    return all(
        isinstance(choice, dict)
        and (endpoint is not Endpoint.CHAT or isinstance(choice.get("message"), dict))
        for choice in choices
    )


def _written(answer: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(answer)
    except orjson.JSONEncodeError as error:  # nested deeper than can be written
        raise _unreadable() from error


def _unreadable() -> Refusal:
    return Refusal(Code.UPSTREAM_ERROR, "The server of this model sent what cannot be read.")


def _text_bytes(answer: dict[str, Any]) -> int:
    """Bytes of what a model said, and of what it asked to have called."""
    total = 0
    for choice in answer["choices"]:
        message = choice.get("message")
        said = message if isinstance(message, dict) else choice
        total += sum(_length(said.get(name)) for name in ("content", "text", "reasoning_content"))
        calls = said.get("tool_calls")
        total += sum(map(_called_bytes, calls if isinstance(calls, list) else ()))
    return total


def _called_bytes(call: Any) -> int:
    called = (call.get("function") or call.get("custom")) if isinstance(call, dict) else None
    return sum(map(_length, called.values())) if isinstance(called, dict) else 0


def _length(value: Any) -> int:
    """Bytes of a text; of parts or an object those of its JSON, and none of nothing."""
    if isinstance(value, str):
        return len(value.encode())
    return len(orjson.dumps(value)) if value else 0


def _usage_chunk(cutter: sse.Cutter, prompt_estimate: int) -> dict[str, Any]:
    """The chunk the caller asked for, of an upstream that states no usage."""
    prompt = cutter.prompt_tokens or prompt_estimate
    made = cutter.completion_tokens
    usage = {"prompt_tokens": prompt, "completion_tokens": made, "total_tokens": prompt + made}
    return {**cutter.last, "choices": [], "usage": usage}


async def _read_to_end(response: ClientResponse) -> None:
    """Take the last bytes after [DONE], so that the connection can serve the next call."""
    try:
        async with asyncio.timeout(END_OF_STREAM_S):
            async for _ in response.content.iter_any():
                pass
    except (aiohttp.ClientError, TimeoutError):
        response.close()
