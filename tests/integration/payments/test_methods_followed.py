"""What happens to a kept method at its provider is followed here: renewed by its network, or kept no more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from models.payments import PaymentMethod
from services.collection.collecting import Collector
from services.core import crypto
from services.core.postgres import EmbeddedPostgres
from services.payments import methods
from tests.integration.billing.shop import line
from tests.integration.payments import money_house
from tests.integration.payments.money_house import PAYPAL, STRIPE, House, Providers


@pytest.fixture(scope="module")
def providers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Providers]:
    with money_house.started(tmp_path_factory.mktemp("providers")) as both:
        yield both


@pytest.fixture
async def house(postgres: EmbeddedPostgres, providers: Providers, tmp_path: Path) -> AsyncIterator[House]:
    """With a card that is the default, and a wallet."""
    crypto.install(crypto.file_vault(tmp_path))
    async with money_house.opened(postgres, providers, "methods_followed") as house:
        for name in ("empty", "asks"):
            async with house.work() as uow:
                await methods.remove(uow, house.methods[name])
        yield house


async def token(house: House, who: str) -> str:
    """The provider's name for the method that was kept first."""
    customer = await house.cashier.customer_at(house.accounts[who], house.shop.customer.id)
    return (await (await house.provider(who)).methods(customer))[-1].reference


async def hear(house: House) -> None:
    await house.deliver()
    await house.inbox.follow_due()


async def kept(house: House, name: str) -> PaymentMethod:
    (row,) = await house.rows("select * from payment_method where id = :id", id=house.methods[name])
    return PaymentMethod(**row._mapping)


async def collect(house: House) -> list[tuple[str, Any]]:
    """State and method of each payment so far, after the schedule's round."""
    await Collector(house.cashier, 1, clock=house.clock).collect_due()
    names = {method_id: name for name, method_id in house.methods.items()}
    rows = await house.rows("select state, method_id from payment order by created_at, id")
    return [(row.state, names[row.method_id]) for row in rows]


async def test_what_providers_do_to_kept_methods_is_known_here(house: House) -> None:
    card, wallet = await token(house, STRIPE), await token(house, PAYPAL)
    stripe, paypal = house.kits[STRIPE].fake, house.kits[PAYPAL].fake
    await house.shop.invoice(line("100"))
    house.turn(timedelta(days=15))
    paypal.act("end_agreement", payment_token=wallet)
    await hear(house)
    assert (await kept(house, "wallet")).removed_at == house.clock.at

    stripe.act("declines", codes=["expired_card"])
    declined = [("failed", "card")]
    assert await collect(house) == declined
    house.turn(timedelta(days=1))
    assert await collect(house) == declined  # there is nothing else to charge

    stripe.act("renew", payment_method=card, last4="0001", exp_year=2040)
    await hear(house)
    renewed = await kept(house, "card")
    assert (renewed.last4, renewed.expires_year, renewed.version) == ("0001", 2040, 2)
    assert await collect(house) == [*declined, ("succeeded", "card")]

    stripe.act("detach", payment_method=card)
    await hear(house)
    gone = await kept(house, "card")
    assert (gone.removed_at, gone.is_default) == (house.clock.at, False)
    said = await house.rows("select type from event where type like 'payment_method.%' order by id")
    assert [row.type for row in said][-3:] == [
        "payment_method.removed", "payment_method.changed", "payment_method.removed",
    ]  # fmt: skip
    left = await house.rows("select reason from provider_event where due_at is not null")
    assert left == []
