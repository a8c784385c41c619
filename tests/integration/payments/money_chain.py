"""A chain beside the two providers: what customers send there, blocks that come and go, and who watches."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from models.crypto import CryptoRequest
from models.payments import ProviderAccount
from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.crypto import rates
from services.crypto.rates import VALID_MINUTES_MAX, RateFields
from services.crypto.watching import Watcher
from services.payments import accounts, charging
from services.payments.accounts import AccountFields
from services.payments.charging import Wanted
from tests.fakes.anvil.running import CHAIN_ID, KEY, Anvil
from tests.integration.payments.money_house import CHAIN, House, Nothing, pick

BLOCK_S = 12
CONFIRMATIONS = 3
PRICES = {  # of a whole coin at first, in the currencies of histories
    "ETH": {"EUR": Decimal(2_380), "JPY": Decimal(380_000), "KWD": Decimal(730)},
    "USDX": {"EUR": Decimal("0.93"), "JPY": Decimal(150), "KWD": Decimal("0.307")},
}


@dataclass
class Chain:
    """The node of a house, and its account there. `sent` are transactions as they were signed, in their order,
    `percent` is what coins cost now of what they did at first, and `said` since when each price counts."""

    house: House
    token: str
    account: ProviderAccount
    sent: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    gone: list[str] = field(default_factory=list[str])
    percent: int = 100
    said: dict[tuple[str, str], list[tuple[datetime, Decimal]]] = field(default_factory=dict)

    @property
    def anvil(self) -> Anvil:
        return self.house.anvil

    @property
    def watcher(self) -> Watcher:
        """With nothing in memory of the last one, as after a kill."""
        return Watcher(self.house.cashier, clock=self.house.clock)

    async def ask(self, invoice_id: str, asset: str, key: str) -> None:
        async with self.house.work() as uow:
            await charging.start(uow, Wanted(invoice_id, f"{self.account.id}:{asset}", key))

    async def requests(self) -> list[CryptoRequest]:
        found = await self.house.rows("select * from crypto_request order by derivation_index")
        return [CryptoRequest(**row._mapping) for row in found]

    def send(self, asked: CryptoRequest, percent: int) -> None:
        """A share of what is asked for, in the next block. Whatever is gone from before is spent another way by it."""
        self._is_there()
        units = max(1, int(asked.expected_units) * percent // 100)
        if asked.contract is None:
            made = self.anvil.send(asked.address, units)
        else:
            made = self.anvil.send_token(asked.contract, asked.address, units)
        self.sent.append((made, self.anvil.raw(made)))
        self.gone.clear()

    def mine(self, blocks: int) -> None:
        """At the time of the house, and never before the last block."""
        last = int(self.anvil.ask("eth_getBlockByNumber", "latest", False)["timestamp"], 16)
        at = max(self.house.clock.at, datetime.fromtimestamp(last + 1, UTC))
        self.anvil.mine(blocks, at=at)

    def forget(self, blocks: int) -> None:
        """The chain goes another way, in which nothing is of what was in its last blocks."""
        below = self.anvil.height() - blocks
        if below < 1:  # the token stays
            raise Nothing
        there = [one for one in self.sent if self.anvil.depth(one[0])]
        self.anvil.forget(blocks)
        self.gone += [raw for name, raw in there if not self.anvil.depth(name)]

    def send_again(self) -> None:
        """What is gone, in its order, if nothing was sent since."""
        self._is_there()
        pick(self.gone, 0)
        for raw in self.gone:
            self.anvil.send_again(raw)
        self.gone.clear()

    def _is_there(self) -> None:
        """A node that follows another chain takes nothing for this one."""
        if int(self.anvil.ask("eth_chainId"), 16) != CHAIN_ID:
            raise Nothing

    async def say_rates(self) -> None:
        for asset, prices in PRICES.items():
            for currency, first in prices.items():
                price = first * self.percent / 100
                said = RateFields(
                    self.account.id, asset, currency, price, VALID_MINUTES_MAX, "The exchange we use"
                )
                async with crossing(Reason.PAYMENTS, actor=system(), clock=self.house.clock) as uow:
                    await rates.say(uow, said)
                self.said.setdefault((asset, currency), []).append((self.house.clock.at, price))

    def price(self, asset: str, currency: str, at: datetime) -> Decimal | None:
        """What a coin cost at that time, as was said then; None where nothing that was said still stood."""
        stood = [
            price
            for since, price in self.said[asset, currency]
            if since <= at < since + timedelta(minutes=VALID_MINUTES_MAX)
        ]
        return stood[-1] if stood else None


async def opened(house: House) -> Chain:
    anvil = house.anvil
    token = anvil.make_token(6)
    said = AccountFields(
        CHAIN, "Chain", is_test=True,
        settings={
            "chain_id": str(CHAIN_ID), "key": KEY, "assets": f"ETH, USDX={token}:6",
            "confirmations": str(CONFIRMATIONS),
        },
        secrets={"node": anvil.url},
    )  # fmt: skip
    async with crossing(Reason.PAYMENTS, actor=system(), clock=house.clock) as uow:
        account = await accounts.add_account(uow, said, allowed=[anvil.place])
    house.accounts[CHAIN] = account
    chain = Chain(house, token, account)
    await chain.say_rates()
    await chain.watcher.watch_all()
    return chain
