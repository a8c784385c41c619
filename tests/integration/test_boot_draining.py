"""Ending a process that serves: no request fails, balancers are told first, websockets are sent to another."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path
from typing import Protocol

import aiohttp
import pytest

from tests.bench.product import free_port

ROOT = Path(__file__).parents[2]
CLIENTS, ANSWERS_BEFORE, PIECES, WAIT_S = 12, 100, 10, 30
PROGRAM = """
import asyncio, sys
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocketDisconnect
from matrix_app.up import draining, serving
from services.core.settings import Settings

async def quick(request):
    await request.body()  # one who is answered before all was sent may be cut while still sending
    return PlainTextResponse("answered")

async def stream(request):
    await request.body()
    async def pieces():
        for _ in range(10):
            await asyncio.sleep(0.01)
            yield b"piece"
    return StreamingResponse(pieces())

async def held(request):
    async def pieces():
        yield b"begun"
        async for _ in request.stream():
            pass
        yield b" and ended"
    return StreamingResponse(pieces())

async def ready(request):
    return PlainTextResponse("", 503 if draining.begun() else 200)

async def talk(socket):
    await socket.accept()
    await socket.send_text("hello")
    try:
        await socket.receive_text()
    except WebSocketDisconnect as gone:
        print(f"gone {gone.code}", flush=True)

either = ["GET", "POST"]
routes = [
    Route("/quick", quick, methods=either), Route("/stream", stream, methods=either),
    Route("/held", held, methods=["POST"]), Route("/readyz", ready), WebSocketRoute("/talk", talk),
]
serving.QUIET_S = float(sys.argv[3])
serving.QUIET_TIMEOUT_S = 60.0
serving.serve(Starlette(routes=routes), Settings(port=int(sys.argv[1]), drain_notice_s=float(sys.argv[2])))
"""
UNTIL_ALL_HAVE_GONE = (
    60.0  # callers who go on until they are told to end are never idle, only held up by a busy machine
)
Server = tuple[subprocess.Popen[str], str]


class Start(Protocol):
    """Starts a server that takes callers for idle after `quiet_s`."""

    def __call__(self, notice_s: float, quiet_s: float = 0.25) -> Awaitable[Server]: ...


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def spawn(notice_s: float, quiet_s: float) -> Server:
        port = free_port()
        command = [sys.executable, "-c", PROGRAM, str(port), str(notice_s), str(quiet_s)]
        started.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))
        return started[-1], f"http://127.0.0.1:{port}"

    async def run(notice_s: float, quiet_s: float = 0.25) -> Server:
        process, address = spawn(notice_s, quiet_s)
        async with aiohttp.ClientSession() as session, asyncio.timeout(WAIT_S):
            while True:
                try:
                    async with session.get(f"{address}/quick"):
                        return process, address
                except aiohttp.ClientConnectorError:
                    assert process.poll() is None

    yield run
    for process in started:
        process.kill()
        process.communicate()


class Load:
    """Callers that go on until nobody listens any more. What else went wrong is in `failures`.

    They POST: a lost GET is sent again by the client itself, and nobody learns of it.
    """

    def __init__(self, address: str) -> None:
        self.answers = 0
        self.failures: list[str] = []
        self.enough = asyncio.Event()
        self._address = address

    async def call(self, path: str, *, keep_alive: bool) -> None:
        connector = aiohttp.TCPConnector(force_close=not keep_alive)
        whole = b"piece" * PIECES if path == "/stream" else b"answered"
        async with aiohttp.ClientSession(connector=connector) as session:
            while True:
                try:
                    async with session.post(f"{self._address}{path}", json={"a": 1}) as answer:
                        content = await answer.read()
                except aiohttp.ClientConnectorError:
                    return
                except aiohttp.ClientError as error:
                    self.failures.append(f"{path}: {error!r}")
                    return
                if (answer.status, content) != (200, whole):
                    self.failures.append(f"{path}: {answer.status} {content!r}")
                self.answers += 1
                if self.answers >= ANSWERS_BEFORE:
                    self.enough.set()


@pytest.mark.parametrize("notice_s", [0, 0.3])
async def test_no_request_fails_when_a_process_ends_under_load(start: Start, notice_s: float) -> None:
    process, address = await start(notice_s, UNTIL_ALL_HAVE_GONE)
    load = Load(address)

    async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as callers:
        for number in range(CLIENTS):
            path = "/stream" if number % 2 else "/quick"
            callers.create_task(load.call(path, keep_alive=number % 3 > 0))
        await load.enough.wait()
        process.send_signal(signal.SIGTERM)

    assert load.failures == []
    assert await asyncio.to_thread(process.wait, WAIT_S) == 0


async def test_newcomers_are_refused_while_an_answer_is_brought_to_its_end(start: Start) -> None:
    process, address = await start(0)
    may_end = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"x"
        await may_end.wait()

    async with (
        asyncio.timeout(WAIT_S),
        aiohttp.ClientSession() as session,
        session.post(f"{address}/held", data=body()) as answer,
    ):
        assert await answer.content.readexactly(5) == b"begun"
        process.send_signal(signal.SIGTERM)
        while await is_let_in(address):
            pass
        assert process.poll() is None
        may_end.set()
        assert await answer.read() == b" and ended"

    assert await asyncio.to_thread(process.wait, WAIT_S) == 0


async def is_let_in(address: str) -> bool:
    """False when refused. Turned away without a word, a connection is tried again until it is."""
    try:
        async with aiohttp.ClientSession() as newcomer, newcomer.get(f"{address}/quick"):
            return True
    except aiohttp.ClientConnectorError:
        return False


async def test_a_balancer_is_told_before_anybody_is_refused(start: Start) -> None:
    process, address = await start(60)

    async with aiohttp.ClientSession() as session, asyncio.timeout(WAIT_S):
        async with session.get(f"{address}/readyz") as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        while answer.status == 200:
            async with session.get(f"{address}/readyz") as answer:
                pass
        assert answer.status == 503
        async with session.get(f"{address}/stream") as answer:
            assert await answer.read() == b"piece" * PIECES

    assert process.poll() is None
    process.send_signal(signal.SIGTERM)  # a second one does not wait for the rest of the notice
    assert await asyncio.to_thread(process.wait, WAIT_S) == 0


async def test_websockets_are_told_to_connect_again(start: Start) -> None:
    process, address = await start(0)

    async with (
        aiohttp.ClientSession() as session,
        asyncio.timeout(WAIT_S),
        session.ws_connect(f"{address}/talk") as first,
        session.ws_connect(f"{address}/talk") as second,
    ):
        assert [await first.receive_str(), await second.receive_str()] == ["hello", "hello"]
        process.send_signal(signal.SIGTERM)
        for socket in (first, second):
            told = await socket.receive()  # whether our answer to it still arrives is not ours to say
            assert (told.type, told.data) == (aiohttp.WSMsgType.CLOSE, 1012)

    assert await asyncio.to_thread(process.wait, WAIT_S) == 0
    assert process.stdout is not None
    assert process.stdout.read().split("\n") == ["gone 1012", "gone 1012", ""]
