"""Callers that each send the next call when the last was answered: what a server can do, and how long one waits.

    python -m tests.bench.gateway_driver PORT KEY CALLERS SECONDS [stream | get=PATH | requests=FILE]

A file has requests as `packed` makes it, each sent once; no seconds are as long as there are any. It prints one line
of JSON: calls, seconds, and the milliseconds each call took. A raw protocol on uvloop, so that the load takes little of
the machine that the measured server shares.
"""

from __future__ import annotations

import asyncio
import math
import struct
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import repeat
from pathlib import Path
from typing import cast

import orjson
import uvloop

MODEL = "stub"
_LENGTH = struct.Struct(">I")


class Caller(asyncio.Protocol):
    def __init__(self, requests: Iterator[bytes], ends: list[float]) -> None:
        self._requests = requests
        self._taken = ends
        self._answer = b""
        self._began = 0.0
        self._until = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def call_until(self, end: float) -> None:
        self._until = end
        self._send()

    def _send(self) -> None:
        request = next(self._requests, None)
        self._began = time.perf_counter()
        if request is not None:
            self._transport.write(request)
        elif not self.done.done():
            self.done.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if not _complete(self._answer):
            return
        if not self._answer.startswith(b"HTTP/1.1 20"):
            self.done.set_exception(RuntimeError(f"The server answered: {self._answer[:400]!r}"))
            return
        now = time.perf_counter()
        self._taken.append((now - self._began) * 1_000)
        self._answer = b""
        if now < self._until:
            self._send()
        elif not self.done.done():
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionResetError("The server closed the connection."))


def _complete(answer: bytes) -> bool:
    head, found, body = answer.partition(b"\r\n\r\n")
    if not found:
        return False
    if head.startswith(b"HTTP/1.1 204"):
        return True
    head = head.lower()
    at = head.find(b"content-length:")
    if at < 0:
        return body.endswith(b"0\r\n\r\n")  # chunked
    return len(body) >= int(head[at + 15 :].split(b"\r\n", 1)[0])


def request(port: int, key: str, *, stream: bool) -> bytes:
    body = orjson.dumps(
        {
            "model": MODEL,
            "messages": [
                {"role": "system", "content": "You are a helpful assistant."},
                {"role": "user", "content": "Write one sentence about the sea, please."},
            ],
            "max_tokens": 16,
            "temperature": 0.5,
            **({"stream": True} if stream else {}),
        }
    )
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def read(port: int, key: str, path: str) -> bytes:
    """A GET, in place of a call of a model."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n\r\n".encode()


def packed(requests: Iterable[bytes]) -> bytes:
    """Each after its length."""
    return b"".join(_LENGTH.pack(len(one)) + one for one in requests)


def _unpacked(content: bytes) -> list[bytes]:
    found: list[bytes] = []
    at = 0
    while at < len(content):
        (length,) = _LENGTH.unpack_from(content, at)
        at += _LENGTH.size + length
        found.append(content[at - length : at])
    return found


def _requests(port: int, key: str, how: str) -> Iterator[bytes]:
    what, _, given = how.partition("=")
    match what:
        case "requests":
            return iter(_unpacked(Path(given).read_bytes()))
        case "get":
            return repeat(read(port, key, given))
        case _:
            return repeat(request(port, key, stream=what == "stream"))


async def drive(port: int, key: str, callers: int, seconds: float, how: str) -> None:
    loop = asyncio.get_running_loop()
    requests = _requests(port, key, how)
    taken: list[float] = []
    connected: list[Caller] = []
    for _ in range(callers):
        _, caller = await loop.create_connection(lambda: Caller(requests, taken), "127.0.0.1", port)
        connected.append(caller)
    began = time.perf_counter()
    for caller in connected:
        caller.call_until(began + seconds if seconds else math.inf)
    await asyncio.gather(*(caller.done for caller in connected))
    elapsed = time.perf_counter() - began
    report = {"calls": len(taken), "seconds": elapsed, "ms": [round(one, 4) for one in taken]}
    sys.stdout.write(orjson.dumps(report).decode() + "\n")


if __name__ == "__main__":
    uvloop.run(
        drive(
            int(sys.argv[1]),
            sys.argv[2],
            int(sys.argv[3]),
            float(sys.argv[4]),
            sys.argv[5] if len(sys.argv) > 5 else "",
        )
    )
