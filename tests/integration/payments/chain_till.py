"""A shop that is paid on a chain of its own, and who watches it. Blocks and clocks go as the test says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from secrets import token_hex
from typing import Any

from models.billing import Invoice
from models.crypto import CryptoRequest
from models.payments import Payment, ProviderAccount
from services.core.actor import system
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.crypto import rates as crypto_rates
from services.crypto.rates import RateFields
from services.crypto.watching import Watcher
from services.payments import accounts, charging
from services.payments.accounts import AccountFields
from services.payments.cashier import Cashier
from services.payments.charging import Wanted
from tests.fakes.anvil.running import CHAIN_ID, KEY, Anvil
from tests.integration.billing.shop import Shop

CONFIRMATIONS = 3
ETH = Decimal(2_380)  # 119 is 0.05 of it


@dataclass
class ChainTill:
    shop: Shop
    anvil: Anvil
    account: ProviderAccount
    token: str
    cashier: Cashier
    watcher: Watcher
    clock: FixedClock
    keys: list[str] = field(default_factory=list[str])

    async def ask(self, invoice: Invoice, asset: str = "ETH", key: str = "") -> CryptoRequest:
        """What a customer that wants to pay is asked for."""
        return await self._asked(Wanted(invoice.id, f"{self.account.id}:{asset}", key or token_hex(6)))

    async def ask_for_top_up(self, top_up_id: str, asset: str = "ETH") -> CryptoRequest:
        return await self._asked(
            Wanted(None, f"{self.account.id}:{asset}", token_hex(6), top_up_id=top_up_id)
        )

    async def _asked(self, wanted: Wanted) -> CryptoRequest:
        async with self.shop.work() as uow:
            uow.wall_now = self.clock.at
            payment = await charging.start(uow, wanted)
        return await self.request(payment.id)

    async def request(self, payment_id: str) -> CryptoRequest:
        async with self.shop.work() as uow:
            found = await uow.execute("select * from crypto_request where payment_id = :id", id=payment_id)
            return CryptoRequest(**found.mappings().one())

    async def payment(self, request: CryptoRequest) -> Payment:
        return await self.cashier.read(request.payment_id, request.organization_id)

    async def payments(self) -> list[tuple[str, int, int]]:
        """State, amount and what paid an invoice, in the order they were made."""
        async with self.shop.work() as uow:
            found = await uow.execute(
                "select state, minor, applied_minor from payment where organization_id = :id order by asked_at, id",
                id=self.shop.customer.id,
            )
            return [(row.state, row.minor, row.applied_minor) for row in found]

    async def transfers(self) -> list[tuple[str, int]]:
        async with self.shop.work() as uow:
            found = await uow.execute("select state, units from crypto_transfer order by created_at, id")
            return [(row.state, int(row.units)) for row in found]

    async def cases(self) -> list[str]:
        async with self.shop.work() as uow:
            found = await uow.execute("select cause from payment_case where kind = 'chain' order by id")
            return list(found.scalars())

    async def rate(self, price: Decimal = ETH, asset: str = "ETH", minutes: int = 60) -> None:
        async with crossing(Reason.PAYMENTS, actor=system(), clock=self.clock) as uow:
            await crypto_rates.say(
                uow, RateFields(self.account.id, asset, "EUR", price, minutes, "The exchange we use")
            )

    def later(self, **by: Any) -> None:
        self.clock.at += timedelta(**by)

    async def watch(self, blocks: int = 0, *, watcher: Watcher | None = None) -> None:
        """Mine at the time of the clock, and watch until there is nothing new."""
        if blocks:
            self.later(minutes=1)
            self.anvil.mine(blocks, at=self.clock.at)
        while await (watcher or self.watcher).watch_all():
            pass


@asynccontextmanager
async def open_chain_till(shop: Shop, anvil: Anvil, **settings: str) -> AsyncIterator[ChainTill]:
    """`token` is one with 6 decimals."""
    clock, token = FixedClock(shop.now + timedelta(minutes=5)), anvil.make_token(6)
    said = AccountFields(
        "crypto",
        "Chain",
        is_test=True,
        settings={
            "chain_id": str(CHAIN_ID),
            "key": KEY,
            "assets": f"ETH, USDX={token}:6",
            "confirmations": str(CONFIRMATIONS),
        }
        | settings,
        secrets={"node": anvil.url},
    )
    async with crossing(Reason.PAYMENTS, actor=system(), clock=clock) as uow:
        account = await accounts.add_account(uow, said, allowed=[anvil.place])
    cashier = Cashier(public_url="http://shop.example", allowed=[anvil.place], clock=clock)
    till = ChainTill(shop, anvil, account, token, cashier, Watcher(cashier, clock=clock), clock)
    await till.rate()
    await till.rate(Decimal(1), "USDX")
    try:
        yield till
    finally:
        await cashier.close()
