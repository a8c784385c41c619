"""Starts the fake as a process of its own for a test, and works its switches."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from services.core.tether import tied
from tests.bench.product import free_port

ROOT = Path(__file__).resolve().parents[3]
KEY = "sk_test_matrix"
STOP_TIMEOUT_S = 60
ACT_TIMEOUT_S = 120


class RunningFake:
    """A fake provider. `url` is its address, `key` opens it."""

    program = ""

    def __init__(self, folder: Path, *, key: str) -> None:
        self._folder, self.key, self.url = folder, key, ""
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        port = self.url.rpartition(":")[2] or str(free_port())  # one that it finds free when it starts again
        self._process = subprocess.Popen(
            [
                sys.executable, "-m", self.program, "--port", port, "--state", str(self._folder),
                "--key", self.key,
            ],
            cwd=ROOT, stdout=subprocess.PIPE, text=True, preexec_fn=tied(),
        )  # fmt: skip
        assert self._process.stdout is not None
        self.url = json.loads(self._process.stdout.readline())["url"]

    def kill(self) -> None:
        """As by kill -9."""
        assert self._process is not None
        self._process.kill()
        self._end()

    def stop(self) -> None:
        assert self._process is not None
        self._process.terminate()
        self._end()

    def _end(self) -> None:
        assert self._process is not None
        self._process.wait(STOP_TIMEOUT_S)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None

    @property
    def place(self) -> str:
        """host:port"""
        return self.url.removeprefix("http://")

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def act(self, name: str, **told: Any) -> dict[str, Any]:
        """An act of /_control; see control.py for their names."""
        answer = httpx.post(
            f"{self.url}/_control/{name}", json=told, timeout=ACT_TIMEOUT_S, trust_env=False, verify=False
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def state(self) -> dict[str, Any]:
        return httpx.get(
            f"{self.url}/_control/state", timeout=ACT_TIMEOUT_S, trust_env=False, verify=False
        ).json()


class RunningStripe(RunningFake):
    program = "tests.fakes.stripe"


@contextmanager
def running_stripe(folder: Path, *, key: str = KEY) -> Generator[RunningStripe, None, None]:
    stripe = RunningStripe(folder, key=key)
    stripe.start()
    try:
        yield stripe
    finally:
        if stripe.is_running:
            stripe.stop()
