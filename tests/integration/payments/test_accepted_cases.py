"""Accepting a case does what it proposes, once, also when two accept it at the same time. The provider is a fake."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from models.payment_cases import CaseAct
from models.payments import Payment
from models.refunds import Refund, RefundTo
from services.billing import customer_credits
from services.core import listing_sql
from services.core.actor import Actor
from services.core.crossing import Reason, crossing
from services.core.permissions import ROLE_CAPABILITIES, Role
from services.disputes.answering import Answering
from services.disputes.disputing import Disputing
from services.documents.press import Press
from services.files.stores import FolderStore
from services.payments import following
from services.payments.following import Told
from services.payments.providers.values import EventSubject, Evidence, RefundOrder
from services.reconciliation import accepting, acts, proposals, queries
from services.reconciliation.acts import CreditUsed, DisputeUnanswered, Done, Terms
from services.reconciliation.queries import CaseRow
from tests.fakes.stripe.running import RunningStripe, running_stripe
from tests.integration.billing.shop import open_shop
from tests.integration.payments.refund_desk import ALONE, PAID, SECRET, Desk, desk_of
from tests.integration.payments.till import open_till
from tests.world import World

OF_ONE = Terms(ALONE)


@pytest.fixture(scope="module")
def stripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStripe]:
    with running_stripe(tmp_path_factory.mktemp("stripe")) as fake:
        yield fake


@pytest.fixture
async def desk(world: World, stripe: RunningStripe) -> AsyncIterator[Desk]:
    async with open_till(await open_shop(world), stripe, secret=SECRET) as till:
        yield desk_of(till)


def staff_work(desk: Desk, organization_id: str | None) -> Any:
    actor = Actor("acc_staff", organization_id, ROLE_CAPABILITIES[Role.OPERATOR])
    return crossing(Reason.STAFF, actor=actor, clock=desk.till.clock, target=organization_id)


async def the_case(desk: Desk) -> CaseRow:
    async with crossing(Reason.PAYMENTS, clock=desk.till.clock) as uow:
        (found,) = await listing_sql.select(uow, queries.CASES, limit=9)
        return found


async def accept(desk: Desk, case: CaseRow, *, terms: Terms = OF_ONE) -> Done:
    async with staff_work(desk, case.organization_id) as uow:
        return await accepting.accept(uow, case.id, terms=terms)


async def failed(desk: Desk) -> Refund:
    """A refund that the customer's bank sent back."""
    _, payment = await desk.paid()
    given = await desk.give(payment)
    desk.till.stripe.act("fail_refund", refund=given.provider_ref)
    now = await desk.look(given)
    assert now.state == "failed"
    return now


async def warned(desk: Desk) -> Payment:
    """A payment of which the bank thinks that the card was stolen."""
    _, payment = await desk.paid()
    event = Told(
        "pevt", desk.till.account.id, EventSubject.WARNING, "issfr_1", "issfr_1", desk.till.clock.at, 0,
        payment.id, payment.organization_id,
    )  # fmt: skip
    await following.follow(following.Desk(desk.till.cashier, None, desk.till.clock), event)
    return payment


async def given_after_all(desk: Desk) -> Refund:
    """A refund whose answer was lost, that we gave up, and that was given."""
    _, payment = await desk.paid()
    refund = await desk.start(payment)
    async with crossing(Reason.PAYMENTS, clock=desk.till.clock) as uow:
        await uow.execute("update refund set state = 'failed', ended_at = :now where id = :id",
                          now=uow.wall_now, id=refund.id)  # fmt: skip
    desk.till.stripe.act("clear")
    provider = await desk.till.cashier.provider_of(desk.till.account)
    assert payment.provider_ref is not None
    await provider.refund(RefundOrder(refund.id, payment.provider_ref))
    await desk.look(refund)
    return refund


# What makes a case, and what it says that accepting it does.
MADE: dict[CaseAct, tuple[Callable[[Desk], Awaitable[Any]], str]] = {
    CaseAct.REFUND: (warned, "Gives back all that is left of the payment, 119.00\u00a0EUR"),
    CaseAct.REFUND_AGAIN: (failed, "Gives 119.00\u00a0EUR back again"),
    CaseAct.BOOK_REFUND: (given_after_all, "Books 119.00\u00a0EUR that left"),
}


@pytest.mark.parametrize("act", MADE, ids=lambda act: act.value)
async def test_two_who_accept_at_once_have_it_done_once(desk: Desk, act: CaseAct) -> None:
    make, told = MADE[act]
    made = await make(desk)
    case = await the_case(desk)
    assert case.proposed is not None
    assert case.proposed.act is act
    assert case.accepting is not None
    assert case.accepting.startswith(told)

    done = await asyncio.gather(*(accept(desk, case) for _ in range(2)))

    assert (await the_case(desk)).state == "accepted"
    refunds = [one.refund_id for one in done if one.refund_id is not None]
    journals = {one.journal_id for one in done if one.journal_id is not None}
    if act is CaseAct.BOOK_REFUND:
        assert (len(refunds), len(journals)) == (0, 1)
        return
    assert (len(refunds), journals) == (1, set())
    payment_id = made.id if isinstance(made, Payment) else made.payment_id
    sent = await desk.asking.send(refunds[0], made.organization_id)
    assert (sent.state, sent.minor, sent.payment_id) == ("succeeded", PAID, payment_id)
    payment = await desk.till.cashier.read(payment_id, made.organization_id)
    assert (payment.refunded_minor, await desk.given_back(payment)) == (PAID, PAID)
    assert await desk.till.shop.balances() == {}
    await desk.still_sound()


async def test_every_proposal_has_an_act_and_words() -> None:
    assert set(acts.ACTS) == set(CaseAct)
    for act in CaseAct:
        row = {"act": act.value, "entries": [{"purpose": "cash", "minor": 700, "currency": "EUR"}]}
        told = proposals.read(row, "EUR", -700)
        assert told is not None
        assert "7.00\u00a0EUR" in told.words


async def test_what_failed_is_left_as_a_credit_or_needs_its_credit_still(desk: Desk) -> None:
    refund = await failed(desk)
    case = await the_case(desk)
    # The credit pays another invoice meanwhile: nothing more than is left is ever given.
    async with desk.work() as uow:
        await customer_credits.hold(uow, dict.fromkeys(refund.credits, 1))
    with pytest.raises(CreditUsed, match=r"118\.99"):
        await accept(desk, case)
    async with desk.work() as uow:
        await customer_credits.release(uow, dict.fromkeys(refund.credits, 1))
    done = await accept(desk, case, terms=Terms(ALONE, RefundTo.CREDIT))
    assert done == Done()
    assert (await the_case(desk)).state == "accepted"
    assert await desk.till.shop.balances() == {"clearing": PAID, "customer_credit": PAID}
    payment = await desk.till.cashier.read(refund.payment_id, refund.organization_id)
    assert payment.refunded_minor == 0


async def test_much_money_waits_for_a_second_person_also_by_a_case(desk: Desk) -> None:
    await failed(desk)
    done = await accept(desk, await the_case(desk), terms=Terms({"*": PAID - 1}))
    assert done.refund_id is not None
    waiting = await desk.asking.send(done.refund_id, desk.till.shop.customer.id)
    assert (waiting.state, waiting.reason) == ("awaiting_approval", "Agreed")


async def test_a_case_of_a_dispute_is_closed_by_the_answer(desk: Desk, tmp_path: Path) -> None:
    _, payment = await desk.paid()
    reference = desk.till.stripe.act("dispute", payment_intent=payment.provider_ref)["id"]
    assert (await desk.give(payment)).state == "failed"
    disputing = Disputing(desk.till.cashier, clock=desk.till.clock)
    desk.till.clock.at = datetime.fromtimestamp(desk.till.stripe.state()["now"], UTC)
    await disputing.follow(desk.till.account.id, reference)
    case = await the_case(desk)
    assert case.proposed is not None
    assert case.proposed.act is CaseAct.ANSWER_DISPUTE

    with pytest.raises(DisputeUnanswered):
        await accept(desk, case)
    async with staff_work(desk, case.organization_id) as uow:
        dispute_id = await accepting.to_answer(uow, case.id)
    assert dispute_id is not None
    by = Actor("acc_staff", case.organization_id, ROLE_CAPABILITIES[Role.OPERATOR])
    said = Evidence({"uncategorized_text": "They used it."})
    # Nothing is handed in again here, so nothing has to be set or read for it.
    answering = Answering(desk.till.cashier, Press(), FolderStore(tmp_path), clock=desk.till.clock)
    await answering.answer(dispute_id, payment.organization_id, said, by=by)
    async with staff_work(desk, case.organization_id) as uow:
        assert await accepting.to_answer(uow, case.id) is None
    await asyncio.gather(*(accept(desk, case) for _ in range(2)))
    assert (await the_case(desk)).state == "accepted"
