"""Disputes on pages: contested from an invoice, answered by staff, and what banks take back."""

from __future__ import annotations

from datetime import timedelta

from models.disputes import Dispute
from models.money import Money
from models.payments import ProviderAccount
from models.types import OrganizationKind, Role
from services.core.crossing import Reason, crossing
from services.core.ids import new_id
from services.disputes import contests
from services.disputes.contests import Wanted
from services.payments import transfers
from state.governance.disputes import StaffContestsState, StaffDisputesState, StaffDisputeState
from state.governance.invoices import StaffInvoiceState
from state.portal.invoices import InvoiceState
from tests.integration.billing.shop import Shop, line, open_shop
from tests.integration.state.visitor import sign_in
from tests.world import World


async def test_an_invoice_is_contested_and_staff_answers(world: World) -> None:
    shop = await open_shop(world)
    invoice = await shop.invoice(line("100"))
    owner, _ = await sign_in(world, shop.customer)
    owner.at = f"/portal/invoices/{invoice.id}"
    seen, _ = await owner.call(InvoiceState, "load")
    assert (seen.may_contest, [one["label"] for one in seen.contestable], seen.contests) == (
        True, ["Consulting \u00b7 119 EUR"], [],
    )  # fmt: skip
    async with shop.work() as uow:
        theirs = await contests.open_contest(uow, Wanted(invoice.id, "Not ordered"))
    seen, _ = await owner.call(InvoiceState, "load")
    assert [(row["state"], row["amount"]) for row in seen.contests] == [("open", "119")]

    staff, _ = await sign_in(world, await world.organization(OrganizationKind.OPERATOR), Role.OPERATOR)
    async with shop.work() as uow:
        later = await contests.open_contest(
            uow, Wanted((await shop.invoice(line("5"))).id, "Too dear"), answer_days=20
        )
        answered = await contests.open_contest(
            uow, Wanted((await shop.invoice(line("7"))).id, "Too much"), answer_days=2
        )
        await contests.refuse(uow, answered.id, answer="As ordered")
    staff.at = f"/governance/invoices/{invoice.id}"
    one, _ = await staff.call(StaffInvoiceState, "load")
    assert [row["id"] for row in one.contests] == [theirs.id]
    staff.at = "/governance/contests"  # what waits for an answer, the soonest first
    listed, _ = await staff.call(StaffContestsState, "load")
    assert [row["id"] for row in listed.rows] == [theirs.id, later.id]
    staff.at = "/governance/contests?state[in]=open,credited,refused,withdrawn"
    listed, _ = await staff.call(StaffContestsState, "load")
    assert [row["id"] for row in listed.rows] == [answered.id, theirs.id, later.id]
    _, gone = await staff.call(StaffContestsState, "order", "due_at")
    assert "sort=-due_at" in str(gone)
    staff.at = "/governance/contests?state=open&sort=-created_at"
    listed, _ = await staff.call(StaffContestsState, "load")
    assert listed.sort == "-created_at"
    staff.at = "/governance/contests?state=open&sort=-due_at"
    listed, _ = await staff.call(StaffContestsState, "load")
    assert [row["id"] for row in listed.rows] == [later.id, theirs.id]
    listed, _ = await staff.call(StaffContestsState, "load")
    asked, _ = await staff.call(StaffContestsState, "ask", theirs.id, "credit")
    assert (asked.open_dialog, asked.chosen["amount"]) == ("credit", "119")

    viewer, _ = await sign_in(world, shop.customer, Role.VIEWER)
    viewer.at = owner.at
    seen, _ = await viewer.call(InvoiceState, "load")
    assert (seen.status, seen.contests) == ("forbidden", [])


async def test_staff_sees_what_banks_take_back(world: World) -> None:
    shop = await open_shop(world)
    dispute_id = await _disputed(shop)
    staff, _ = await sign_in(world, await world.organization(OrganizationKind.OPERATOR), Role.SUPPORT)
    staff.at = "/governance/disputes"
    listed, _ = await staff.call(StaffDisputesState, "load")
    assert [(row["id"], row["asks"], row["amount"]) for row in listed.rows] == [(dispute_id, True, "119")]
    staff.at = f"/governance/disputes/{dispute_id}"
    one, _ = await staff.call(StaffDisputeState, "load")
    assert (one.dispute["state"], one.takes_answers, one.said) == ("needs_answer", True, [])
    operator, _ = await sign_in(world, await world.organization(OrganizationKind.OPERATOR), Role.OPERATOR)
    operator.at = staff.at
    one, _ = await operator.call(StaffDisputeState, "load")
    assert {"product_description", "customer_name"} <= {part["field"] for part in one.said}

    assert (one.takes_files, one.fields[0], one.about) == (
        True, {"id": "receipt", "label": "Receipt"}, "receipt",
    )  # fmt: skip
    said, _ = await operator.call(StaffDisputeState, "say", "refund_policy")
    assert said.about == "refund_policy"
    said, _ = await operator.call(StaffDisputeState, "say", "nonsense")
    assert said.about == "refund_policy"

    for strange in (new_id("dsp"), "dsp_x", "x"):
        staff.at = f"/governance/disputes/{strange}"
        one, _ = await staff.call(StaffDisputeState, "load")
        assert (one.status, one.dispute) == ("missing", {})
    owner, _ = await sign_in(world, shop.customer)
    owner.at = f"/governance/disputes/{dispute_id}"
    one, _ = await owner.call(StaffDisputeState, "load")
    assert (one.status, one.dispute) == ("forbidden", {})


async def _disputed(shop: Shop) -> str:
    invoice = await shop.invoice(line("100"))
    async with shop.work() as uow:
        payment = await transfers.record(
            uow, money=Money(119_00, "EUR"), key="t", reference="", invoice_id=invoice.id
        )
    async with crossing(Reason.PAYMENTS) as uow:
        account = ProviderAccount(
            id=new_id("pacc"), provider="stripe", name="Cards", is_test=True, settings={}, secrets=b"s",
            created_at=uow.wall_now,
        )  # fmt: skip
        uow.add(account)
        await uow.session.flush()
        dispute = Dispute(
            id=new_id("dsp"), organization_id=shop.customer.id, payment_id=payment.id,
            provider_account_id=account.id, provider_ref="du_1", state="needs_answer", reason="fraudulent",
            currency="EUR", minor=119_00, fee_currency="EUR", opened_at=uow.wall_now,
            due_at=uow.wall_now + timedelta(days=7), created_at=uow.wall_now,
        )  # fmt: skip
        uow.add(dispute)
        return dispute.id
