"""A shop that is paid through a provider, and the cashier who asks it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from secrets import token_hex
from typing import Any

import httpx

from models.billing import Invoice
from models.payments import Payment, ProviderAccount
from services.core.actor import system
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.payments import accounts, charging
from services.payments.accounts import AccountFields
from services.payments.cashier import Cashier
from services.payments.charging import Wanted
from tests.fakes.stripe.running import RunningFake
from tests.integration.billing.shop import Shop

ADDRESS = "http://shop.example"


@dataclass
class Till:
    shop: Shop
    stripe: RunningFake
    account: ProviderAccount
    cashier: Cashier
    clock: FixedClock

    async def start(self, invoice: Invoice, key: str = "", **wanted: Any) -> Payment:
        async with self.shop.work() as uow:
            return await charging.start(
                uow, Wanted(invoice.id, self.account.id, key or token_hex(6), **wanted)
            )

    async def send(self, payment: Payment) -> Payment:
        return await self.cashier.send(payment.id, payment.organization_id)

    async def look(self, payment: Payment) -> Payment:
        return await self.cashier.look(payment.id, payment.organization_id)

    async def pay(self, invoice: Invoice, **wanted: Any) -> Payment:
        return await self.send(await self.start(invoice, **wanted))

    def later(self, by: timedelta) -> None:
        """The clock on the wall goes on; business time is the shop's."""
        self.clock.at += by


def pay_on_page(payment: Payment, card: str = "visa") -> str:
    """Returns where the provider's page leads back to."""
    answer = try_on_page(payment, card)
    assert answer.status_code < 400, answer.text
    return answer.headers.get("location", "")


def try_on_page(payment: Payment, card: str) -> httpx.Response:
    assert payment.action is not None
    return httpx.post(
        payment.action["url"], data={"test_card": card}, trust_env=False, verify=False, timeout=60
    )


@asynccontextmanager
async def open_till(
    shop: Shop, stripe: RunningFake, *, secret: str = "whsec_of_the_till"
) -> AsyncIterator[Till]:
    said = AccountFields(
        "stripe",
        "Cards",
        is_test=True,
        settings={"base": stripe.url},
        secrets={"secret_key": stripe.key, "webhook_secret": secret},
    )
    async with _open(shop, stripe, said) as till:
        yield till


@asynccontextmanager
async def open_paypal_till(shop: Shop, paypal: RunningFake) -> AsyncIterator[Till]:
    """Without its certificate: this one takes no events."""
    client, _, secret = paypal.key.partition(":")
    settings = {"client": client, "webhook_id": "WH-1", "base": paypal.url}
    said = AccountFields(
        "paypal",
        "PayPal",
        is_test=True,
        settings=settings,
        secrets={"secret": secret},
    )
    async with _open(shop, paypal, said) as till:
        yield till


@asynccontextmanager
async def _open(shop: Shop, fake: RunningFake, said: AccountFields) -> AsyncIterator[Till]:
    clock, allowed = FixedClock(shop.now), [fake.place]
    async with crossing(Reason.PAYMENTS, actor=system(), clock=clock) as uow:
        account = await accounts.add_account(uow, said, allowed=allowed)
    cashier = Cashier(public_url=ADDRESS, allowed=allowed, clock=clock)
    try:
        yield Till(shop, fake, account, cashier, clock)
    finally:
        await cashier.close()
