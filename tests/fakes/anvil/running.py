"""A chain of its own for a test: anvil as a process, told what to do by its JSON-RPC. Blocks come when they are asked
for, at the time that is asked for."""

from __future__ import annotations

import itertools
import json
import subprocess
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from services.core.tether import tied
from tests.tools.anvil import program

CHAIN_ID = 31337
TIMEOUT_S = 60
# m/44'/60'/1' of the wallet that anvil's own accounts are of ("test test ... junk"), without what can spend.
KEY = "xpub6BemYiVNp19a3uqzD3HBFBV3oxWmkc7p5zwt5RgjFhj7G5Hh8WAFwH3Q2Yaj8wAcGs9PqQ3Y87VYrkyDVmMkiB8dm7GkZzvHy4g6QpvzbVk"
_TRANSFER, _TOKEN = "a9059cbb", Path(__file__).parent / "token.hex"


class Anvil:
    """`url` is the node's address. `customer` has coins, and all of each token that it makes."""

    def __init__(self, url: str, customer: str) -> None:
        self.url = url
        self.customer = customer
        self._ids = itertools.count(1)

    @property
    def place(self) -> str:
        """host:port"""
        return self.url.removeprefix("http://")

    def ask(self, method: str, *parameters: Any) -> Any:
        body = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": parameters}
        told = httpx.post(self.url, json=body, trust_env=False, verify=False, timeout=TIMEOUT_S).json()
        assert "error" not in told, told
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
def running_anvil(folder: Path, *, at: datetime) -> Generator[Anvil, None, None]:
    """`at` is the time of its first block."""
    told = Path(tempfile.mkdtemp(dir=folder)) / "told.json"
    process = subprocess.Popen(
        [
            str(program()), "--port", "0", "--no-mining", "--timestamp", str(int(at.timestamp())),
            "--config-out", str(told), "--chain-id", str(CHAIN_ID), "--accounts", "1",
        ],
        stdout=subprocess.PIPE, text=True, preexec_fn=tied(),
    )  # fmt: skip
    assert process.stdout is not None
    try:
        listening = next((line for line in process.stdout if line.startswith("Listening on ")), None)
        assert listening is not None, "anvil ended before it listened"
        # It tells every question: whoever does not listen stops it.
        threading.Thread(target=process.stdout.read, daemon=True).start()
        customer = json.loads(told.read_text())["available_accounts"][0]
        yield Anvil(f"http://{listening.split()[-1]}", customer)
    finally:
        process.kill()
        process.wait(TIMEOUT_S)
