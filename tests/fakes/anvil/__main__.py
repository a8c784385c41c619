"""A test chain in a program of its own.

    python -m tests.fakes.anvil [--port 0] --state FOLDER [--key xpub...]

prints `{"url": …, "key": …}` in one line as soon as it listens on the loopback. It is anvil that answers there, a node
of Ethereum's kind; `/_control` has a wallet with coins, and makes blocks or takes them back. Ended by whatever signal
and started again on FOLDER, it goes on where it was some seconds before.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
from pathlib import Path

from services.core.tether import tie_to_parent
from tests.fakes.anvil.running import KEY, Anvil, running_anvil
from tests.fakes.anvil.server import serve
from tests.fakes.anvil.wallet import Wallet


async def _until_told(anvil: Anvil, wallet: Wallet, port: int) -> None:
    serving = asyncio.create_task(serve(anvil, wallet, port))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await serving


if __name__ == "__main__":
    tie_to_parent()
    parser = argparse.ArgumentParser(prog="tests.fakes.anvil")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--key", default=KEY)
    told = parser.parse_args()
    told.state.mkdir(parents=True, exist_ok=True)
    with running_anvil(kept=told.state / "chain.json") as running:
        asyncio.run(_until_told(running, Wallet(running, told.state, told.key), told.port))
