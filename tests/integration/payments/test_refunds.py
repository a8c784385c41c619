"""Money given back by staff: all of it, parts, what is refused, and never more than was paid."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from models.refunds import Refund, RefundTo
from services.billing.invoices import KeyMeansOther
from services.billing.states import InvoiceStateConflict
from services.core.errors import Invalid, MatrixError, NotFound
from services.core.ids import new_id
from services.payments.rules import PaymentStateConflict
from services.refunds import refunds
from services.refunds import rules as refund_rules
from services.refunds.refunds import Wanted
from services.refunds.rules import NothingToRefund, RefundStateConflict
from tests.fakes.stripe.running import RunningStripe, running_stripe
from tests.integration.billing.shop import line, open_shop
from tests.integration.payments.refund_desk import PAID, SECRET, Desk, desk_of
from tests.integration.payments.till import open_till
from tests.world import World


@pytest.fixture(scope="module")
def stripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStripe]:
    with running_stripe(tmp_path_factory.mktemp("stripe")) as fake:
        yield fake


@pytest.fixture
async def desk(world: World, stripe: RunningStripe) -> AsyncIterator[Desk]:
    async with open_till(await open_shop(world), stripe, secret=SECRET) as till:
        yield desk_of(till)


async def test_all_of_a_payment_goes_back_with_revenue_and_tax(desk: Desk) -> None:
    invoice, payment = await desk.paid()

    given = await desk.give(payment)

    assert (given.state, given.minor) == ("succeeded", PAID)
    assert sum(given.credits.values()) == PAID
    assert await desk.given_back(payment) == PAID
    assert await desk.till.shop.balances() == {}
    assert (await desk.read(payment)).refunded_minor == PAID
    assert (await desk.till.shop.read(invoice)).credited_minor == PAID
    async with desk.work() as uow:
        note = (await uow.execute("select net_minor, tax_minor, reason from credit_note")).one()
        told = await uow.execute("select type from event where aggregate_id = :id order by id", id=given.id)
        assert told.scalars().all() == ["refund.started", "refund.succeeded"]
    assert tuple(note) == (10_000, 1_900, "Agreed")
    with pytest.raises(NothingToRefund):
        await desk.start(payment)
    await desk.still_sound()


async def test_parts_go_back_by_amount_by_line_and_to_credit(desk: Desk) -> None:
    invoice, payment = await desk.paid(line("60"), line("40"))
    first, second = await desk.till.shop.lines(invoice)

    by_amount = await desk.give(payment, amount=1_190)
    by_line = await desk.give(payment, lines={second.id: 1_000})
    assert (by_amount.minor, by_line.minor) == (1_190, 1_000)
    assert (await desk.till.shop.balances())["clearing"] == PAID - 2_190
    assert await desk.given_back(payment) == 2_190

    kept = await desk.give(payment, amount=700, to=RefundTo.CREDIT)
    assert (kept.state, kept.credits, await desk.given_back(payment)) == ("succeeded", {}, 2_190)
    assert (await desk.till.shop.balances())["customer_credit"] == 700
    with pytest.raises(Invalid, match="left"):
        await desk.start(payment, lines={first.id: 7_140, second.id: 4_760})

    rest = await desk.give(
        payment
    )  # what is owed by then goes first, and what is left of the lines is credited
    assert rest.minor == PAID - 2_190
    assert await desk.till.shop.balances() == {}
    assert (await desk.till.shop.read(invoice)).credited_minor == PAID
    await desk.still_sound()


async def test_what_was_paid_too_much_goes_back_without_a_credit_note(desk: Desk) -> None:
    invoice = await desk.till.shop.invoice(line("100"))
    payment = await desk.came(15_000, invoice)

    over = await desk.start(payment, amount=3_000)
    assert (over.state, over.credit_note_id, over.check_at) == ("sending", None, None)
    assert (
        await desk.asking.send(over.id, over.organization_id)
    ).state == "sending"  # nobody sends it but staff
    async with desk.work() as uow:
        sent = await refunds.record_sent(uow, over.id, reference="BANK-7")
    assert (sent.state, sent.reference) == ("succeeded", "BANK-7")
    assert await desk.till.shop.balances() == {
        "cash": 12_000, "customer_credit": 100, "revenue": 10_000, "tax_owed": 1_900,
    }  # fmt: skip

    with pytest.raises(RefundStateConflict):
        async with desk.work() as uow:
            await refunds.record_sent(uow, over.id)
    rest = await desk.start(payment, amount=200)  # 100 are owed, and 100 are credited for it
    assert rest.credit_note_id is not None
    async with desk.work() as uow:
        assert (await refunds.cancel(uow, rest.id)).state == "canceled"
    assert (await desk.till.shop.balances())["customer_credit"] == 200
    assert (await desk.read(payment)).refunded_minor == 3_000
    on_account = await desk.came(500)
    with pytest.raises(Invalid, match="for an invoice has lines"):
        await desk.start(on_account, lines={"invl_x": None})
    own = await desk.start(on_account)
    assert list(own.credits.values()) == [500]  # and what the other payment left is not touched
    assert (await desk.till.shop.balances())["customer_credit"] == 700  # held until it is sent
    async with desk.work() as uow:
        assert (await refunds.record_returned(uow, over.id)).state == "failed"
    assert (await desk.till.shop.balances())["customer_credit"] == 3_700
    assert (await desk.read(payment)).refunded_minor == 0
    assert await desk.cases() == [("refund_failed", "returned_by_bank")]
    await desk.still_sound()


async def test_of_sixteen_at_once_no_more_is_given_back_than_was_paid(desk: Desk) -> None:
    _, payment = await desk.paid()

    outcomes = await asyncio.gather(
        *(desk.start(payment, amount=1_000) for _ in range(16)), return_exceptions=True
    )

    started = [one for one in outcomes if isinstance(one, Refund)]
    assert len(started) == 11
    assert all(isinstance(one, Invalid) for one in outcomes if one not in started)
    assert (await desk.read(payment)).refunded_minor == 11_000
    await asyncio.gather(*(desk.asking.send(one.id, one.organization_id) for one in started))
    assert await desk.given_back(payment) == 11_000
    assert (await desk.till.shop.balances())["clearing"] == 900

    same = await asyncio.gather(*(desk.start(payment, key="the-rest") for _ in range(3)))
    assert len({one.id for one in same}) == 1
    await desk.still_sound()


REFUSED: dict[str, tuple[dict[str, Any], type[MatrixError]]] = {
    "nothing": ({"amount": 0}, Invalid),
    "less than nothing": ({"amount": -1}, Invalid),
    "more than was paid": ({"amount": PAID + 1}, Invalid),
    "more than there is": ({"amount": 10**18}, Invalid),
    "no lines": ({"lines": {}}, Invalid),
    "a line of nobody": ({"lines": {"invl_x": None}}, Invalid),
    "by amount and by line": ({"amount": 1, "lines": {}}, Invalid),
    "no reason": ({"reason": " "}, Invalid),
    "no key": ({"key": ""}, Invalid),
}


async def test_what_no_refund_can_be_is_refused_in_words(desk: Desk) -> None:
    invoice = await desk.till.shop.invoice(line("100"))
    payment = await desk.came(PAID, invoice)
    for case, (said, error) in REFUSED.items():
        with pytest.raises(error) as refused:
            await desk.start(payment, **said)
        assert refused.value.message, case
    assert (await desk.read(payment)).refunded_minor == 0
    assert (await desk.till.shop.read(invoice)).credited_minor == 0

    await desk.start(payment, amount=100, key="one")
    others: list[dict[str, Any]] = [
        {"amount": 101},
        {"amount": 100, "reason": "Other"},
        {"amount": 100, "to": RefundTo.CREDIT},
    ]
    for other in others:
        with pytest.raises(KeyMeansOther):
            await desk.start(payment, key="one", **other)
    unfinished = await desk.till.start(await desk.till.shop.invoice(line("10")))
    with pytest.raises(PaymentStateConflict):
        await desk.start(unfinished)
    part = await desk.till.shop.invoice(line("100"))
    with pytest.raises(InvoiceStateConflict, match="still due"):
        await desk.start(await desk.came(1_000, part))
    await desk.till.shop.new_customer()
    for stranger in (payment.id, new_id("pay"), "pay_", "x"):
        with pytest.raises(NotFound):
            await desk.start(payment.model_copy(update={"id": stranger}))


async def test_a_preview_says_what_it_comes_to_and_keeps_nothing(desk: Desk) -> None:
    invoice = await desk.till.shop.invoice(line("100"))
    payment = await desk.came(15_000, invoice)

    async with desk.work() as uow:
        seen = await refunds.preview(uow, Wanted(payment.id, "k", "Agreed"), above={"EUR": 100})

    assert seen == refunds.Preview("EUR", 15_000, 3_100, PAID, 1_900, 0, needs_approval=True)
    assert (await desk.read(payment)).refunded_minor == 0
    assert (await desk.till.shop.read(invoice)).credited_minor == 0


@pytest.mark.parametrize("state", refund_rules.TRANSITIONS, ids=lambda state: state.value)
def test_what_has_ended_moves_no_money_again(state: refund_rules.S) -> None:
    held = {refund_rules.S.SENDING, refund_rules.S.PROCESSING, refund_rules.S.SUCCEEDED}
    ended = refund_rules.S.FAILED, refund_rules.S.CANCELED, refund_rules.S.REJECTED
    assert state not in ended or not refund_rules.TRANSITIONS[state]
    assert refund_rules.S.AWAITING_APPROVAL not in refund_rules.TRANSITIONS[state]
    assert state not in held or refund_rules.S.REJECTED not in refund_rules.TRANSITIONS[state]
