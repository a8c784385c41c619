"""Money through a provider, once, whatever is lost on the way. The provider is a fake that speaks Stripe's wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from models.money import Money
from models.payments import Payment
from services.billing.invoices import KeyMeansOther
from services.core import database as databases
from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.errors import Conflict, Invalid, MatrixError, NotFound
from services.core.ids import new_id
from services.payments import accounts, methods, transfers
from services.payments.accounts import AccountFields
from services.payments.cashier import NEVER_ARRIVED_AFTER, Cashier
from services.payments.charging import PaymentUnderWay
from services.payments.providers.values import Customer, SetupOrder
from services.payments.rules import PaymentStateConflict
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.fakes.stripe.running import RunningStripe, running_stripe
from tests.integration.billing.shop import line, open_shop
from tests.integration.payments.till import Till, open_till, pay_on_page, try_on_page
from tests.world import World

PAGES, INTENTS = "/v1/checkout/sessions", "/v1/payment_intents"


@pytest.fixture(scope="module")
def stripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStripe]:
    with running_stripe(tmp_path_factory.mktemp("stripe")) as fake:
        yield fake


@pytest.fixture
async def till(world: World, stripe: RunningStripe) -> AsyncIterator[Till]:
    async with open_till(await open_shop(world), stripe) as till:
        yield till


async def kept(till: Till, card: str = "pm_card_visa") -> str:
    """A method of the customer, kept at the provider and here."""
    provider = await till.cashier.provider_of(till.account)
    customer = await provider.keep_customer(
        Customer("Acme", "", till.shop.customer.id), key=f"{till.shop.customer.id}.{card}"
    )
    setup = await provider.setup(SetupOrder(f"{till.shop.customer.id}.{card}.setup", customer, card))
    assert setup.method is not None
    async with till.shop.work() as uow:
        await methods.keep_customer(uow, till.account.id, customer)
        return (await methods.keep(uow, till.account.id, setup.method)).id


async def test_a_customer_pays_on_the_providers_page_and_it_is_booked_once(till: Till) -> None:
    invoice = await till.shop.invoice(line("100"))

    waiting = await till.pay(invoice)
    assert (waiting.state, waiting.minor) == ("requires_action", 11_900)
    assert (await till.look(waiting)).state == "requires_action"
    pay_on_page(waiting)
    told = await asyncio.gather(*(till.look(waiting) for _ in range(3)))

    assert {one.state for one in told} == {"succeeded"}
    assert (await till.shop.read(invoice)).state == "paid"
    assert await till.shop.balances() == {"clearing": 11_900, "revenue": 10_000, "tax_owed": 1_900}
    assert (await till.look(waiting)).version == told[0].version
    await assert_invariants(till.shop.world.database, but=MADE_BY_HAND)


async def test_who_was_declined_on_the_providers_page_finds_it_again(till: Till) -> None:
    waiting = await till.pay(await till.shop.invoice(line("100")))
    assert try_on_page(waiting, "visa_chargeDeclined").status_code == 402

    told = await till.look(waiting)

    assert (told.state, told.action) == ("requires_action", waiting.action)
    pay_on_page(told)
    assert (await till.look(told)).state == "succeeded"


async def test_a_transfer_is_recorded_while_the_customer_is_on_the_providers_page(till: Till) -> None:
    """What came is never refused; and if the page is paid, too, that is a credit."""
    invoice = await till.shop.invoice(line("100"))
    waiting = await till.pay(invoice)

    async with till.shop.work() as uow:
        await transfers.record(uow, money=Money(11_900, "EUR"), key="bank-1", invoice_id=invoice.id)
    assert (await till.shop.read(invoice)).state == "paid"
    pay_on_page(waiting)

    assert (await till.look(waiting)).applied_minor == 0
    balances = await till.shop.balances()
    assert (balances["cash"], balances["clearing"], balances["customer_credit"]) == (11_900, 11_900, 11_900)


async def test_a_kept_card_pays_at_once_and_one_that_is_declined_says_why(till: Till) -> None:
    good, empty = await kept(till), await kept(till, "pm_card_chargeCustomerFail")
    invoice = await till.shop.invoice(line("100"))

    declined = await till.pay(invoice, method_id=empty)

    assert (declined.state, declined.decline_hard, declined.applied_minor) == ("failed", False, 0)
    assert declined.decline_code
    assert declined.message
    assert (await till.shop.read(invoice)).due_minor == 11_900
    paid = await till.pay(invoice, method_id=good)
    assert (paid.state, paid.applied_minor) == ("succeeded", 11_900)
    assert (await till.shop.read(invoice)).state == "paid"


@pytest.mark.parametrize("fault", ["close_after", "error_after"])
async def test_an_answer_that_is_lost_is_found_and_nothing_is_charged_twice(till: Till, fault: str) -> None:
    card = await kept(till)
    invoice = await till.shop.invoice(line("100"))
    till.stripe.act("fault", kind=fault, path=INTENTS, method="POST")

    unknown = await till.pay(invoice, method_id=card)

    assert unknown.state == "sending"
    with pytest.raises(PaymentUnderWay):
        await till.start(invoice)
    till.later(timedelta(minutes=2))
    assert await till.cashier.check_due() == 1
    assert (await till.shop.read(invoice)).state == "paid"
    assert (await till.shop.balances())["clearing"] == 11_900
    assert await till.cashier.check_due() == 0


async def test_what_never_arrived_fails_when_it_cannot_arrive_any_more(till: Till) -> None:
    invoice = await till.shop.invoice(line("100"))
    till.stripe.act("fault", kind="close_before", path=PAGES, method="POST")
    lost = await till.pay(invoice)
    assert lost.state == "sending"

    till.later(timedelta(minutes=2))
    await till.cashier.check_due()
    assert (await till.cashier.read(lost.id, lost.organization_id)).state == "sending"
    till.later(NEVER_ARRIVED_AFTER)
    await till.cashier.check_due()

    ended = await till.cashier.read(lost.id, lost.organization_id)
    assert (ended.state, ended.decline_code) == ("failed", "never_arrived")
    assert (await till.pay(invoice)).state == "requires_action"


async def test_a_provider_that_is_busy_did_nothing_and_one_may_try_again_at_once(till: Till) -> None:
    invoice = await till.shop.invoice(line("100"))
    till.stripe.act("fault", kind="limited", path=PAGES, method="POST")

    refused = await till.pay(invoice)

    assert (refused.state, refused.decline_code) == ("failed", "provider_unavailable")
    assert (await till.pay(invoice)).state == "requires_action"


async def test_what_is_given_up_takes_no_money_unless_it_had_already(till: Till) -> None:
    invoice = await till.shop.invoice(line("100"))
    left = await till.pay(invoice)
    canceled = await till.cashier.cancel(left.id, left.organization_id)
    assert canceled.state == "canceled"
    with pytest.raises(PaymentStateConflict):
        await till.cashier.cancel(left.id, left.organization_id)

    paid = await till.pay(invoice)
    pay_on_page(paid)
    assert (await till.cashier.cancel(paid.id, paid.organization_id)).state == "succeeded"
    assert (await till.shop.read(invoice)).state == "paid"


async def test_a_page_that_nobody_comes_back_from_is_closed_after_a_day(till: Till) -> None:
    invoice = await till.shop.invoice(line("100"))
    left = await till.pay(invoice)

    till.later(timedelta(hours=25))
    await till.cashier.check_due()

    assert (await till.cashier.read(left.id, left.organization_id)).state == "canceled"


async def test_asking_takes_one_connection_at_a_time(till: Till, database: Database) -> None:
    """Else as many as there are connections, each with one and in want of another, would wait for each other."""
    payment = await till.start(await till.shop.invoice(line("100")))
    narrow = databases.connect(database.url, pool_size=1)
    allowed = [till.stripe.place]
    cashier = Cashier(public_url="http://shop.example", allowed=allowed, on=narrow, clock=till.clock)

    sent = await cashier.send(payment.id, payment.organization_id)

    assert sent.state == "requires_action"
    await cashier.close()
    await narrow.close()


async def test_of_many_who_pay_one_invoice_one_does(till: Till) -> None:
    invoice = await till.shop.invoice(line("100"))

    outcomes = await asyncio.gather(
        *(till.start(invoice, f"key-{number}") for number in range(4)), return_exceptions=True
    )

    started = [one for one in outcomes if isinstance(one, Payment)]
    assert len(started) == 1
    assert all(isinstance(one, PaymentUnderWay) for one in outcomes if one not in started)
    again = await till.start(invoice, started[0].key)
    assert again.id == started[0].id
    with pytest.raises(KeyMeansOther):
        await till.start(invoice, started[0].key, method_id="paym_of_nobody")


async def test_a_credit_note_that_overtakes_a_payment_leaves_a_credit(till: Till) -> None:
    invoice = await till.shop.invoice(line("100"))
    waiting = await till.pay(invoice)
    await till.shop.credit(invoice, 1_900)

    pay_on_page(waiting)
    await till.look(waiting)

    assert (await till.shop.read(invoice)).state == "paid"
    assert (await till.shop.balances())["customer_credit"] == 1_900
    await assert_invariants(till.shop.world.database, but=MADE_BY_HAND)


async def test_what_a_provider_does_not_take_is_refused_before_it_is_asked(till: Till) -> None:
    small = await till.shop.invoice(line("0.10"))
    with pytest.raises(Invalid, match="or more"):
        await till.start(small)
    paid = await till.shop.invoice(line("0"))
    with pytest.raises(Conflict):
        await till.start(paid)
    elsewhere = await till.shop.invoice(line("100", currency="KPW"), currency="KPW")
    with pytest.raises(Invalid, match="does not take KPW"):
        await till.start(elsewhere)


async def test_a_method_pays_for_its_owner_where_it_is_kept_and_nowhere_else(till: Till) -> None:
    card = await kept(till)
    async with crossing(Reason.PAYMENTS, actor=system()) as uow:
        said = AccountFields("stripe", "Others", is_test=True, settings={"base": till.stripe.url})
        secrets = {"secret_key": "sk_test_of_another", "webhook_secret": "whsec_of_another"}
        other = await accounts.add_account(uow, replace(said, secrets=secrets), allowed=[till.stripe.place])
    with pytest.raises(Invalid) as refused:  # it would be told to somebody who does not keep it
        await replace(till, account=other).start(await till.shop.invoice(line("100")), method_id=card)
    assert refused.value.field == "payment_method_id"
    await till.shop.new_customer()
    theirs = await till.shop.invoice(line("100"))
    for stranger in (card, new_id("paym"), "paym_", "x"):
        with pytest.raises(NotFound):
            await till.start(theirs, method_id=stranger)
    assert await till.cashier.check_due() == 0


async def test_a_read_that_is_refused_ends_no_payment_whose_page_is_open(till: Till) -> None:
    invoice = await till.shop.invoice(line("100"))
    waiting = await till.pay(invoice)
    async with crossing(Reason.PAYMENTS, actor=system()) as uow:
        said = AccountFields("stripe", "Cards", is_test=True, settings={"base": till.stripe.url})
        wrong = replace(said, secrets={"secret_key": "sk_test_of_another"})
        await accounts.change_account(
            uow, till.account.id, wrong, allowed=[till.stripe.url.removeprefix("http://")]
        )

    with pytest.raises(MatrixError):
        await till.look(waiting)

    now = await till.cashier.read(waiting.id, waiting.organization_id)
    assert (now.state, now.decline_code) == ("requires_action", None)
    with pytest.raises(PaymentUnderWay):
        await till.start(invoice)


async def test_one_that_has_failed_is_not_looked_at_again_by_itself(till: Till) -> None:
    till.stripe.act("fault", kind="limited", path=PAGES, method="POST")
    failed = await till.pay(await till.shop.invoice(line("100")))

    assert (await till.look(failed)).state == "failed"

    now = await till.cashier.read(failed.id, failed.organization_id)
    assert now.check_at is None
