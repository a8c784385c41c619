"""A process that serves lets answers under way finish, cuts those that take too long, and fails loudly."""

import http.client
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

import pytest

from tests.bench.product import free_port

ROOT = Path(__file__).parents[2]
WAIT_S = 180.0  # far longer than anything takes
PROGRAM = """
import asyncio, signal, sys
from contextlib import asynccontextmanager
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from matrix_app.up import serving
from services.core.settings import Settings

serving.DRAIN_TIMEOUT_S = float(sys.argv[2])
release = asyncio.Event()

async def wait(request):
    print("waiting", flush=True)
    try:
        await release.wait()
    except asyncio.CancelledError:
        print("cut", flush=True)
        raise
    return PlainTextResponse("answered")

@asynccontextmanager
async def lifespan(_):
    if sys.argv[3] == "broken":
        raise RuntimeError("no database")
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, release.set)
    print("up", flush=True)
    yield
    print("down", flush=True)

app = Starlette(routes=[Route("/wait", wait)], lifespan=lifespan)
serving.serve(app, Settings(port=int(sys.argv[1])))
"""
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def run(port: int, *, drain_s: float = WAIT_S, lifespan: str = "whole") -> subprocess.Popen[str]:
        command = [sys.executable, "-c", PROGRAM, str(port), str(drain_s), lifespan]
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def read(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline().strip()


def connect(port: int) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
    while True:
        with suppress(ConnectionRefusedError):  # the app is up a moment before its port is
            connection.connect()
            return connection


def until_refused(port: int) -> None:
    with suppress(ConnectionRefusedError):
        while True:
            with suppress(ConnectionResetError):  # it was about to be taken when nobody listened any more
                socket.create_connection(("127.0.0.1", port), WAIT_S).close()


def test_an_answer_under_way_is_given_before_the_end_and_no_new_caller_is_taken(start: Start) -> None:
    port = free_port()
    process = start(port)
    assert read(process.stdout) == "up"
    connection = connect(port)
    connection.request("GET", "/wait")
    assert read(process.stdout) == "waiting"

    process.send_signal(signal.SIGTERM)
    until_refused(port)
    process.send_signal(signal.SIGUSR1)

    assert connection.getresponse().read() == b"answered"
    assert process.wait(WAIT_S) == 0
    assert read(process.stdout) == "down"


def test_an_answer_that_takes_too_long_is_cut_and_the_app_still_closes(start: Start) -> None:
    port = free_port()
    process = start(port, drain_s=0.2)
    assert read(process.stdout) == "up"
    connection = connect(port)
    connection.request("GET", "/wait")
    assert read(process.stdout) == "waiting"

    process.send_signal(signal.SIGTERM)

    assert process.wait(WAIT_S) == 0
    assert [read(process.stdout), read(process.stdout)] == ["cut", "down"]
    connection.close()


def test_an_app_that_does_not_start_ends_the_process_with_an_error(start: Start) -> None:
    process = start(free_port(), lifespan="broken")

    assert process.wait(WAIT_S) != 0
    assert process.stderr is not None
    said = process.stderr.read()
    assert "RuntimeError: no database" in said
    assert "ServingFailed" in said
