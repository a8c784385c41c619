"""Invoices on pages: as their customer reads them and as staff works on them, and for nobody else."""

from __future__ import annotations

import pytest

from models.billing import InvoiceState
from models.types import OrganizationKind, Role
from services.billing import customer_credits, states
from state.governance import invoices as governance
from state.governance.credit_note import PART, CreditNoteState
from state.portal import invoices as portal
from tests.integration.billing.shop import YEAR, Shop, line, open_shop
from tests.integration.state.visitor import Visitor, sent_to, sign_in
from tests.world import World

PAGES = {
    "portal": (portal.InvoicesState, portal.InvoiceState),
    "governance": (governance.StaffInvoicesState, governance.StaffInvoiceState),
}


@pytest.fixture
async def shop(world: World) -> Shop:
    return await open_shop(world)


@pytest.mark.parametrize("console", PAGES)
async def test_an_invoice_is_followed_from_the_list_to_the_reason_of_a_line(
    world: World, shop: Shop, console: str
) -> None:
    made = await shop.invoice(line("10.005", "12", period=YEAR), *[line("1")] * 50)
    await shop.credit(made, 1_000)
    draft = await shop.draft(line("1"))
    home = await world.organization(OrganizationKind.OPERATOR) if console == "governance" else shop.customer
    visitor, _ = await sign_in(world, home, Role.SUPPORT if console == "governance" else Role.BILLING)
    listed, one = PAGES[console]

    visitor.at = f"/{console}/invoices"
    seen, _ = await visitor.call(listed, "load")
    ids = [row["id"] for row in seen.rows]
    assert sorted(ids) == sorted([made.id, draft.id] if console == "governance" else [made.id])
    row = seen.rows[ids.index(made.id)]
    assert (row["name"], row["state"], row["total"], row["due"]) == (
        made.number,
        "finalized",
        "202.37",
        "192.37",
    )

    visitor.at = row["href"]
    seen, _ = await visitor.call(one, "load")
    said = (seen.invoice["buyer"], seen.invoice["buyer_country"])
    assert said == ("Acme AG\nRing 2\n80331 München", "DE")
    assert [(tax["name"], tax["rate"], tax["tax"]) for tax in seen.taxes] == [("VAT", "19 %", "32.31")]
    assert [(note["total"], note["has_files"]) for note in seen.notes] == [("10", False)]
    assert (seen.invoice["paper"], seen.invoice["has_ubl"]) == ("waiting", True)
    assert (len(seen.lines), seen.next_after, seen.is_first) == (50, "50", True)
    seen, _ = await visitor.call(one, "explain", seen.lines[0]["id"])
    assert seen.explained["agrees"]
    assert [(step["formula"], step["comes_to"]) for step in seen.steps] == [
        ("12 × 10.005", "= 120.06"),
        ("120.06 × 0.19 = 22.8114 → 22.81", ""),
    ]
    seen, _ = await visitor.call(one, "close", False)
    assert (seen.explained, seen.steps) == ({}, [])
    _, answer = await visitor.call(one, "next_page")
    visitor.at = sent_to(answer)
    seen, _ = await visitor.call(one, "load")
    assert (len(seen.lines), seen.next_after, seen.is_first) == (1, "", False)


async def test_one_that_is_paid_while_its_page_is_read_is_shown(
    world: World, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await shop.invoice(line("1"))
    visitor, _ = await sign_in(world, shop.customer)
    visitor.at = f"/portal/invoices/{made.id}"

    async def paid_meanwhile(*_: object) -> None:
        raise states.refused(InvoiceState.PAID, "cannot be paid")

    monkeypatch.setattr(customer_credits, "wallet_would_pay", paid_meanwhile)
    seen, _ = await visitor.call(portal.InvoiceState, "load")

    assert (seen.status, seen.invoice["id"], seen.wallet) == ("ready", made.id, {})


async def test_others_find_nothing_or_may_not_look(world: World, shop: Shop) -> None:
    made, draft = await shop.invoice(line("1")), await shop.draft(line("1"))
    owner, _ = await sign_in(world, shop.customer)
    viewer, _ = await sign_in(world, shop.customer, Role.VIEWER)
    stranger, _ = await sign_in(world, await world.organization())
    for visitor, row in ((stranger, made), (owner, draft)):
        visitor.at = f"/portal/invoices/{row.id}"
        seen, _ = await visitor.call(portal.InvoiceState, "load")
        assert (seen.status, seen.invoice) == ("missing", {})
    for state in (*PAGES["portal"], *PAGES["governance"]):
        viewer.at = f"/portal/invoices/{made.id}"
        seen, _ = await viewer.call(state, "load")
        assert seen.status == "forbidden", state


async def operator(world: World) -> Visitor:
    house = await world.organization(OrganizationKind.OPERATOR)
    return (await sign_in(world, house, Role.OPERATOR))[0]


async def test_a_draft_shows_its_tax_before_it_is_finalised_and_keeps_its_number(
    world: World, shop: Shop
) -> None:
    draft = await shop.draft(line("100", inclusive=True), line("10"))
    staff = await operator(world)
    staff.at = f"/governance/invoices/{draft.id}"
    seen, _ = await staff.call(governance.StaffInvoiceState, "load")
    assert [(one["amount"], one["net"], one["tax"]) for one in seen.lines] == [
        ("100", "", ""),
        ("10", "", ""),
    ]
    assert (seen.invoice["number"], seen.foreseen["total"]) == ("", "111.9")  # no sums of its own yet
    listed, _ = await staff.call(governance.StaffInvoicesState, "load")
    assert [(one["total"], one["due"]) for one in listed.rows if one["id"] == draft.id] == [("", "")]
    staff.at = f"/governance/invoices/{draft.id}"

    seen, _ = await staff.call(governance.StaffInvoiceState, "ask", "finalize")

    assert (seen.asking, seen.refusal) == ("finalize", "")
    assert [(one["name"], one["rate"], one["tax"]) for one in seen.foreseen_taxes] == [
        ("VAT", "19 %", "17.87")
    ]
    assert (seen.foreseen["net"], seen.foreseen["total"], seen.foreseen["due"]) == ("94.03", "111.9", "111.9")
    assert (await shop.read(draft)).state == "draft"
    made = await shop.finalize(draft)
    assert (made.tax_minor, made.total_minor, made.sequence) == (17_87, 111_90, 1)
    await shop.new_customer(profile=None)
    nobodys = await shop.draft(line("1"))
    staff.at = f"/governance/invoices/{nobodys.id}"
    await staff.call(governance.StaffInvoiceState, "load")
    seen, _ = await staff.call(governance.StaffInvoiceState, "ask", "finalize")
    assert (seen.foreseen, "billing profile" in seen.refusal) == ({}, True)
    seen, _ = await staff.call(governance.NewInvoiceState, "ask", True)
    assert [one["label"] for one in seen.brands] == ["", "DE1 MX – Matrix GmbH"]
    seen, answer = await staff.call(governance.NewInvoiceState, "changed", {"id": nobodys.id})
    assert (sent_to(answer), seen.asking) == (f"/governance/invoices/{nobodys.id}", False)


async def test_what_happens_elsewhere_comes_to_the_page_but_not_under_a_question(
    world: World, shop: Shop
) -> None:
    draft = await shop.draft(line("10"))
    staff = await operator(world)
    staff.at = f"/governance/invoices/{draft.id}"
    await staff.call(governance.StaffInvoiceState, "load")
    await staff.call(governance.StaffInvoiceState, "ask", "finalize")
    made = await shop.finalize(draft)

    seen, _ = await staff.call(governance.StaffInvoiceState, "follow")
    assert (seen.asking, seen.invoice["number"]) == ("finalize", "")
    await staff.call(governance.StaffInvoiceState, "dismiss", False)
    seen, _ = await staff.call(governance.StaffInvoiceState, "follow")

    assert (seen.invoice["number"], seen.invoice["paper"], seen.foreseen) == (made.number, "waiting", {})


async def test_a_credit_note_is_seen_line_by_line_before_it_is_issued(world: World, shop: Shop) -> None:
    made = await shop.invoice(line("100"), line("10"))
    first, second = await shop.lines(made)
    staff = await operator(world)
    staff.at = f"/governance/invoices/{made.id}/credit"

    seen, _ = await staff.call(CreditNoteState, "load")

    assert [(one["id"], one["left_said"]) for one in seen.lines] == [
        (first.id, "119.00\u00a0EUR"),
        (second.id, "11.90\u00a0EUR"),
    ]
    assert (seen.preview["total"], seen.preview["offset"], seen.asked) == ("130.9", "130.9", {})
    await staff.call(CreditNoteState, "choose", "lines")
    part, all_of = PART + first.id, PART + second.id
    seen, _ = await staff.call(CreditNoteState, "weigh", {part: "11.9", all_of: "", "way": "lines"})
    assert (seen.asked, seen.preview["net"], seen.preview["tax"]) == (
        {"by_line": {first.id: "11.9"}}, "10", "1.9",
    )  # fmt: skip
    for wrong in ({part: "119.01"}, {part: "0"}, {part: "1.001"}, {part: "1e9"}, {PART + "invl_x": "1"}):
        seen, _ = await staff.call(CreditNoteState, "weigh", wrong)
        assert (seen.preview, seen.refusal != "") == ({}, True), wrong
    await staff.call(CreditNoteState, "choose", "amount")
    seen, _ = await staff.call(CreditNoteState, "weigh", {"amount": "13.09"})
    assert sorted(one["tax"] for one in seen.taken) == ["0.19", "1.9"]
    assert (await shop.read(made)).credited_minor == 0
    await shop.credit(made)
    seen, _ = await staff.call(CreditNoteState, "load")
    assert (seen.status, seen.lines, seen.refusal != "") == ("ready", [], True)
    support, _ = await sign_in(world, await world.organization(OrganizationKind.OPERATOR), Role.SUPPORT)
    support.at = staff.at
    assert (await support.call(CreditNoteState, "load"))[0].status == "forbidden"
