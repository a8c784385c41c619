"""What is asked of every provider in the contract tests, and what they begin with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from secrets import token_hex

import pytest

from models.money import Money
from services.payments.providers.base import PaymentProvider
from services.payments.providers.values import Customer, Order
from tests.integration.payments.paypal_kit import PayPalKit
from tests.integration.payments.stripe_kit import StripeKit

Kit = StripeKit | PayPalKit
CARDS = pytest.mark.parametrize("kit", ["stripe"], indirect=True)  # where we are told which card does what
WALLET = pytest.mark.parametrize("kit", ["paypal"], indirect=True)


@asynccontextmanager
async def listening(kit: Kit, listener: str) -> AsyncIterator[PaymentProvider]:
    made = kit.provider(listener)
    try:
        yield made
    finally:
        await made.close()


def key() -> str:
    return f"try_{token_hex(8)}"


def order(amount: Money | None = None, **more: object) -> Order:
    told = {
        "key": key(),
        "amount": amount or Money(20_00, "USD"),
        "description": "Invoice 7",
        "return_url": "http://shop.test/back",
    }
    return Order(**{**told, **more})  # pyright: ignore[reportArgumentType]


def since(kit: Kit) -> datetime:
    return datetime.fromtimestamp(kit.now(), UTC) - timedelta(minutes=1)


async def customer_of(provider: PaymentProvider) -> str:
    return await provider.keep_customer(Customer("Ada", "ada@example.test", "org_1"), key=key())
