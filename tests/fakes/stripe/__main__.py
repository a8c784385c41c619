"""A fake Stripe in a program of its own.

    python -m tests.fakes.stripe [--port 0] --state FOLDER [--key sk_test_matrix]

prints `{"url": …, "key": …}` in one line as soon as it listens on the loopback. `/v1` speaks Stripe's API as
document.json.gz has it, `/_hosted` has the pages a customer sees, `/_control` what only a test provider can do.
Ended by whatever signal and started again on FOLDER, it goes on where it was.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TypeVar

from services.core.tether import tie_to_parent
from tests.fakes.stripe.server import serve
from tests.fakes.stripe.world import World

W = TypeVar("W", bound=World)


async def until_told(
    program: str, kind: type[W], serve: Callable[[W, int], Coroutine[None, None, None]], *, key: str
) -> None:
    """Serves what the command line says, until a signal ends it."""
    parser = argparse.ArgumentParser(prog=program)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--key", default=key)
    told = parser.parse_args()
    serving = asyncio.create_task(serve(kind(told.state, told.key), told.port))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await serving


if __name__ == "__main__":
    tie_to_parent()
    asyncio.run(until_told("tests.fakes.stripe", World, serve, key="sk_test_matrix"))
