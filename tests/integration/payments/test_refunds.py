"""Money given back, once, and never more than was paid, whatever is lost on the way. The providers are fakes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import Any

import pytest
import stripe as sdk

from models.billing import Invoice
from models.money import Money
from models.payments import Payment
from models.refunds import Refund, RefundTo
from services.billing.invoices import KeyMeansOther
from services.billing.states import InvoiceStateConflict
from services.core.actor import Actor, system
from services.core.clock import FixedClock
from services.core.errors import Invalid, MatrixError, NotFound
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork, unit_of_work
from services.payments import transfers
from services.payments.inbox import Inbox
from services.payments.intake import Intake
from services.payments.rules import PaymentStateConflict
from services.refunds import refunds
from services.refunds import rules as refund_rules
from services.refunds.refunding import Refunding
from services.refunds.refunds import Wanted
from services.refunds.rules import NothingToRefund, PaymentDisputed, RefundStateConflict, SecondPersonNeeded
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.fakes.paypal.running import RunningPayPal, running_paypal
from tests.fakes.stripe.running import RunningStripe, running_stripe
from tests.integration.billing.shop import line, open_shop
from tests.integration.payments.paypal_kit import PayPalKit
from tests.integration.payments.till import Till, open_paypal_till, open_till, pay_on_page
from tests.world import World

GIVE, SECRET = "/v1/refunds", "whsec_of_the_till"
ALONE = {"*": 10**9}
PAID = 11_900


@pytest.fixture(scope="module")
def stripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStripe]:
    with running_stripe(tmp_path_factory.mktemp("stripe")) as fake:
        yield fake


@pytest.fixture(scope="module")
def paypal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPayPal]:
    with running_paypal(tmp_path_factory.mktemp("paypal")) as fake:
        yield fake


@dataclass
class Desk:
    """Staff that gives back what a till took."""

    till: Till
    asking: Refunding
    keys: Iterator[int]

    def work(self, who: str = "staff") -> AbstractAsyncContextManager[UnitOfWork]:
        actor = replace(system(self.till.shop.customer.id), id=who)
        return unit_of_work(actor, clock=FixedClock(self.till.shop.now))

    async def paid(self, *lines: Any) -> tuple[Invoice, Payment]:
        """An invoice that was paid on the provider's page."""
        invoice = await self.till.shop.invoice(*(lines or (line("100"),)))
        payment = await self.till.pay(invoice)
        pay_on_page(payment)
        return invoice, await self.till.look(payment)

    async def came(self, minor: int, invoice: Invoice | None = None) -> Payment:
        async with self.work() as uow:
            return await transfers.record(
                uow, money=Money(minor, "EUR"), key=new_id("pay"), invoice_id=invoice.id if invoice else None
            )

    async def start(self, payment: Payment, *, above: dict[str, int] = ALONE, **said: Any) -> Refund:
        key = said.pop("key", f"refund-{next(self.keys)}")
        async with self.work(said.pop("who", "staff")) as uow:
            wanted = Wanted(payment.id, key, said.pop("reason", "Agreed"), **said)
            return await refunds.start(uow, wanted, above=above)

    async def give(self, payment: Payment, **said: Any) -> Refund:
        started = await self.start(payment, **said)
        return await self.asking.send(started.id, started.organization_id)

    async def look(self, refund: Refund) -> Refund:
        return await self.asking.look(refund.id, refund.organization_id)

    async def read(self, payment: Payment) -> Payment:
        return await self.till.cashier.read(payment.id, payment.organization_id)

    async def cases(self) -> list[tuple[str, str]]:
        async with self.work() as uow:
            found = await uow.execute("select kind, cause from payment_case order by id")
            return [tuple(row) for row in found]  # pyright: ignore[reportReturnType]

    async def given_back(self, payment: Payment) -> int:
        """As the provider has it."""
        provider = await self.till.cashier.provider_of(self.till.account)
        assert payment.provider_ref is not None
        return (await provider.read(payment.provider_ref)).refunded.minor

    async def still_sound(self) -> None:
        await assert_invariants(self.till.shop.world.database, but=MADE_BY_HAND)


def desk_of(till: Till) -> Desk:
    return Desk(till, Refunding(till.cashier, clock=till.clock), count())


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
    with pytest.raises(Invalid, match="no lines"):
        await desk.start(on_account, lines={"invl_x": None})
    await desk.start(on_account)
    assert (await desk.till.shop.balances())["customer_credit"] == 700  # held until it is sent
    async with desk.work() as uow:
        assert (await refunds.record_returned(uow, over.id)).state == "failed"
    assert (await desk.till.shop.balances())["customer_credit"] == 3_700
    assert (await desk.read(payment)).refunded_minor == 0
    assert await desk.cases() == [("refund_failed", "returned_by_bank")]
    await desk.still_sound()


@pytest.mark.parametrize("fault", ["close_after", "error_after", "close_before", "limited", "error_before"])
async def test_an_answer_that_is_lost_is_found_and_nothing_is_given_twice(desk: Desk, fault: str) -> None:
    _, payment = await desk.paid()
    desk.till.stripe.act("fault", kind=fault, path=GIVE, method="POST")

    unknown = await desk.give(payment, amount=5_000)

    assert unknown.state == "sending"
    with pytest.raises(Invalid):
        await desk.start(payment, amount=PAID - 4_999)
    assert await desk.asking.check_due() == 0
    desk.till.later(timedelta(minutes=2))
    assert await desk.asking.check_due() == 1
    assert (await desk.look(unknown)).state == "succeeded"
    assert await desk.given_back(payment) == 5_000
    assert (await desk.till.shop.balances())["clearing"] == PAID - 5_000
    assert await desk.asking.check_due() == 0
    await desk.still_sound()


async def test_what_comes_back_days_later_is_a_credit_and_a_case(desk: Desk) -> None:
    _, payment = await desk.paid()
    given = await desk.give(payment)
    assert given.state == "succeeded"
    failed = desk.till.stripe.act("fail_refund", refund=given.provider_ref)

    assert await take_event(desk, "refund.failed", failed | {"id": given.provider_ref})
    event = Inbox(desk.till.cashier, clock=desk.till.clock)
    assert await event.follow_due() == 1

    now = await desk.look(given)
    assert (now.state, now.failure, now.succeeded_at) == ("failed", "expired_or_canceled_card", None)
    assert await desk.till.shop.balances() == {"clearing": PAID, "customer_credit": PAID}
    assert (await desk.read(payment)).refunded_minor == 0
    assert await desk.cases() == [("refund_failed", "expired_or_canceled_card")]

    again = await desk.give(payment)  # it is owed by now: no second credit note
    assert (again.state, again.credit_note_id, again.minor) == ("succeeded", None, PAID)
    assert await desk.till.shop.balances() == {}
    await desk.still_sound()


async def take_event(desk: Desk, kind: str, thing: dict[str, Any]) -> bool:
    """As the provider would sign it, of now."""
    desk.till.clock.at = datetime.now(UTC)
    told = {
        "id": f"evt_{new_id('pevt')}", "object": "event", "type": kind, "livemode": False,
        "created": int(desk.till.clock.at.timestamp()), "data": {"object": thing},
    }  # fmt: skip
    raw = json.dumps(told)
    header = sdk.WebhookSignature.generate_signature_header(raw, SECRET)
    intake = Intake(desk.till.cashier, clock=desk.till.clock)
    return await intake.take(desk.till.account.id, {"stripe-signature": header}, raw.encode())


async def test_a_payment_that_the_bank_takes_back_is_not_given_back_too(desk: Desk) -> None:
    _, payment = await desk.paid()
    desk.till.stripe.act("dispute", payment_intent=payment.provider_ref)

    refused = await desk.give(payment)

    assert (refused.state, refused.failure) == ("failed", "charge_disputed")
    assert await desk.till.shop.balances() == {"clearing": PAID, "customer_credit": PAID}
    assert await desk.cases() == [("refund_failed", "payment_disputed")]
    with pytest.raises(PaymentDisputed):
        await desk.start(payment)
    assert (await desk.look(refused)).state == "failed"


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


APPROVALS = {
    # above, who asks, who approves -> what becomes of it
    "within what one may give": ({"EUR": 5_000}, "ada", None, "sending"),
    "above it": ({"EUR": 4_999, "*": 10**9}, "ada", None, "awaiting_approval"),
    "of a currency that nobody named": ({"USD": 10**9}, "ada", None, "awaiting_approval"),
    "by somebody else": ({"*": 0}, "ada", "bo", "sending"),
    "by whoever asked": ({"*": 0}, "ada", "ada", SecondPersonNeeded),
}


@pytest.mark.parametrize("case", APPROVALS, ids=APPROVALS.keys())
async def test_much_money_is_given_back_by_two(desk: Desk, case: str) -> None:
    above, asks, approves, outcome = APPROVALS[case]
    invoice = await desk.till.shop.invoice(line("100"))
    payment = await desk.came(PAID, invoice)

    refund = await desk.start(payment, amount=5_000, above=above, who=asks)

    if approves is not None:
        assert (refund.state, (await desk.read(payment)).refunded_minor) == ("awaiting_approval", 0)
        refund = await approved(desk, refund, approves, outcome)
    if isinstance(outcome, str):
        assert refund.state == outcome
    held = 5_000 if refund.state == "sending" else 0
    assert (await desk.read(payment)).refunded_minor == held
    assert (await desk.till.shop.read(invoice)).credited_minor == held


async def approved(desk: Desk, refund: Refund, who: str, outcome: Any) -> Refund:
    if isinstance(outcome, str):
        async with desk.work(who) as uow:
            return await refunds.approve(uow, refund.id)
    with pytest.raises(outcome):
        async with desk.work(who) as uow:
            await refunds.approve(uow, refund.id)
    return refund


async def test_what_waits_is_rejected_given_up_or_overtaken(desk: Desk) -> None:
    payment = await desk.came(PAID, await desk.till.shop.invoice(line("100")))
    first, second, third = [await desk.start(payment, above={"*": 0}) for _ in range(3)]

    with pytest.raises(Invalid):
        async with desk.work("bo") as uow:
            await refunds.reject(uow, first.id, reason=" ")
    async with desk.work("bo") as uow:
        assert (await refunds.reject(uow, first.id, reason="Not agreed")).refusal == "Not agreed"
        assert (await refunds.cancel(uow, second.id)).state == "canceled"
    for ended in (first, second):
        with pytest.raises(RefundStateConflict):
            async with desk.work("bo") as uow:
                await refunds.approve(uow, ended.id)
    await desk.start(payment, amount=900)
    with pytest.raises(RefundStateConflict, match="changed"):
        async with desk.work("bo") as uow:
            await refunds.approve(uow, third.id)


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


async def test_who_may_ask_and_who_may_approve(desk: Desk) -> None:
    payment = await desk.came(PAID, await desk.till.shop.invoice(line("100")))
    waiting = await desk.start(payment, above={})
    may_ask = Actor("x", payment.organization_id, frozenset({Capability.STAFF_PAYMENTS_WRITE}))
    with pytest.raises(MatrixError, match=Capability.STAFF_REFUNDS_APPROVE.value):
        async with unit_of_work(may_ask) as uow:
            await refunds.approve(uow, waiting.id)
    with pytest.raises(MatrixError, match=Capability.STAFF_PAYMENTS_WRITE.value):
        async with unit_of_work(replace(may_ask, capabilities=frozenset())) as uow:
            await refunds.start(uow, Wanted(payment.id, "k", "r"), above={})


async def test_a_preview_says_what_it_comes_to_and_keeps_nothing(desk: Desk) -> None:
    invoice = await desk.till.shop.invoice(line("100"))
    payment = await desk.came(15_000, invoice)

    async with desk.work() as uow:
        seen = await refunds.preview(uow, Wanted(payment.id, "k", "Agreed"), above={"EUR": 100})

    assert seen == refunds.Preview("EUR", 15_000, 3_100, PAID, 1_900, 0, needs_approval=True)
    assert (await desk.read(payment)).refunded_minor == 0
    assert (await desk.till.shop.read(invoice)).credited_minor == 0


async def test_paypal_gives_back_once_and_refuses_what_is_disputed(
    world: World, paypal: RunningPayPal
) -> None:
    async with open_paypal_till(await open_shop(world), paypal) as till:
        desk, kit = desk_of(till), PayPalKit(paypal)
        waiting = await till.pay(await till.shop.invoice(line("100")))
        assert waiting.action is not None
        kit.pay_on_page(waiting.action["url"])
        payment = await till.look(waiting)
        assert payment.state == "succeeded"
        paypal.act("fault", kind="close_after", path="*/refund", method="POST")

        lost = await desk.give(payment, amount=2_000)
        assert lost.state == "sending"
        till.later(timedelta(minutes=2))
        assert await desk.asking.check_due() == 1

        assert (await desk.look(lost)).state == "succeeded"
        assert await desk.given_back(payment) == 2_000
        assert (await till.shop.balances())["clearing"] == PAID - 2_000
        assert payment.provider_ref is not None
        kit.dispute(payment.provider_ref)
        assert (await desk.give(payment)).state == "failed"
        with pytest.raises(PaymentDisputed):
            await desk.start(payment)
        await desk.still_sound()


@pytest.mark.parametrize("seed", [1, 2])
async def test_whatever_happens_the_ledger_says_what_the_provider_says(desk: Desk, seed: int) -> None:
    random = Random(seed)
    payments = [(await desk.paid(line("30"), line("70")))[1] for _ in range(2)]
    given: list[Refund] = []
    for _ in range(14):
        if random.random() < 0.5:
            kind = random.choice(["close_after", "close_before", "limited", "error_after"])
            desk.till.stripe.act("fault", kind=kind, path=GIVE, method="POST")
        to = random.choice([RefundTo.SOURCE, RefundTo.SOURCE, RefundTo.CREDIT])
        with suppress(Invalid, NothingToRefund):
            given.append(
                await desk.give(random.choice(payments), amount=random.choice([1, 500, 4_000]), to=to)
            )
        desk.till.stripe.act("clear")
        if random.random() < 0.3:
            await come_back(desk, random.choice(given))
        if random.random() < 0.3:
            desk.till.later(timedelta(hours=7))
            await desk.asking.check_due()
    desk.till.later(timedelta(hours=7))
    await desk.asking.check_due()

    states = {(await desk.look(one)).state for one in given}
    assert states <= {"succeeded", "failed"}
    taken_back = sum([await desk.given_back(one) for one in payments])
    assert (await desk.till.shop.balances())["clearing"] == 2 * PAID - taken_back
    assert sum([(await desk.read(one)).refunded_minor for one in payments]) == taken_back
    await desk.still_sound()


async def come_back(desk: Desk, refund: Refund) -> None:
    """The customer's bank does not take it, once."""
    now = await desk.look(refund)
    if now.state == "succeeded" and now.provider_ref is not None:
        desk.till.stripe.act("fail_refund", refund=now.provider_ref)
        assert (await desk.look(refund)).state == "failed"


@pytest.mark.parametrize("state", refund_rules.TRANSITIONS, ids=lambda state: state.value)
def test_what_has_ended_moves_no_money_again(state: refund_rules.S) -> None:
    held = {refund_rules.S.SENDING, refund_rules.S.PROCESSING, refund_rules.S.SUCCEEDED}
    ended = refund_rules.S.FAILED, refund_rules.S.CANCELED, refund_rules.S.REJECTED
    assert state not in ended or not refund_rules.TRANSITIONS[state]
    assert refund_rules.S.AWAITING_APPROVAL not in refund_rules.TRANSITIONS[state]
    assert state not in held or refund_rules.S.REJECTED not in refund_rules.TRANSITIONS[state]
