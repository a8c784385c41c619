"""Invoices on pages: as their customer reads them and as staff works on them, and for nobody else."""

from __future__ import annotations

import pytest

from models.types import OrganizationKind, Role
from state.governance import invoices as governance
from state.portal import invoices as portal
from tests.integration.billing.shop import YEAR, Shop, line, open_shop
from tests.integration.state.visitor import sent_to, sign_in
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
    assert seen.invoice["buyer"] == "Acme AG\nRing 2\n80331 München\nDE"
    assert [(tax["name"], tax["rate"], tax["tax"]) for tax in seen.taxes] == [("VAT", "19 %", "32.31")]
    assert [(note["total"], note["has_files"]) for note in seen.notes] == [("10", False)]
    assert (seen.invoice["paper"], seen.invoice["has_ubl"]) == ("waiting", True)
    assert (len(seen.lines), seen.next_after, seen.is_first) == (50, "50", True)
    seen, _ = await visitor.call(one, "explain", seen.lines[0]["id"])
    assert seen.explained["agrees"]
    assert [step["formula"] for step in seen.steps] == [
        "12 × 10.005 = 120.06",
        "120.06 × 0.19 = 22.8114 → 22.81",
    ]
    seen, _ = await visitor.call(one, "close", False)
    assert (seen.explained, seen.steps) == ({}, [])
    _, answer = await visitor.call(one, "next_page")
    visitor.at = sent_to(answer)
    seen, _ = await visitor.call(one, "load")
    assert (len(seen.lines), seen.next_after, seen.is_first) == (1, "", False)


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
