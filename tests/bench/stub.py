"""A model server that costs next to nothing: it speaks the wire of llama.cpp's, answers at once, and keeps a log.

    python -m tests.bench.stub PORT LOG [SECONDS_PER_TOKEN]

A call asks for `max_tokens` and gets as many. Its prompt counts PROMPT_BASE tokens plus the first number in the last
message, so that a booked request can be told from every other. The log has a line of JSON per call, written when it
ends: what was answered, and how much of it was made when the caller left early.
"""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import orjson
import uvloop

from services.core.tether import tied
from tests.bench.product import ROOT, ProductFailed, free_port

MODEL = "smollm2-135m"
PROMPT_BASE = 1_000
MAX_TOKENS_USUAL = 16
_NUMBER = re.compile(rb"\d+")
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Answered:
    """One call as the stub saw it. `made` is how many of `completion_tokens` were written before the end."""

    prompt_tokens: int
    completion_tokens: int
    made: int
    streamed: bool
    whole: bool

    @property
    def number(self) -> int:
        return self.prompt_tokens - PROMPT_BASE


class _Connection(asyncio.Protocol):
    """One caller. Requests come one after the other, as HTTP clients without pipelining send them."""

    def __init__(self, log: BinaryIO, token_s: float) -> None:
        self._log = log
        self._token_s = token_s
        self._buffer = b""
        self._streaming: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._streaming is not None:
            self._streaming.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = _LENGTH.search(head)
        expected = int(length.group(1)) if length else 0
        if len(rest) < expected:
            return
        self._buffer = rest[expected:]
        self._answer(head, rest[:expected])

    def _answer(self, head: bytes, body: bytes) -> None:
        if not head.startswith(b"POST"):
            self._send(b'{"status":"ok"}')
            return
        asked = orjson.loads(body)
        number = _NUMBER.search(asked["messages"][-1]["content"].encode())
        prompt = PROMPT_BASE + (int(number.group()) if number else 0)
        tokens: int = asked.get("max_tokens") or MAX_TOKENS_USUAL
        if asked.get("stream"):
            self._streaming = asyncio.get_running_loop().create_task(self._stream(prompt, tokens))
            return
        # Noted before it leaves: who is killed between the two must not have answered what its log does not know.
        self._note(Answered(prompt, tokens, tokens, streamed=False, whole=True))
        self._send(orjson.dumps(_whole(prompt, tokens)))

    def _send(self, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        self._transport.write(head + body)

    async def _stream(self, prompt: int, tokens: int) -> None:
        made = 0
        try:
            self._transport.write(_STREAM_HEAD)
            for made in range(1, tokens + 1):
                if self._token_s:
                    await asyncio.sleep(self._token_s)
                self._transport.write(_chunk(_piece(prompt, made)))
            self._note(Answered(prompt, tokens, tokens, streamed=True, whole=True))
            self._transport.write(_chunk(_last(prompt, tokens)) + _chunk(_usage_only(prompt, tokens)))
            self._transport.write(_framed(b"data: [DONE]\n\n") + b"0\r\n\r\n")
        except asyncio.CancelledError:
            self._note(Answered(prompt, tokens, made, streamed=True, whole=False))

    def _note(self, call: Answered) -> None:
        self._log.write(orjson.dumps(call) + b"\n")


def _whole(prompt: int, tokens: int) -> dict[str, Any]:
    text = " ".join(["word"] * tokens)
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return _base("chat.completion") | {"choices": [choice], "usage": _usage(prompt, tokens)}


def _base(kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-stub", "object": kind, "created": 1_700_000_000, "model": MODEL}


def _usage(prompt: int, tokens: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": tokens, "total_tokens": prompt + tokens}


def _piece(prompt: int, made: int) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": "word "}, "finish_reason": None}
    timings = {"predicted_n": made, "prompt_n": prompt, "cache_n": 0}
    return _base("chat.completion.chunk") | {"choices": [choice], "timings": timings}


def _last(prompt: int, tokens: int) -> dict[str, Any]:
    choice: dict[str, Any] = {"index": 0, "delta": {}, "finish_reason": "stop"}
    timings = {"predicted_n": tokens, "prompt_n": prompt, "cache_n": 0}
    return _base("chat.completion.chunk") | {"choices": [choice], "timings": timings}


def _usage_only(prompt: int, tokens: int) -> dict[str, Any]:
    return _base("chat.completion.chunk") | {"choices": [], "usage": _usage(prompt, tokens)}


def _chunk(payload: dict[str, Any]) -> bytes:
    return _framed(b"data: %s\n\n" % orjson.dumps(payload))


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@dataclass(slots=True)
class Stub:
    """A running stub."""

    address: str
    log_path: Path
    process: subprocess.Popen[bytes]
    _command: list[str]

    def answered(self) -> list[Answered]:
        """All calls that ended so far, oldest first."""
        return [Answered(**orjson.loads(line)) for line in self.log_path.read_bytes().splitlines()]

    def start_again(self) -> None:
        """After it was killed: on the same port, with the same log."""
        self.process.wait()
        self.process = _start(self._command)


@contextmanager
def upstream(*, token_s: float = 0.0) -> Iterator[Stub]:
    """Run a stub in a process of its own. `token_s` passes between two pieces of a stream."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="stub-") as folder:
        log_path = Path(folder) / "calls.jsonl"
        log_path.touch()
        command = [sys.executable, "-m", "tests.bench.stub", str(port), str(log_path), str(token_s)]
        stub = Stub(f"http://127.0.0.1:{port}", log_path, _start(command), command)
        try:
            yield stub
        finally:
            stub.process.terminate()
            stub.process.wait()


def _start(command: list[str]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, preexec_fn=tied(signal.SIGKILL))
    assert process.stdout is not None
    if not process.stdout.readline():
        raise ProductFailed("The stub ended before it listened.")
    return process


async def _serve(port: int, log_path: str, token_s: float) -> None:
    # Unbuffered: a line is with the kernel when the call has ended, whoever is killed next.
    with open(log_path, "ab", buffering=0) as log:  # noqa: ASYNC230 (once, at the start)
        server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(log, token_s), "127.0.0.1", port
        )
        sys.stdout.write("listening\n")
        sys.stdout.flush()
        async with server:
            await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), sys.argv[2], float(sys.argv[3])))
