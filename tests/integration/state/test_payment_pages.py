"""Paying on pages: from an invoice that is due to the provider, and back to what became of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from models.types import OrganizationKind, Role
from services.core.crossing import Reason, crossing
from services.core.work import unit_of_work
from services.payments import cashier as cashiers
from services.payments import connections
from services.refunds import refunds
from services.refunds.refunding import Refunding
from state.governance.payments import StaffPaymentsState
from state.governance.provider_accounts import ProviderAccountsState
from state.governance.refunds import StaffPaymentState, StaffRefundsState
from state.portal.invoices import InvoiceState
from state.portal.payments import PaymentsState, PaymentState
from tests.fakes.stripe.running import RunningStripe, running_stripe
from tests.integration.billing.shop import line, open_shop
from tests.integration.payments.till import Till, open_till, pay_on_page
from tests.integration.state.visitor import said, sent_to, sign_in
from tests.world import World


@pytest.fixture(scope="module")
def stripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStripe]:
    with running_stripe(tmp_path_factory.mktemp("stripe")) as fake:
        yield fake


@pytest.fixture
async def till(world: World, stripe: RunningStripe) -> AsyncIterator[Till]:
    async with open_till(await open_shop(world), stripe) as till:
        cashiers.install(till.cashier)
        yield till
        await cashiers.close()


async def test_an_invoice_leads_to_the_provider_and_back(till: Till, world: World) -> None:
    invoice = await till.shop.invoice(line("100"))
    owner, _ = await sign_in(world, till.shop.customer)
    owner.at = f"/portal/invoices/{invoice.id}"

    seen, _ = await owner.call(InvoiceState, "load")
    assert (seen.may_pay, seen.takes_play_money) == (True, True)
    assert seen.ways == [{"id": till.account.id, "label": "Cards"}]
    waiting = await till.pay(invoice)
    _, answer = await owner.call(InvoiceState, "go_on", {"id": waiting.id})
    assert waiting.action is not None
    assert sent_to(answer) == waiting.action["url"]
    pay_on_page(waiting)
    owner.at = f"/portal/payments/{waiting.id}"
    seen, _ = await owner.call(PaymentState, "load")

    assert (seen.payment["state"], seen.payment["amount"], seen.payment["number"]) == (
        "succeeded", "119", invoice.number,
    )  # fmt: skip
    owner.at = f"/portal/invoices/{invoice.id}"
    _, answer = await owner.call(InvoiceState, "go_on", {"id": waiting.id})
    assert sent_to(answer) == f"/portal/payments/{waiting.id}"
    owner.at = f"/portal/invoices/{invoice.id}"
    seen, _ = await owner.call(InvoiceState, "load")
    assert (seen.may_pay, seen.ways) == (False, [])


async def test_payments_are_seen_by_who_handles_money_and_by_staff(till: Till, world: World) -> None:
    waiting = await till.pay(await till.shop.invoice(line("100")))
    billing, _ = await sign_in(world, till.shop.customer, Role.BILLING)
    billing.at = "/portal/payments?state=requires_action"
    seen, _ = await billing.call(PaymentsState, "load")
    assert [(row["id"], row["amount"], row["account"]) for row in seen.rows] == [(waiting.id, "119", "Cards")]
    staff, _ = await sign_in(world, await world.organization(OrganizationKind.OPERATOR), Role.SUPPORT)
    staff.at = "/governance/payments"
    seen, _ = await staff.call(StaffPaymentsState, "load")
    assert [row["id"] for row in seen.rows] == [waiting.id]

    stranger, _ = await sign_in(world, await world.organization())
    stranger.at = f"/portal/payments/{waiting.id}"
    seen, _ = await stranger.call(PaymentState, "load")
    assert (seen.status, seen.payment) == ("missing", {})
    viewer, _ = await sign_in(world, till.shop.customer, Role.VIEWER)
    viewer.at = stranger.at
    seen, _ = await viewer.call(PaymentState, "load")
    assert seen.status == "forbidden"


async def test_a_provider_that_is_away_leaves_the_page_as_it_was(till: Till, world: World) -> None:
    waiting = await till.pay(await till.shop.invoice(line("100")))
    owner, _ = await sign_in(world, till.shop.customer)
    owner.at = f"/portal/payments/{waiting.id}"
    till.stripe.act("fault", kind="limited", method="GET")

    seen, _ = await owner.call(PaymentState, "load")

    assert (seen.status, seen.payment["state"]) == ("ready", "requires_action")
    assert seen.payment["action_url"]


async def test_a_payment_is_given_back_from_its_page_and_the_customer_sees_it(
    till: Till, world: World
) -> None:
    waiting = await till.pay(await till.shop.invoice(line("60"), line("40")))
    pay_on_page(waiting)
    await till.look(waiting)
    operators = await world.organization(OrganizationKind.OPERATOR)
    asker, person = await sign_in(world, operators, Role.OPERATOR)
    asker.at = f"/governance/payments/{waiting.id}"
    seen, _ = await asker.call(StaffPaymentState, "load")
    assert (seen.preview["amount"], seen.preview["waits"], len(seen.lines)) == ("119.00\u00a0EUR", False, 2)
    part = f"by_line.{seen.lines[0]['id']}"
    seen, _ = await asker.call(StaffPaymentState, "weigh", {part: "11.9", "amount": "", "to": "source"})
    assert (seen.preview["amount"], seen.preview["tax"], seen.objection) == (
        "11.90\u00a0EUR",
        "1.90\u00a0EUR",
        "",
    )
    for wrong in ({part: "9999"}, {part: "0.001"}, {"amount": "a lot"}, {"amount": "1", part: "1"}):
        seen, _ = await asker.call(StaffPaymentState, "weigh", wrong)
        assert (seen.preview, seen.objection != "", seen.can_give) == ({}, True, True), wrong

    async with till.shop.work() as uow:
        wanted = refunds.Wanted(waiting.id, "key", "Agreed", amount=1_900)
        asked = await refunds.start(uow, wanted, above={})
    asker.at = "/governance/refunds?state=awaiting_approval"
    seen, _ = await asker.call(StaffRefundsState, "load")
    assert [(row["id"], row["amount"]) for row in seen.rows] == [(asked.id, "19")]
    await asker.call(StaffRefundsState, "ask", asked.id, "approve")
    own = world.actor(till.shop.customer, Role.OPERATOR)
    async with unit_of_work(replace(own, id=person.id)) as uow:
        mine = await refunds.start(uow, refunds.Wanted(waiting.id, "mine", "Agreed", amount=100), above={})
    seen, _ = await asker.call(StaffRefundsState, "load")
    assert {row["id"]: row["is_mine"] for row in seen.rows} == {asked.id: False, mine.id: True}
    async with unit_of_work(own) as uow:
        await refunds.reject(uow, mine.id, reason="Not agreed")
    owner, _ = await sign_in(world, till.shop.customer)
    owner.at = f"/portal/payments/{waiting.id}"
    seen, _ = await owner.call(PaymentState, "load")
    assert seen.refunds == []  # which waits for somebody of the house

    async with unit_of_work(world.actor(till.shop.customer, Role.OPERATOR)) as uow:
        await refunds.approve(uow, asked.id)
    await Refunding(till.cashier).send(asked.id, asked.organization_id)
    seen, _ = await owner.call(PaymentState, "load")
    assert [(row["amount"], row["state"], row["reason"]) for row in seen.refunds] == [
        ("19", "succeeded", "Agreed")
    ]
    assert seen.payment["refunded"] == "19"
    looking, _ = await sign_in(world, operators, Role.SUPPORT)
    looking.at = f"/governance/payments/{waiting.id}"
    seen, _ = await looking.call(StaffPaymentState, "load")
    assert (seen.status, seen.preview, [row["why"] for row in seen.rows]) == ("ready", {}, ["Not agreed", ""])
    _, answer = await looking.call(StaffPaymentState, "ask", asked.id, "approve")
    assert "staff.refunds.approve" in said(answer)


async def test_staff_keeps_accounts_with_providers_and_never_sees_a_secret(till: Till, world: World) -> None:
    staff, _ = await sign_in(world, await world.organization(OrganizationKind.OPERATOR), Role.OPERATOR)
    staff.at = "/governance/provider-accounts"

    seen, _ = await staff.call(ProviderAccountsState, "load")
    [row] = seen.rows
    assert (row["money"], row["status"], row["control"]) == ("test", "enabled", f"{till.stripe.url}/_control")
    assert row["address"].endswith(f"/api/v1/provider-accounts/{till.account.id}/events")
    assert till.stripe.key not in str(seen.dict())
    seen, _ = await staff.call(ProviderAccountsState, "choose", till.account.id, "edit")
    assert (seen.open_dialog, seen.kept) == ("edit-stripe", {"provider": "stripe", "is_test": True})
    seen, _ = await staff.call(ProviderAccountsState, "add", "paypal")
    assert (seen.open_dialog, seen.chosen) == ("add-paypal", {})
    well = await connections.check(till.cashier, till.account)
    assert (well.is_well, well.message) == (True, "Cards answers.")
    till.stripe.act("fault", kind="limited", method="GET")
    assert not (await connections.check(till.cashier, till.account)).is_well
    support, _ = await sign_in(world, await world.organization(OrganizationKind.OPERATOR), Role.SUPPORT)
    _, answer = await support.call(ProviderAccountsState, "add", "paypal")
    assert "staff.payments.write" in said(answer)


async def test_what_is_kept_is_offered_first_and_a_transfer_always(till: Till, world: World) -> None:
    first = await till.shop.invoice(line("100"))
    pay_on_page(waiting := await till.pay(first, keep_method=True))
    await till.look(waiting)
    second = await till.shop.invoice(line("50"))
    owner, _ = await sign_in(world, till.shop.customer)
    owner.at = f"/portal/invoices/{second.id}"

    seen, _ = await owner.call(InvoiceState, "load")
    (kept,) = seen.kept
    assert kept["label"].endswith("•••• 4242")
    assert seen.bank == {}  # the seller has said nothing of an account

    async with crossing(Reason.PAYMENTS) as uow:
        await uow.execute("update provider_account set enabled = false where id = :id", id=till.account.id)
    seen, _ = await owner.call(InvoiceState, "load")
    assert (seen.kept, seen.ways) == ([], [])
