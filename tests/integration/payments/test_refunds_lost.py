"""Refunds whose answers are lost, that come back days later, or that a bank was faster than."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import timedelta
from random import Random

import pytest

from models.refunds import Refund, RefundTo
from services.core.errors import Invalid
from services.payments.inbox import Inbox
from services.refunds.rules import NothingToRefund, PaymentDisputed
from tests.fakes.paypal.running import RunningPayPal, running_paypal
from tests.fakes.stripe.running import RunningStripe, running_stripe
from tests.integration.billing.shop import line, open_shop
from tests.integration.payments.paypal_kit import PayPalKit
from tests.integration.payments.refund_desk import GIVE, PAID, SECRET, Desk, desk_of, take_event
from tests.integration.payments.till import open_paypal_till, open_till
from tests.world import World


@pytest.fixture(scope="module")
def stripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStripe]:
    with running_stripe(tmp_path_factory.mktemp("stripe")) as fake:
        yield fake


@pytest.fixture
async def desk(world: World, stripe: RunningStripe) -> AsyncIterator[Desk]:
    async with open_till(await open_shop(world), stripe, secret=SECRET) as till:
        yield desk_of(till)


@pytest.fixture(scope="module")
def paypal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPayPal]:
    with running_paypal(tmp_path_factory.mktemp("paypal")) as fake:
        yield fake


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
