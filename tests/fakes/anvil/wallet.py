"""A wallet that customers of the demo pay from, and the hand that makes blocks."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from services.core.errors import Invalid
from services.payments.providers.crypto_keys import checksummed
from tests.fakes.anvil.running import CHAIN_ID, Anvil, NodeRefused

COIN, COIN_DECIMALS = "ETH", 18
TOKEN, TOKEN_DECIMALS = "USDX", 6
AMOUNT_MAX = Decimal(1_000)  # coins at once: it has ten thousand
BLOCKS_MAX = 100
TAKEN_BACK_MAX = 64  # blocks at once
SENT_KEPT_MAX = 10
SHARES = {"all": Decimal(1), "part": Decimal("0.5"), "over": Decimal("1.1")}
Told = dict[str, Any]


class WalletRefused(ValueError):
    """Says what is wrong with what was asked for."""


@dataclass(frozen=True, slots=True)
class Sent:
    """`signed` is sent once more where a block was taken back with it."""

    hash: str
    to: str
    asset: str
    amount: str
    signed: str


class Wallet:
    def __init__(self, anvil: Anvil, folder: Path, key: str) -> None:
        """`key` is the extended public one that accounts are told to give addresses from."""
        self._anvil = anvil
        self.key = key
        self._kept = folder / "sent.json"
        self._sent = (
            [Sent(**one) for one in json.loads(self._kept.read_text())] if self._kept.exists() else []
        )
        if anvil.height() == 0:
            anvil.make_token(TOKEN_DECIMALS)
        self._token = anvil.token()

    def state(self) -> Told:
        """What an account on this chain says of it, the height, and what was sent, the newest first."""
        return {
            "chain_id": str(CHAIN_ID),
            "key": self.key,
            "assets": f"{COIN}, {TOKEN}={self._token}:{TOKEN_DECIMALS}",
            "height": self._anvil.height(),
            "sent": [asdict(one) | {"depth": self._anvil.depth(one.hash)} for one in reversed(self._sent)],
        }

    def send(self, told: Told) -> Told:
        """Coins or tokens, all that is said or a share of it, in a new block."""
        asset, to = str(told.get("asset", COIN)), _address(told)
        share = SHARES.get(str(told.get("share", "all")))
        if asset not in (COIN, TOKEN) or share is None:
            raise WalletRefused(f"It has {COIN} and {TOKEN}, and sends {', '.join(SHARES)}.")
        amount = _amount(told) * share
        if asset == COIN:
            made = self._anvil.send(to, _units(amount, COIN_DECIMALS))
        else:
            made = self._anvil.send_token(self._token, to, _units(amount, TOKEN_DECIMALS))
        self._keep(Sent(made, to, asset, f"{amount.normalize():f}", self._anvil.raw(made)))
        self._anvil.mine()
        return {"hash": made}

    def mine(self, told: Told) -> Told:
        self._anvil.mine(_number(told, BLOCKS_MAX))
        return {}

    def take_back(self, told: Told) -> Told:
        """The last blocks are replaced by empty ones; the first, which has the token, stays."""
        blocks = _number(told, TAKEN_BACK_MAX)
        if blocks >= self._anvil.height():
            raise WalletRefused(f"There are only {self._anvil.height() - 1} blocks that can be taken back.")
        try:
            self._anvil.forget(blocks)
        except NodeRefused as error:
            raise WalletRefused("Blocks from before it was started last stay.") from error
        return {}

    def send_again(self, told: Told) -> Told:
        found = [one for one in self._sent if one.hash == told.get("hash")]
        if not found or self._anvil.depth(found[0].hash):
            raise WalletRefused("It was not sent, or is in a block.")
        self._anvil.send_again(found[0].signed)
        self._anvil.mine()
        return {}

    def _keep(self, sent: Sent) -> None:
        self._sent = [*self._sent, sent][-SENT_KEPT_MAX:]
        self._kept.write_text(json.dumps([asdict(one) for one in self._sent]))


def _address(told: Told) -> str:
    try:
        return checksummed(str(told.get("to", "")).strip())
    except Invalid as error:
        raise WalletRefused(error.message) from error


def _amount(told: Told) -> Decimal:
    try:
        amount = Decimal(str(told.get("amount", "")).strip())
    except InvalidOperation as error:
        raise WalletRefused("An amount is a number, as 0.05.") from error
    if not amount.is_finite() or not 0 < amount <= AMOUNT_MAX:
        raise WalletRefused(f"An amount is above zero, and {AMOUNT_MAX:,} at most.")
    return amount


def _units(amount: Decimal, decimals: int) -> int:
    return int(amount.scaleb(decimals))


def _number(told: Told, most: int) -> int:
    text = str(told.get("blocks", "1"))
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= most):
        raise WalletRefused(f"Say 1 to {most:,} blocks.")
    return int(text)
