"""What each provider says of a decline decides whether the schedule tries again, and is written down."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from models.billing import Invoice
from models.payments import Payment
from services.collection.collecting import Collector
from services.core.crossing import Reason, crossing
from services.payments import methods
from services.payments.providers.values import Customer, Method
from tests.fakes.paypal.running import RunningPayPal, running_paypal
from tests.integration.billing.shop import line, open_shop
from tests.integration.payments.paypal_kit import PayPalKit
from tests.integration.payments.till import Till, open_paypal_till
from tests.world import World

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def paypal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPayPal]:
    with running_paypal(tmp_path_factory.mktemp("paypal")) as fake:
        yield fake


async def keep(till: Till) -> Method:
    provider, owner = await till.cashier.provider_of(till.account), till.shop.customer.id
    customer = await provider.keep_customer(Customer("Acme", "", owner), key=owner)
    token = await PayPalKit(till.stripe).keep(provider, customer)
    (said,) = [one for one in await provider.methods(customer) if one.reference == token]
    async with till.shop.work() as uow:
        await methods.keep_customer(uow, till.account.id, customer)
        await methods.keep(uow, till.account.id, said)
    return said


async def attempts(invoice: Invoice) -> list[Payment]:
    async with crossing(Reason.PAYMENTS) as uow:
        found = await uow.execute("select * from payment where invoice_id = :id order by id", id=invoice.id)
        return [Payment(**row) for row in found.mappings()]


async def test_a_paypal_wallet_is_charged_again_only_where_time_helps(
    world: World, paypal: RunningPayPal
) -> None:
    retried = {
        "INSTRUMENT_DECLINED": ("unexplained", "retry_later", 2),
        "PAYER_ACTION_REQUIRED": ("authentication", "ask_customer", 1),
        "REDIRECT_PAYER_FOR_ALTERNATE_FUNDING": ("unexplained", "ask_customer", 1),
        "MAX_NUMBER_OF_PAYMENT_ATTEMPTS_EXCEEDED": ("limit", "other_method", 1),
        "PAYER_CANNOT_PAY": ("not_allowed", "other_method", 1),
        "SOMETHING_THAT_PAYPAL_REFUSES": ("not_allowed", "other_method", 1),
    }
    async with open_paypal_till(await open_shop(world, payment_days=0), paypal) as till:
        await keep(till)
        collector = Collector(till.cashier, 1, clock=till.clock)
        invoices = dict[str, Invoice]()
        for issue in retried:
            invoices[issue] = await till.shop.invoice(line("100"))
            paypal.act("declines", codes=[issue])
            assert await collector.collect_due() == 1, issue
        till.later(DAY)
        await collector.collect_due()

        for issue, (kind, advice, times) in retried.items():
            tried = await attempts(invoices[issue])
            assert len(tried) == times, issue
            if times == 1:
                assert (tried[0].state, tried[0].decline_kind, tried[0].decline_advice) == (
                    "failed", kind, advice,
                ), issue  # fmt: skip
        first, second = await attempts(invoices["INSTRUMENT_DECLINED"])
        assert (first.decline_advice, second.state, second.decline_advice) == (
            "retry_later",
            "succeeded",
            None,
        )
