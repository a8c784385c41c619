"""A chain of its own: anvil as a process, told what to do by its JSON-RPC. Blocks come when they are asked for, at the
time that is asked for."""

from __future__ import annotations

import itertools
import signal
import subprocess
import threading
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from services.core.tether import tied
from tests.fakes.stripe.running import RunningFake
from tests.tools.anvil import program

CHAIN_ID = 31337
TIMEOUT_S = 60
# m/44'/60'/1' of the wallet that anvil's own accounts are of ("test test ... junk"), without what can spend.
KEY = "xpub6BemYiVNp19a3uqzD3HBFBV3oxWmkc7p5zwt5RgjFhj7G5Hh8WAFwH3Q2Yaj8wAcGs9PqQ3Y87VYrkyDVmMkiB8dm7GkZzvHy4g6QpvzbVk"
PERSISTED_EVERY_S = 5
_TRANSFER, _TOKEN = "a9059cbb", Path(__file__).parent / "token.hex"


class NodeRefused(RuntimeError):
    """What the node says is wrong."""


class Anvil:
    """`url` is the node's address. `customer` has coins, and all of each token that it makes."""

    def __init__(self, url: str, process: subprocess.Popen[str]) -> None:
        self.url = url
        self._process = process
        self._ids = itertools.count(1)
        self.customer: str = self.ask("eth_accounts")[0]

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    @property
    def place(self) -> str:
        """host:port"""
        return self.url.removeprefix("http://")

    def ask(self, method: str, *parameters: Any) -> Any:
        body = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": parameters}
        told = httpx.post(self.url, json=body, trust_env=False, verify=False, timeout=TIMEOUT_S).json()
        if "error" in told:
            raise NodeRefused(told["error"].get("message", "The node refused."))
        return told["result"]

    def mine(self, blocks: int = 1, *, at: datetime | None = None) -> None:
        if at is not None:
            self.ask("evm_setNextBlockTimestamp", int(at.timestamp()))
        self.ask("anvil_mine", hex(blocks), hex(1))

    def send(self, to: str, units: int) -> str:
        """Coins, in the next block. Gives the hash of the transaction."""
        return self._sent({"to": to, "value": hex(units)})

    def send_token(self, contract: str, to: str, units: int) -> str:
        return self._sent({"to": contract, "data": f"0x{_TRANSFER}{to[2:].lower():0>64}{units:064x}"})

    def make_token(self, decimals: int, supply: int = 10**30) -> str:
        """Mined at once; gives its address."""
        code = _TOKEN.read_text().strip()
        made = self._sent({"data": f"0x{code}{decimals:064x}{supply:064x}"})
        self.mine()
        return self.ask("eth_getTransactionReceipt", made)["contractAddress"]

    def token(self) -> str:
        """The one that was made in the first block."""
        made = self.ask("eth_getBlockByNumber", "0x1", False)["transactions"][0]
        return self.ask("eth_getTransactionReceipt", made)["contractAddress"]

    def height(self) -> int:
        return int(self.ask("eth_blockNumber"), 16)

    def depth(self, tx_hash: str) -> int:
        """How many blocks have it or are above it; 0 for one that is in none."""
        receipt = self.ask("eth_getTransactionReceipt", tx_hash)
        return 0 if receipt is None else self.height() - int(receipt["blockNumber"], 16) + 1

    def set_coins(self, address: str, units: int) -> None:
        """As a contract may do it in the middle of something else, so that no transaction names it."""
        self.ask("anvil_setBalance", address, hex(units))

    def send_again(self, transaction: str) -> None:
        """One that was forgotten, as it was signed."""
        self.ask("eth_sendRawTransaction", transaction)

    def raw(self, tx_hash: str) -> str:
        return self.ask("eth_getRawTransactionByHash", tx_hash)

    def forget(self, blocks: int) -> None:
        """The last blocks are replaced by as many others, without what was in them."""
        self.ask("anvil_reorg", blocks, [])

    def _sent(self, transaction: dict[str, str]) -> str:
        return self.ask("eth_sendTransaction", {"from": self.customer, "gas": hex(2_000_000), **transaction})


@contextmanager
def running_anvil(*, at: datetime | None = None, kept: Path | None = None) -> Generator[Anvil, None, None]:
    """`at` is the time of its first block, now if nobody says. With a file, what it has is `kept` there, and it goes on
    from what is there; blocks from before cannot be taken back then."""
    command = [
        str(program()), "--port", "0", "--no-mining", "--chain-id", str(CHAIN_ID), "--accounts", "1",
    ]  # fmt: skip
    if at is not None:
        command += ["--timestamp", str(int(at.timestamp()))]
    if kept is not None:
        command += ["--state", str(kept), "--state-interval", str(PERSISTED_EVERY_S)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=tied())
    assert process.stdout is not None
    try:
        listening = next((line for line in process.stdout if line.startswith("Listening on ")), None)
        assert listening is not None, "anvil ended before it listened"
        # It tells every question: whoever does not listen stops it.
        threading.Thread(target=process.stdout.read, daemon=True).start()
        anvil = Anvil(f"http://{listening.split()[-1]}", process)
        yield anvil
    finally:
        process.send_signal(
            signal.SIGKILL if kept is None else signal.SIGTERM
        )  # which it writes its last state on
        process.wait(TIMEOUT_S)


class RunningChain(RunningFake):
    """The test chain with its wallet, as the demo has it."""

    program = "tests.fakes.anvil"


@contextmanager
def running_chain(folder: Path) -> Generator[RunningChain, None, None]:
    chain = RunningChain(folder, key=KEY)
    chain.start()
    try:
        yield chain
    finally:
        if chain.is_running:
            chain.stop()
