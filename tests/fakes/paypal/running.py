"""Starts the fake PayPal as a process of its own for a test."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.fakes.stripe.running import RunningFake

KEY = "client:secret"


class RunningPayPal(RunningFake):
    program = "tests.fakes.paypal"


@contextmanager
def running_paypal(folder: Path, *, key: str = KEY) -> Generator[RunningPayPal, None, None]:
    paypal = RunningPayPal(folder, key=key)
    paypal.start()
    try:
        yield paypal
    finally:
        if paypal.is_running:
            paypal.stop()
