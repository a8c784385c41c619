"""What a bank took back is not collected by itself: not of that invoice, and never again with that method."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest

from models.billing import Invoice
from models.payments import Payment
from services.collection.collecting import Collector
from services.core.crossing import Reason, crossing
from services.disputes.disputing import Disputing
from services.payments import methods
from services.payments.providers.values import Customer, SetupOrder
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.fakes.stripe.running import RunningStripe, running_stripe
from tests.integration.billing.shop import line, open_shop
from tests.integration.payments.till import Till, open_till, pay_on_page
from tests.world import World

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def stripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStripe]:
    with running_stripe(tmp_path_factory.mktemp("stripe")) as fake:
        yield fake


@pytest.fixture
async def till(world: World, stripe: RunningStripe) -> AsyncIterator[Till]:
    async with open_till(await open_shop(world, payment_days=0), stripe) as till:
        yield till


async def keep(till: Till, card: str = "pm_card_visa") -> str:
    provider, owner = await till.cashier.provider_of(till.account), till.shop.customer.id
    customer = await provider.keep_customer(Customer("Acme", "", owner), key=f"{owner}.customer")
    setup = await provider.setup(SetupOrder(f"{owner}.{card}", customer, card))
    assert setup.method is not None
    till.shop.now = till.clock.at
    async with till.shop.work() as uow:
        await methods.keep_customer(uow, till.account.id, customer)
        return (await methods.keep(uow, till.account.id, setup.method)).id


async def collect(till: Till) -> int:
    return await Collector(till.cashier, 1, clock=till.clock).collect_due()


async def payments(invoice: Invoice) -> list[Payment]:
    async with crossing(Reason.PAYMENTS) as uow:
        found = await uow.execute("select * from payment where invoice_id = :id order by id", id=invoice.id)
        return [Payment(**row) for row in found.mappings()]


async def disputed(till: Till, payment: Payment, **how: Any) -> str:
    reference: str = till.stripe.act("dispute", payment_intent=payment.provider_ref, **how)["id"]
    await follow(till, reference)
    return reference


async def follow(till: Till, reference: str) -> None:
    await Disputing(till.cashier, clock=till.clock).follow(till.account.id, reference)


@pytest.mark.parametrize("won", [True, False])
async def test_while_a_bank_has_the_money_and_after_it_was_lost_nothing_is_charged_by_itself(
    till: Till, won: bool
) -> None:
    card = await keep(till)
    invoice = await till.shop.invoice(line("100"))
    assert await collect(till) == 1
    (paid,) = await payments(invoice)
    assert (paid.state, paid.method_id, paid.initiator) == ("succeeded", card, "schedule")

    reference = await disputed(till, paid)
    till.later(2 * HOUR)
    assert (await till.shop.read(invoice)).due_minor == 119_00
    assert await collect(till) == 0
    other = await till.shop.invoice(line("10"))
    assert await collect(till) == 0  # nor is another invoice, by that card
    till.later(HOUR)
    backup = await keep(till, "pm_card_mastercard")
    assert await collect(till) == 1
    assert [one.method_id for one in await payments(other)] == [backup]
    assert len(await payments(invoice)) == 1

    till.stripe.act("close_dispute", dispute=reference, won=won)
    await follow(till, reference)
    till.later(48 * HOUR)
    assert await collect(till) == 0
    assert len(await payments(invoice)) == 1
    if not won:  # who owes it pays it, when they want to
        assert (await till.pay(invoice, method_id=card)).state == "succeeded"
    assert (await till.shop.read(invoice)).state == "paid"
    await assert_invariants(till.shop.world.database, but=MADE_BY_HAND)


async def test_a_card_that_was_kept_with_a_payment_is_known_as_the_one_that_was_disputed(till: Till) -> None:
    first = await till.shop.invoice(line("100"))
    waiting = await till.start(first, "of-the-page", keep_method=True)
    await till.send(waiting)
    pay_on_page(await till.look(waiting))
    paid = await till.look(waiting)
    assert paid.method_id is not None
    assert (await till.start(first, "of-the-page", keep_method=True)).id == paid.id  # the same act still

    second = await till.shop.invoice(line("50"))
    reference = await disputed(till, paid, inquiry=True)
    assert await collect(till) == 1  # the bank only asks about the first, and has taken nothing
    assert [one.state for one in await payments(second)] == ["succeeded"]
    till.stripe.act("escalate", dispute=reference)
    await follow(till, reference)
    third = await till.shop.invoice(line("50"))
    assert await collect(till) == 0
    assert (await payments(third), len(await payments(first))) == ([], 1)
