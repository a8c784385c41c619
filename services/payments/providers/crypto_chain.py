"""Reading a chain of Ethereum's kind through a node's JSON-RPC. Nothing is ever sent there but questions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from aiohttp import ClientError, ClientSession, ClientTimeout

from services.core.outgoing import guarded_session
from services.core.tracing import outgoing_call
from services.payments.providers.base import ProviderUnavailable

ANSWER_WITHIN_S = 20
ANSWER_BYTES_MAX = 16_000_000  # a full block with its transactions is well below
# keccak-256 of Transfer(address,address,uint256), as each ERC-20 token logs it
TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
BALANCE_OF = "0x70a08231"  # the first four bytes of keccak-256 of balanceOf(address)
NATIVE = -1  # in the place of a log's index: the transaction itself


@dataclass(frozen=True, slots=True)
class Block:
    number: int
    hash: str
    parent: str
    at: datetime
    transfers: tuple[Transfer, ...] = ()  # of the native coin, where they were asked for


@dataclass(frozen=True, slots=True)
class Transfer:
    """Base units that a transaction moved to an address. `contract` is None for the native coin."""

    tx_hash: str
    log_index: int
    block_number: int
    block_hash: str
    contract: str | None
    to: str
    units: int


@dataclass(frozen=True, slots=True)
class Receipt:
    block_hash: str
    succeeded: bool


class Chain:
    """One node. Each question raises ProviderUnavailable when it is not answered, or with what nobody can read.

    `allowed` are the `host:port` pairs that may be private.
    """

    def __init__(self, node: str, allowed: Collection[str] = ()) -> None:
        self._node = node
        self._allowed = allowed
        self._session: ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def chain_id(self) -> int:
        return _number(await self._ask("eth_chainId"))

    async def height(self) -> int:
        return _number(await self._ask("eth_blockNumber"))

    async def block(self, number: int, *, coins: bool = False) -> Block | None:
        """None for one that is not there. With `coins` also what moved native coins in it."""
        told = await self._ask("eth_getBlockByNumber", hex(number), coins)
        if told is None:
            return None
        try:
            return Block(
                number=_number(told["number"]),
                hash=told["hash"],
                parent=told["parentHash"],
                at=datetime.fromtimestamp(_number(told["timestamp"]), UTC),
                transfers=tuple(_coins(told["transactions"])) if coins else (),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise _unreadable("eth_getBlockByNumber") from error

    async def tokens(
        self, first: int, last: int, contracts: Sequence[str], receivers: Sequence[str]
    ) -> list[Transfer]:
        """What moved tokens of those contracts to those addresses, in blocks [first, last]."""
        told = await self._ask(
            "eth_getLogs",
            {
                "fromBlock": hex(first),
                "toBlock": hex(last),
                "address": list(contracts),
                "topics": [TRANSFER, None, [f"0x{address[2:].lower():0>64}" for address in receivers]],
            },
        )
        try:
            # Three topics and one word of data: what has the same signature and another shape is no ERC-20 token.
            return [_token(log) for log in told if len(log["topics"]) == 3 and len(log["data"]) == 66]
        except (KeyError, TypeError, ValueError) as error:
            raise _unreadable("eth_getLogs") from error

    async def receipt(self, tx_hash: str) -> Receipt | None:
        """None for a transaction that is in no block."""
        told = await self._ask("eth_getTransactionReceipt", tx_hash)
        if told is None:
            return None
        try:
            return Receipt(told["blockHash"], _number(told["status"]) == 1)
        except (KeyError, TypeError, ValueError) as error:
            raise _unreadable("eth_getTransactionReceipt") from error

    async def held(self, address: str, contract: str | None, block: int) -> int:
        """What an address had of the chain's coin, or of a token, when a block was made; one of long ago is known to
        few nodes."""
        if contract is None:
            return _number(await self._ask("eth_getBalance", address, hex(block)))
        question = {"to": contract, "data": f"{BALANCE_OF}{address[2:].lower():0>64}"}
        return _number(await self._ask("eth_call", question, hex(block)))

    async def _ask(self, method: str, *parameters: Any) -> Any:
        if self._session is None:
            self._session = guarded_session(self._allowed)
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
        try:
            with outgoing_call("chain", method=method):
                async with self._session.post(
                    self._node,
                    data=orjson.dumps(body),
                    headers={"Content-Type": "application/json"},
                    timeout=ClientTimeout(total=ANSWER_WITHIN_S),
                    allow_redirects=False,
                ) as answer:
                    raw = await _bounded(answer.content)
                    status = answer.status
        except (TimeoutError, ClientError, OSError) as error:
            raise ProviderUnavailable("The node of the chain does not answer.") from error
        try:
            told = orjson.loads(raw)
            if status != 200 or "result" not in told:
                raise _unreadable(method)
            return told["result"]
        except (ValueError, TypeError) as error:
            raise _unreadable(method) from error


async def _bounded(content: Any) -> bytes:
    read = bytearray()
    async for part in content.iter_any():
        read += part
        if len(read) > ANSWER_BYTES_MAX:
            raise ProviderUnavailable("The node of the chain answers with more than can be read.")
    return bytes(read)


def _coins(transactions: list[dict[str, Any]]) -> list[Transfer]:
    return [
        Transfer(
            one["hash"], NATIVE, _number(one["blockNumber"]), one["blockHash"], None, one["to"].lower(), units
        )
        for one in transactions
        if one["to"] is not None and (units := _number(one["value"]))
    ]


def _token(log: dict[str, Any]) -> Transfer:
    return Transfer(
        log["transactionHash"],
        _number(log["logIndex"]),
        _number(log["blockNumber"]),
        log["blockHash"],
        log["address"].lower(),
        "0x" + log["topics"][2][-40:].lower(),
        _number(log["data"]),
    )


def _number(text: Any) -> int:
    if not isinstance(text, str) or not text.startswith("0x"):
        raise _unreadable("a number")
    return int(text, 16)


def _unreadable(what: str) -> ProviderUnavailable:
    return ProviderUnavailable(f"The node of the chain answered {what} with what cannot be read.")
