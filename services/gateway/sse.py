"""Server-sent events of a streamed answer: cut, counted, made ours, passed on."""

# JSON from outside is looked at value by value, so its parts have no known type before that.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeGuard

import orjson

TOKENS_MAX = 2**31 - 1  # what journal and tables hold; an upstream that states more is not believed
EVENT_BYTES_MAX = 4_000_000  # an upstream that never ends an event must not fill our memory
DONE = b"data: [DONE]\n\n"


class StreamBroken(Exception):
    """The upstream's stream is not one we can pass on."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as an upstream counted them."""

    prompt_tokens: int
    completion_tokens: int


def usage_in(payload: dict[str, Any]) -> Usage | None:
    """The usage an answer states, or None when it states none that makes sense."""
    usage = payload.get("usage")
    if not isinstance(usage, dict):
        return None
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens", 0)
    if not _is_count(prompt) or not _is_count(completion):
        return None
    return Usage(prompt, completion)


def _is_count(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value <= TOKENS_MAX


def event(payload: dict[str, Any]) -> bytes:
    return b"data: %s\n\n" % orjson.dumps(payload)


class Cutter:
    """Takes an upstream's bytes as they come and gives the bytes to pass on, whole events only.

    Along the way it names the model as the caller knows it, takes out what is not OpenAI's or was asked for by
    us only, and keeps count. [DONE] is held back: the caller of this class sends it once the call is booked.
    """

    __slots__ = (
        "_ahead",
        "_buffer",
        "_model",
        "_pieces",
        "_pieces_then",
        "_stated",
        "_wants_usage",
        "completion_tokens",
        "done",
        "error",
        "finished",
        "last",
        "prompt_tokens",
    )

    def __init__(self, model: str, *, wants_usage: bool) -> None:
        self._buffer = b""
        self._model = model
        self._wants_usage = wants_usage
        self.prompt_tokens = 0  # as reported on the way, 0 when nothing was
        self.completion_tokens = 0  # so far: the upstream's count as it last stood, and a token a piece since
        self._pieces = 0
        self._ahead = 0  # tokens that the upstream counts beyond the pieces it sent
        self._stated: Usage | None = None
        self._pieces_then = 0  # as usage was stated
        self.finished = False  # a finish reason was seen
        self.done = False  # [DONE] was seen
        self.error: dict[str, Any] | None = None
        self.last: dict[
            str, Any
        ] = {}  # id and time of the stream, for the chunk we may have to make ourselves

    @property
    def usage(self) -> Usage | None:
        """The upstream's last word, or None while it has not spoken it.

        Some state a usage with the first chunk, or a running one with each: that is no last word before the
        stream came to its end, nor when text followed, nor when it says that the text was no token at all.
        """
        if self._pieces > self._pieces_then or not (self.finished or self.done):
            return None
        if self._stated and self._pieces and not self._stated.completion_tokens:
            return None
        return self._stated

    def feed(self, data: bytes) -> bytes:
        """Raises StreamBroken for what cannot be an event stream of this API."""
        buffer = self._buffer + data if self._buffer else data
        if b"\r" in buffer:
            buffer = buffer.replace(b"\r\n", b"\n")
        *events, self._buffer = buffer.split(b"\n\n")
        if len(self._buffer) > EVENT_BYTES_MAX:
            raise StreamBroken("an event is too long")
        return b"".join([self._pass(one) for one in events if one])

    def _pass(self, text: bytes) -> bytes:
        data = text[6:] if text.startswith(b"data: ") and b"\n" not in text else _data_of(text)
        if not data:
            return b""  # a comment that keeps the connection alive
        if data == b"[DONE]":
            self.done = True
            return b""
        try:
            payload = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise StreamBroken("an event holds no JSON") from error
        if not isinstance(payload, dict):
            raise StreamBroken("an event holds no object")
        if payload.get("error") is not None:
            self.error = payload
            return b""
        return self._pass_chunk(payload)

    def _pass_chunk(self, chunk: dict[str, Any]) -> bytes:
        choices = _choices(chunk)
        self._pieces += sum(map(_carries_text, choices))
        timings = chunk.pop("timings", None)
        if isinstance(timings, dict):
            self._take_running_count(timings)
        if choices and choices[0].get("finish_reason"):
            self.finished = True
        stated = usage_in(chunk)
        if stated is not None:
            self._stated, self._pieces_then = stated, self._pieces
            self._hear(stated.prompt_tokens, stated.completion_tokens)
        self.completion_tokens = min(self._pieces + self._ahead, TOKENS_MAX)
        if stated is not None and not choices and not self._wants_usage:
            return b""
        if not self._wants_usage:
            chunk.pop("usage", None)
        chunk["model"] = self._model
        if not self.last:
            self.last = {name: chunk.get(name) for name in ("id", "object", "created", "model")}
        try:
            return event(chunk)
        except orjson.JSONEncodeError as error:
            raise StreamBroken("an event is nested too deeply") from error

    def _take_running_count(self, timings: dict[str, Any]) -> None:
        """llama.cpp says with every piece how many tokens it has made, also those it still holds back."""
        made, read, cached = (timings.get(name, 0) for name in ("predicted_n", "prompt_n", "cache_n"))
        if _is_count(made) and _is_count(read) and _is_count(cached) and _is_count(read + cached):
            self._hear(read + cached, made)

    def _hear(self, prompt_tokens: int, completion_tokens: int) -> None:
        self.prompt_tokens = prompt_tokens
        self._ahead = max(0, completion_tokens - self._pieces)


def _data_of(text: bytes) -> bytes:
    lines = [line[5:].removeprefix(b" ") for line in text.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines)


def _choices(chunk: dict[str, Any]) -> list[dict[str, Any]]:
    choices = chunk.get("choices") or []
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        raise StreamBroken("a chunk's choices are not a list of objects")
    return choices


def _carries_text(choice: dict[str, Any]) -> bool:
    """What an upstream sends piece by piece is a token each."""
    delta = choice.get("delta")
    said = delta if isinstance(delta, dict) else choice
    return any(said.get(name) for name in ("content", "text", "tool_calls", "reasoning_content"))
