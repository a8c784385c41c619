"""`make run` on a clean copy with an empty home folder, as a new user does it. Minutes, so only in `make test-deep`."""

import http.client
import json
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.bench.product import free_port

pytestmark = [pytest.mark.deep, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
FIRST_START_S = 600
SECOND_START_S = 10
STOP_S = 30
REGISTRIES = (
    "PIP_",
    "UV_",
    "NPM_",
    "npm_",
    "SSL_",
    "REQUESTS_",
    "NODE_EXTRA",
    "HTTP",
    "http",
    "NO_PROXY",
    "no_proxy",
)


class Copy:
    """A clone of this repository with a home, a port and a data folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.tree = folder / "matrix"
        self.port = free_port()
        self.log = folder / "run.log"
        self.environment = {
            name: value for name, value in os.environ.items() if name.startswith(REGISTRIES)
        } | {
            "HOME": str(folder / "home"),
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "MATRIX_PORT": str(self.port),
            "MATRIX_DATA_DIR": str(folder / "data"),
        }
        subprocess.run(["git", "clone", "--quiet", ROOT, self.tree], check=True)
        (folder / "home").mkdir()

    def make_run(self) -> subprocess.Popen[bytes]:
        with self.log.open("wb") as log:
            return subprocess.Popen(
                ["make", "run"],
                cwd=self.tree,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def await_ready(self, make: subprocess.Popen[bytes], seconds: float) -> float:
        began = time.monotonic()
        while not self._announced():
            assert make.poll() is None, self.log.read_text()
            assert time.monotonic() - began < seconds, self.log.read_text()
            time.sleep(0.1)
        assert self.status("/readyz") == 200
        return time.monotonic() - began

    def _announced(self) -> bool:
        return "Ctrl-C stops everything." in self.log.read_text()

    def status(self, path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", path)
        return connection.getresponse().status

    def matrix(self, *arguments: str) -> str:
        command = [".venv/bin/matrix", *arguments]
        done = subprocess.run(
            command, cwd=self.tree, env=self.environment, capture_output=True, text=True, check=True
        )
        return done.stdout


@pytest.fixture(scope="module")
def copy() -> Iterator[Copy]:
    folder = Path(tempfile.mkdtemp(prefix="mx-fresh-"))
    folder.chmod(0o755)
    yield Copy(folder)
    shutil.rmtree(folder, ignore_errors=True)


def stop(make: subprocess.Popen[bytes], how: signal.Signals) -> None:
    family = [psutil.Process(make.pid), *psutil.Process(make.pid).children(recursive=True)]
    make.send_signal(how)
    make.wait(STOP_S)
    _, left = psutil.wait_procs(family, STOP_S)
    assert left == []


def test_a_new_users_first_evening(copy: Copy) -> None:
    """First start, the printed line, the script's view, a clean stop; a quick second start; an abrupt end."""
    make = copy.make_run()
    copy.await_ready(make, FIRST_START_S)
    printed = copy.log.read_text()

    curl = next(line for line in printed.splitlines() if line.strip().startswith("curl "))
    answer = subprocess.run(shlex.split(curl), capture_output=True, check=True)
    assert json.loads(answer.stdout)["choices"][0]["message"]["content"]

    demo = json.loads(copy.matrix("demo", "--json"))
    assert demo["address"] == f"http://localhost:{copy.port}"
    assert all({"console", "email", "password"} == set(account) for account in demo["accounts"])
    assert demo["accounts"][0]["email"] in printed
    assert demo["api_key"] in curl
    stop(make, signal.SIGTERM)

    again = copy.make_run()
    assert copy.await_ready(again, FIRST_START_S) < SECOND_START_S
    stop(again, signal.SIGKILL)

    changed = subprocess.run(
        ["git", "status", "--porcelain"], cwd=copy.tree, capture_output=True, text=True, check=True
    )
    assert changed.stdout == "", "a start changed files of the project"
