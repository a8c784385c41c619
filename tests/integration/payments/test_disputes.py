"""What banks take back, as two fakes tell of it: followed in any order, booked once, answered once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.billing import Invoice
from models.disputes import Dispute
from models.payments import Payment
from services.core.crossing import Reason, crossing
from services.core.database import CROSSING_ROLE
from services.core.relay import stamp
from services.disputes.disputing import Disputing
from services.payments import following, watching
from services.payments.following import Told
from services.payments.providers.values import EventSubject
from services.refunds import refunds
from services.refunds.rules import PaymentDisputed
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.fakes.paypal.running import RunningPayPal, running_paypal
from tests.fakes.stripe.running import RunningStripe, running_stripe
from tests.integration.billing.shop import line, open_shop
from tests.integration.payments import stripe_kit
from tests.integration.payments.paypal_kit import PayPalKit
from tests.integration.payments.till import Till, open_paypal_till, open_till, pay_on_page
from tests.integration.reconciliation.books import Books
from tests.world import World

PAID = {"clearing": 119_00, "revenue": 100_00, "tax_owed": 19_00}
TAKEN = {"receivable": 119_00, "revenue": 100_00, "tax_owed": 19_00}


@pytest.fixture(scope="module")
def stripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStripe]:
    with running_stripe(tmp_path_factory.mktemp("stripe")) as fake:
        yield fake


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPayPal]:
    with running_paypal(tmp_path_factory.mktemp("paypal")) as fake:
        yield fake


@pytest.fixture
def paypal(running: RunningPayPal) -> RunningPayPal:
    """To whom nothing has happened yet."""
    running.act("forget")
    return running


@pytest.fixture
async def till(world: World, stripe: RunningStripe) -> AsyncIterator[Till]:
    async with open_till(await open_shop(world), stripe) as till:
        till.stripe.act("clear")
        yield till


def desk(till: Till) -> Disputing:
    return Disputing(till.cashier, clock=till.clock)


async def paid(till: Till) -> tuple[Invoice, Payment]:
    invoice = await till.shop.invoice(line("100"))
    waiting = await till.pay(invoice)
    pay_on_page(waiting)
    return invoice, await till.look(waiting)


def dispute(till: Till, payment: Payment, **how: Any) -> str:
    return till.stripe.act("dispute", payment_intent=payment.provider_ref, **how)["id"]


async def follow(till: Till, reference: str, times: int = 1) -> None:
    await asyncio.gather(*(desk(till).follow(till.account.id, reference) for _ in range(times)))


async def read(till: Till, payment: Payment) -> Dispute:
    async with till.shop.work() as uow:
        found = await uow.execute("select * from dispute where payment_id = :id", id=payment.id)
        return Dispute(**found.mappings().one())


async def cases(kind: str) -> list[str]:
    async with crossing(Reason.PAYMENTS) as uow:
        found = await uow.execute("select cause from payment_case where kind = :kind order by id", kind=kind)
        return list(found.scalars())


async def followed(till: Till) -> int:
    """What the pages of the customer's invoices and payments follow, once the relay has told of what happened."""
    async with await till.shop.world.database.unpooled() as connection:
        await connection.execute(f"set role {CROSSING_ROLE}")
        await stamp(connection)
    async with till.shop.work() as uow:
        return (await watching.changed(uow))["changed"]


async def test_what_a_bank_takes_back_is_owed_again_until_it_gives_it_back(till: Till) -> None:
    invoice, payment = await paid(till)
    assert await till.shop.balances() == PAID
    seen = [await followed(till)]
    reference = dispute(till, payment)

    await follow(till, reference, times=3)
    await follow(till, reference)
    seen.append(await followed(till))

    assert await till.shop.balances() == TAKEN
    again = await till.shop.read(invoice)
    assert (again.state, again.due_minor, again.paid_minor, again.paid_at) == (
        "finalized", 119_00, 0, None,
    )  # fmt: skip
    found = await read(till, payment)
    assert (found.state, found.taken_invoice_minor, found.fee_minor) == ("needs_answer", 119_00, 15_00)
    async with till.shop.work() as uow:
        with pytest.raises(PaymentDisputed):
            await refunds.start(uow, refunds.Wanted(payment.id, "k", "Sorry"), above={"*": 2**40})

    till.stripe.act("close_dispute", dispute=reference, won=True)
    await follow(till, reference, times=3)

    assert await till.shop.balances() == {
        "clearing": 119_00,
        "revenue": 100_00,
        "tax_owed": 19_00,
    }
    assert ((await till.shop.read(invoice)).state, (await read(till, payment)).state) == ("paid", "won")
    seen.append(await followed(till))
    assert seen[0] < seen[1] < seen[2]  # pages that are open say so both times
    await assert_invariants(till.shop.world.database, but=MADE_BY_HAND)


async def test_our_clearing_is_what_the_provider_holds_to_the_cent(till: Till) -> None:
    assert isinstance(till.stripe, RunningStripe)
    books, kit = Books(till, till.stripe), stripe_kit.StripeKit(till.stripe)
    kept = await books.kept()
    references = list[str]()
    for _ in range(2):
        invoice = await till.shop.invoice(line("100", currency="SGD"), currency="SGD")
        references.append(dispute(till, await till.pay(invoice, method_id=kept)))

    async def agrees() -> None:
        for reference in references:
            await follow(till, reference)
        books.later()
        await books.pull()
        await books.match()
        row = (await books.clearing())["SGD"]
        assert (row.difference_minor, row.provider_minor) == (0, kit.balance("SGD").minor)

    await agrees()
    for reference, won in zip(references, (True, False), strict=True):
        till.stripe.act("close_dispute", dispute=reference, won=won)
    await agrees()


async def test_a_listing_alone_finds_what_was_lost_and_what_is_lost_stays_so(till: Till) -> None:
    invoice, payment = await paid(till)
    till.clock.at = stripe_now(till)
    reference = dispute(till, payment)
    till.stripe.act("close_dispute", dispute=reference, won=False)  # nobody told us of either

    await desk(till).list_all()
    await desk(till).list_all()

    assert await till.shop.balances() == TAKEN
    assert (await read(till, payment)).state == "lost"
    # It is paid in another way, by the verbs that are there, and nothing of the dispute moves any more.
    second = await till.pay(invoice)
    pay_on_page(second)
    await till.look(second)
    await follow(till, reference)
    assert (await till.shop.read(invoice)).state == "paid"
    assert await till.shop.balances() == PAID


async def test_a_warning_takes_nothing_until_it_is_more(till: Till) -> None:
    invoice, payment = await paid(till)
    reference = dispute(till, payment, inquiry=True)

    await follow(till, reference)
    assert ((await read(till, payment)).state, await till.shop.balances()) == ("warning_needs_answer", PAID)
    till.stripe.act("escalate", dispute=reference)
    await follow(till, reference)

    assert ((await read(till, payment)).state, await till.shop.balances()) == ("needs_answer", TAKEN)
    assert (await till.shop.read(invoice)).due_minor == 119_00


async def test_staff_is_reminded_of_the_end_of_the_time_to_answer(till: Till) -> None:
    _, payment = await paid(till)
    await follow(till, dispute(till, payment))
    due = (await read(till, payment)).due_at
    assert due is not None
    reminded = list[int]()
    for days in (8, 7, 5, 3, 3, 1, 0):
        till.clock.at = due - timedelta(days=days)
        reminded.append(await desk(till).remind())

    assert reminded == [0, 1, 0, 1, 0, 1, 0]


async def test_a_dispute_of_a_payment_that_nobody_knows_is_looked_at_by_somebody(till: Till) -> None:
    invoice = await till.shop.invoice(line("100"))
    waiting = await till.pay(invoice)
    pay_on_page(waiting)  # nobody told us that it was paid
    known = await (await till.cashier.provider_of(till.account)).read_back(waiting.id, since=waiting.asked_at)
    assert known is not None
    reference = till.stripe.act("dispute", payment_intent=known.reference)["id"]

    await follow(till, reference, times=2)
    assert await cases("unknown_dispute") == ["no_such_payment"]

    payment = await till.look(waiting)
    await follow(till, reference)
    assert ((await read(till, payment)).state, await till.shop.balances()) == ("needs_answer", TAKEN)

    assert await cases("unknown_dispute") == ["no_such_payment"]


async def test_an_event_leads_to_what_it_tells_of(till: Till) -> None:
    _, payment = await paid(till)
    reference = dispute(till, payment)
    event = Told(
        "pevt", till.account.id, EventSubject.DISPUTE, reference, reference, till.clock.at, 0, None, None
    )

    for one in (event, event, replace(event, about=EventSubject.WARNING, payment_id=payment.id,
                                    organization_id=payment.organization_id)):  # fmt: skip
        await following.follow(following.Desk(till.cashier, None, till.clock), one)

    assert ((await read(till, payment)).state, await till.shop.balances()) == ("needs_answer", TAKEN)
    assert await cases("fraud_warning") == ["early_fraud_warning"]


async def test_paypal_is_followed_by_its_list(world: World, paypal: RunningPayPal) -> None:
    async with open_paypal_till(await open_shop(world), paypal) as till:
        kit, payment = await paid_by_wallet(till)
        till.clock.at = datetime.fromtimestamp(kit.now(), UTC)
        reference = kit.dispute(str(payment.provider_ref))

        assert await desk(till).list_all() == 1

        # What PayPal keeps for it, only its movements tell.
        assert await till.shop.balances() == {k: v for k, v in TAKEN.items() if v}
        kit.decide(reference, won=True)
        await desk(till).list_all()
        assert ((await read(till, payment)).state, await till.shop.balances()) == ("won", PAID)


async def test_an_inquiry_at_paypal_moves_nothing_until_it_is_escalated(
    world: World, paypal: RunningPayPal
) -> None:
    async with open_paypal_till(await open_shop(world), paypal) as till:
        _, payment = await paid_by_wallet(till)
        reference = paypal.act("dispute", order=payment.provider_ref, inquiry=True)["id"]

        async def told() -> tuple[str, bool, dict[str, int]]:
            await follow(till, reference, times=2)
            found = await read(till, payment)
            return found.state, found.due_at is not None, await till.shop.balances()

        assert await told() == ("warning_needs_answer", True, PAID)
        paypal.act("escalate", dispute=reference)
        assert await told() == ("needs_answer", True, TAKEN)
        paypal.act("close_dispute", dispute=reference, won=True)
        assert await told() == ("won", False, PAID)

        _, payment = await paid_by_wallet(till)
        reference = paypal.act("dispute", order=payment.provider_ref, inquiry=True)["id"]
        paypal.act("close_dispute", dispute=reference, won=False)
        assert (await told())[:2] == ("warning_closed", False)
        assert (await read(till, payment)).taken_at is None


async def paid_by_wallet(till: Till) -> tuple[PayPalKit, Payment]:
    kit = PayPalKit(till.stripe)
    waiting = await till.pay(await till.shop.invoice(line("100")))
    assert waiting.action is not None
    kit.pay_on_page(waiting.action["url"])
    return kit, await till.look(waiting)


def stripe_now(till: Till) -> datetime:
    return datetime.fromtimestamp(till.stripe.state()["now"], UTC)
