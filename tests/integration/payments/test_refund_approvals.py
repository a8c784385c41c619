"""Much money is given back by two people. The provider is a fake."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import pytest

from models.refunds import Refund
from services.core.actor import Actor
from services.core.errors import Invalid, MatrixError
from services.core.permissions import Capability
from services.core.work import unit_of_work
from services.identity.proof import ProofNeeded
from services.refunds import refunds
from services.refunds.refunds import Wanted
from services.refunds.rules import RefundStateConflict, SecondPersonNeeded
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


async def test_who_may_ask_and_who_may_approve(desk: Desk) -> None:
    payment = await desk.came(PAID, await desk.till.shop.invoice(line("100")))
    waiting = await desk.start(payment, above={})
    may_ask = Actor("x", payment.organization_id, frozenset({Capability.STAFF_PAYMENTS_WRITE}))
    with pytest.raises(MatrixError, match=Capability.STAFF_REFUNDS_APPROVE.value):
        async with unit_of_work(may_ask) as uow:
            await refunds.approve(uow, waiting.id)
    may_approve = replace(may_ask, capabilities=frozenset({Capability.STAFF_REFUNDS_APPROVE}))
    with pytest.raises(ProofNeeded):  # a session that was left open does not send money away
        async with unit_of_work(may_approve) as uow:
            await refunds.approve(uow, waiting.id)
    with pytest.raises(MatrixError, match=Capability.STAFF_PAYMENTS_WRITE.value):
        async with unit_of_work(replace(may_ask, capabilities=frozenset())) as uow:
            await refunds.start(uow, Wanted(payment.id, "k", "r"), above={})
