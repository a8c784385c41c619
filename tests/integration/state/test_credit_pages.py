"""Credit notes and what is left of credits, for the customer and for staff."""

from __future__ import annotations

from models.money import Money
from models.types import OrganizationKind, Role
from services.wallets import wallets
from state.governance.credits import StaffCreditNotesState, StaffCreditsState
from state.portal.credits import CreditNotesState, CreditsState
from tests.integration.billing.shop import line, open_shop
from tests.integration.state.visitor import sign_in
from tests.world import World


async def test_what_was_taken_back_and_what_is_left_is_listed(world: World) -> None:
    shop = await open_shop(world)
    async with shop.work() as uow:
        await wallets.grant(uow, money=Money(11_900, "EUR"), key="ahead")
    paid = await shop.invoice(line("100"))
    note = await shop.credit(paid, 5_950)
    used = await shop.invoice(line("10"))
    owner, _ = await sign_in(world, shop.customer)
    stranger, _ = await sign_in(world, await world.organization())
    staff, _ = await sign_in(world, await world.organization(OrganizationKind.OPERATOR), Role.SUPPORT)

    for visitor, states, console in (
        (owner, (CreditNotesState, CreditsState), "/portal"),
        (staff, (StaffCreditNotesState, StaffCreditsState), "/governance"),
    ):
        visitor.at = f"{console}/credit-notes?number={note.number}"
        seen, _ = await visitor.call(states[0], "load")
        (row,) = seen.rows
        assert (row["number"], row["invoice"], row["total"], row["offset"]) == (
            note.number, paid.number, "59.5", "0",
        )  # fmt: skip
        assert row["href"] == f"{console}/invoices/{paid.id}"
        visitor.at = f"{console}/credits?left_minor[gt]=0"
        seen, _ = await visitor.call(states[1], "load")
        (row,) = seen.rows
        assert (row["source"], row["number"], row["minor"], row["left"]) == (
            "credit_note", note.number, "59.5", "47.6",
        )  # fmt: skip
        assert row["href"] == f"{console}/invoices/{paid.id}"
        visitor.at = f"{console}/credits?left_minor[gt]=4760"
        seen, _ = await visitor.call(states[1], "load")
        assert seen.rows == []
    assert used.state == "paid"

    for state in (CreditNotesState, CreditsState):
        stranger.at = "/portal/credits"
        seen, _ = await stranger.call(state, "load")
        assert seen.rows == []
