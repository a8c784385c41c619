"""Reading a stretch of a chain: blocks that follow each other, and what in them came to addresses that are watched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.payments.providers.base import ProviderUnavailable
from services.payments.providers.crypto_chain import Block, Chain, Transfer

ADDRESSES_A_QUESTION = 100


@dataclass(frozen=True, slots=True)
class Watched:
    """An address that money may come to."""

    payment_id: str
    organization_id: str
    address: str
    contract: str | None

    @property
    def key(self) -> tuple[str, str | None]:
        return self.address.lower(), self.contract.lower() if self.contract else None


@dataclass(frozen=True, slots=True)
class Place:
    """A block after which is read on."""

    height: int
    hash: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """What was read at once: the height it was read from, the blocks after it, and what came in them."""

    after: int
    blocks: tuple[Block, ...]
    came: tuple[tuple[Watched, Transfer], ...] = ()


async def stretch(
    chain: Chain, place: Place, last: int, watched: Mapping[tuple[str, str | None], Watched]
) -> Stretch:
    """What follows a place, until `last` or for as long as the chain stays the same. Raises ProviderUnavailable."""
    coins = any(contract is None for _, contract in watched)
    blocks = await _blocks(chain, place.height + 1, last, after=place.hash, coins=coins)
    if not blocks:
        return Stretch(place.height, ())
    moved = [one for block in blocks for one in block.transfers]
    moved += await _tokens(chain, blocks, watched)
    came = [
        (to, one)
        for one in moved
        if one.units > 0 and (to := watched.get((one.to, one.contract))) is not None
    ]
    hashes = {block.number: block.hash for block in blocks}
    if any(hashes.get(one.block_number) != one.block_hash for _, one in came):
        raise ProviderUnavailable("The chain goes another way while it is read.")
    return Stretch(place.height, tuple(blocks), tuple(came))


async def block_at(chain: Chain, number: int, *, coins: bool = False) -> Block:
    block = await chain.block(number, coins=coins)
    if block is None or block.number != number:
        raise ProviderUnavailable(f"The node has no block {number:,} yet.")
    return block


async def _blocks(chain: Chain, first: int, last: int, *, after: str, coins: bool) -> list[Block]:
    """Each the child of the one before, as far as that goes: where it does not, the next turn sees why. `after` is the
    hash of the block before `first`."""
    blocks = list[Block]()
    for number in range(first, last + 1):
        block = await block_at(chain, number, coins=coins)
        if block.parent != after:
            break
        blocks.append(block)
        after = block.hash
    return blocks


async def _tokens(
    chain: Chain, blocks: Sequence[Block], watched: Mapping[tuple[str, str | None], Watched]
) -> list[Transfer]:
    """Logs of the tokens that are watched for, asked for a bounded number of addresses at once."""
    receivers = sorted(address for address, contract in watched if contract is not None)
    contracts = sorted({contract for _, contract in watched if contract is not None})
    found = list[Transfer]()
    for first in range(0, len(receivers), ADDRESSES_A_QUESTION):
        part = receivers[first : first + ADDRESSES_A_QUESTION]
        found += await chain.tokens(blocks[0].number, blocks[-1].number, contracts, part)
    return found
