"""A process that serves lets answers under way finish, cuts those that take too long, and fails loudly."""

import http.client
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from matrix_app.up.preflight import free_loopback_port

ROOT = Path(__file__).parents[2]
PROGRAM = """
import asyncio, sys
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
        await asyncio.wait_for(release.wait(), float(request.query_params["s"]))
    except TimeoutError:
        return PlainTextResponse("answered")
    except asyncio.CancelledError:
        print("cut", flush=True)
        raise

@asynccontextmanager
async def lifespan(_):
    if sys.argv[3] == "broken":
        raise RuntimeError("no database")
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

    def run(port: int, *, drain_s: float = 10.0, lifespan: str = "whole") -> subprocess.Popen[str]:
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
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    while True:
        try:
            connection.connect()
        except ConnectionRefusedError:  # the app is up a moment before its port is
            continue
        return connection


def test_an_answer_under_way_is_given_before_the_end(start: Start) -> None:
    port = free_loopback_port()
    process = start(port)
    assert read(process.stdout) == "up"
    connection = connect(port)
    connection.request("GET", "/wait?s=0.5")
    assert read(process.stdout) == "waiting"

    process.send_signal(signal.SIGTERM)

    assert connection.getresponse().read() == b"answered"
    assert process.wait(10) == 0
    assert read(process.stdout) == "down"


def test_an_answer_that_takes_too_long_is_cut_and_the_app_still_closes(start: Start) -> None:
    port = free_loopback_port()
    process = start(port, drain_s=0.2)
    assert read(process.stdout) == "up"
    connection = connect(port)
    connection.request("GET", "/wait?s=600")
    assert read(process.stdout) == "waiting"

    process.send_signal(signal.SIGTERM)

    assert process.wait(10) == 0
    assert [read(process.stdout), read(process.stdout)] == ["cut", "down"]
    connection.close()


def test_no_new_caller_is_taken_while_draining(start: Start) -> None:
    port = free_loopback_port()
    process = start(port)
    assert read(process.stdout) == "up"
    connection = connect(port)
    connection.request("GET", "/wait?s=1")
    assert read(process.stdout) == "waiting"
    process.send_signal(signal.SIGTERM)
    answered = threading.Thread(target=connection.getresponse)
    answered.start()

    refused = False
    while answered.is_alive() and not refused:
        try:
            http.client.HTTPConnection("127.0.0.1", port, timeout=5).connect()
        except ConnectionRefusedError:
            refused = True

    assert refused
    answered.join()


def test_an_app_that_does_not_start_ends_the_process_with_an_error(start: Start) -> None:
    process = start(free_loopback_port(), lifespan="broken")

    assert process.wait(20) != 0
    assert process.stderr is not None
    said = process.stderr.read()
    assert "RuntimeError: no database" in said
    assert "ServingFailed" in said
