"""The whole product as `matrix up` runs it, in a data folder of its own, on a free port.

For benchmarks and fault tests.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any

import psutil

from services.core.postgres import DATABASE, EmbeddedPostgres
from services.identity.cookies import session_cookie
from tests.folders import short_folder

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 600.0  # longer than it takes to give up by itself; the first start also builds the pages
STOP_TIMEOUT_S = 60.0
REQUEST_TIMEOUT_S = 30.0
PORTS = range(20_000, 32_000)
PORTS_OF_A_PROCESS = 200
_LOCKS: list[ExitStack] = []  # for as long as this process lives
_POLL_S = 0.05
_HIGH_LIMITS = {
    "organization_requests_per_minute": "1000000000",
    "organization_tokens_per_minute": "1000000000",
    "api_requests_per_minute": "1000000000",
    "api_network_per_minute": "1000000000",
}


class ProductFailed(RuntimeError):
    """The product did not do what it must; the text holds its own last words."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Product:
    """A running copy. Made by `running`."""

    def __init__(
        self, data_dir: Path, process: subprocess.Popen[bytes], port: int, environment: dict[str, str]
    ) -> None:
        self.data_dir = data_dir
        self.port = port
        self.environment = environment
        self.address = f"http://127.0.0.1:{port}"
        self.process = process
        self._demo: dict[str, Any] | None = None

    @property
    def demo(self) -> dict[str, Any]:
        """What `matrix demo --json` shows: accounts, api_key, organization."""
        read = self._demo or json.loads((self.data_dir / "demo.json").read_text())
        self._demo = read
        return read

    @property
    def key(self) -> str:
        return self.demo["api_key"]

    @property
    def database(self) -> EmbeddedPostgres:
        """For its URLs: this object runs nothing."""
        return EmbeddedPostgres(self.data_dir)

    def pid(self, name: str) -> int:
        """The process id of `web`, `worker`, `model` or `database`. Raises ProductFailed when there is none."""
        for child in psutil.Process(self.process.pid).children():
            if _name(child) == name:
                return child.pid
        raise ProductFailed(f"No process {name} runs now.")

    def processes(self) -> dict[str, list[psutil.Process]]:
        """All processes of this copy by the part they belong to."""
        parent = psutil.Process(self.process.pid)
        parts = {"supervisor": [parent]}
        for child in parent.children():
            parts[_name(child)] = [child, *child.children(recursive=True)]
        return parts

    def ready(self, *, port: int | None = None) -> bool:
        return answers(port or self.port, "/readyz")

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        port: int | None = None,
    ) -> Answer:
        """One request with a JSON body. Raises OSError when nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=REQUEST_TIMEOUT_S)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"Content-Type": "application/json", **(headers or {})})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from error
        finally:
            connection.close()

    def cookie(self, email: str = "") -> str:
        """The Cookie header of somebody who signs in now: of `email`, else of the first demo account."""
        accounts = self.demo["accounts"]
        account = next((one for one in accounts if one["email"] == email), accounts[0])
        return f"{session_cookie(self.address)}={self.session(account['email'], account['password'])}"

    def session(self, email: str, password: str) -> str:
        """The token of a session that somebody opens now. Raises ProductFailed when that is refused."""
        answer = self.ask("POST", "/api/v1/session", {"email": email, "password": password})
        if answer.status >= 300:
            raise ProductFailed(f"Signing in answered {answer.status}: {answer.body.decode()}")
        kept = [line.partition(";")[0].partition("=") for line in answer.headers.get_all("Set-Cookie", [])]
        return next(value for name, _, value in kept if name == session_cookie(self.address))

    def change(self, statement: str) -> None:
        """Have something be as it would be after a time, or after an accident."""
        with self.database.superuser(DATABASE) as connection:
            connection.execute(statement)  # pyright: ignore[reportArgumentType, reportCallIssue]

    def last_words(self) -> str:
        """The ends of all logs."""
        texts = [f"--- {path.name}\n{_tail(path)}" for path in sorted(self.data_dir.glob("**/*.log"))]
        return "\n".join(texts)


@contextmanager
def running(*, in_memory: bool = False, **settings: str) -> Iterator[Product]:
    """Start the product and stop it at the end. Its data folder is made for it and deleted after.

    `settings` are those of `MATRIX_*`, their names in lower case and without the prefix. Limits of organisations
    are checked as always, but are so high that no load of ours meets them. What measures nothing may have its data
    `in_memory`.
    """
    with short_folder(in_memory=in_memory) as folder, _process(folder / "data", settings) as product:
        yield product


@contextmanager
def _process(data_dir: Path, settings: dict[str, str]) -> Iterator[Product]:
    data_dir.mkdir()
    port = free_port()
    chosen = {"port": str(port), "data_dir": str(data_dir), "public_url": f"http://127.0.0.1:{port}"}
    chosen |= _HIGH_LIMITS | settings
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MATRIX_")}
    environment |= {f"MATRIX_{name.upper()}": value for name, value in chosen.items()}
    log_path = data_dir / "up.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "matrix_app.cli", "up", "--with-parent"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    product = Product(data_dir, process, port, environment)
    try:
        await_that(
            lambda: process.poll() is not None or product.ready(), START_TIMEOUT_S, "the product is ready"
        )
        if process.poll() is not None:
            raise ProductFailed(f"`matrix up` ended early.\n{product.last_words()}")
        yield product
    finally:
        _stop(process)


@contextmanager
def api_beside(product: Product) -> Iterator[tuple[str, int]]:
    """Run `matrix api` beside the running product, on the same data; gives its address and process id."""
    with beside(product, "api") as (address, process):
        yield address, process.pid


@contextmanager
def beside(product: Product, command: str, **settings: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run `matrix web` or `matrix api` beside the running product, on the same data; gives its address too.

    On a free port, unless `settings` name one.
    """
    port = int(settings.get("port") or free_port())
    changed = {f"MATRIX_{name.upper()}": value for name, value in settings.items()}
    environment = product.environment | {"MATRIX_PORT": str(port)} | changed
    log_path = product.data_dir / "logs" / f"{command}-{port}.log"
    with log_path.open("wb") as log:
        arguments = [sys.executable, "-m", "matrix_app.cli", command]
        process = subprocess.Popen(arguments, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        await_that(
            lambda: process.poll() is not None or product.ready(port=port),
            START_TIMEOUT_S,
            f"matrix {command} is ready",
        )
        if process.poll() is not None:
            raise ProductFailed(f"`matrix {command}` ended early.\n{_tail(log_path)}")
        yield f"http://127.0.0.1:{port}", process
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()  # its children are tied to it
        process.wait()


@contextmanager
def paused(pid: int) -> Iterator[None]:
    """Have the process `pid` do nothing meanwhile: what it would do next can be too early for a caller who is slow."""
    process = psutil.Process(pid)
    process.suspend()
    try:
        yield
    finally:
        process.resume()


def await_that(holds: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Wait until `holds()`. Raises TimeoutError naming `what`."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"After {timeout_s:g} s it does not hold that {what}.")
        time.sleep(_POLL_S)


def free_port() -> int:
    """A port on 127.0.0.1 that nobody else takes before the server that it is for has started: systems give connections
    higher ones, and no other process that asks here is given one of this process's."""
    for port in _ports():
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("it goes round")


@cache
def _ports() -> Iterator[int]:
    """Those of this process, round and round: each comes again as late as can be."""
    for first in PORTS[::PORTS_OF_A_PROCESS]:
        with suppress(OSError), ExitStack() as stack:  # OSError: they are somebody else's
            lock = stack.enter_context(Path(tempfile.gettempdir(), f"mx-ports-{first}").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _LOCKS.append(stack.pop_all())
            return cycle(range(first, first + PORTS_OF_A_PROCESS))
    raise ProductFailed(f"All {len(PORTS)} ports for tests are taken.")


def answers(port: int, path: str) -> bool:
    """Whether somebody answers 200 there."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=REQUEST_TIMEOUT_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _name(process: psutil.Process) -> str:
    """Which part a child is; empty for one that has just ended."""
    try:
        command = process.cmdline()
    except psutil.NoSuchProcess:  # also a zombie that its parent has not yet seen
        return ""
    if not command:
        return ""
    return "database" if Path(command[0]).name == "postgres" else command[-1]


def _tail(path: Path, lines: int = 15) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
