"""The ledger on pages: what the book adds up to, what moved it, and for whom it is there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from models.identity import Organization
from models.ledger import JournalKind, Purpose
from models.money import Money
from models.types import OrganizationKind, Role
from services.core.actor import system
from services.core.work import unit_of_work
from services.ledger import service
from services.ledger.rules import Draft, credit, debit
from state import ledger_view
from state.governance import ledger as governance
from state.portal import ledger as portal
from tests.integration.state.visitor import sent_to, sign_in
from tests.world import World

DAY = timedelta(days=1)
MARCH = datetime(2026, 3, 1, 12, tzinfo=UTC)
PAGES = {
    "portal": (portal.LedgerState, portal.JournalState, portal.LedgerAccountsState, portal.StatementState),
    "governance": (
        governance.StaffLedgerState,
        governance.StaffJournalState,
        governance.StaffLedgerAccountsState,
        governance.StaffStatementState,
    ),
}


async def invoiced(organization: Organization, *days: int) -> list[str]:
    """12.50 dollars and 1,000 yen on each of these days of March."""
    ids: list[str] = []
    for day in days:
        moneys = (Money(1_250, "USD"), Money(1_000, "JPY"))
        draft = Draft(
            organization.id, f"invoice:{day}", JournalKind.INVOICE, f"inv_{day}",
            tuple(e for m in moneys for e in (debit(Purpose.RECEIVABLE, m), credit(Purpose.REVENUE, m))),
            at=MARCH + (day - 1) * DAY,
        )  # fmt: skip
        async with unit_of_work(system(organization.id)) as uow:
            ids.append((await service.post(uow, draft)).id)
    return ids


@pytest.mark.parametrize("console", PAGES)
async def test_a_book_is_followed_from_its_balance_to_an_entry(
    world: World, console: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_view, "LINES_PER_PAGE", 2)
    acme, other = await world.organization(name="Acme"), await world.organization(name="Other")
    ids = await invoiced(acme, 1, 2, 3)
    await invoiced(other, 9)
    async with unit_of_work(system(acme.id)) as uow:
        undone = await service.reverse(uow, ids[2], at=MARCH + 3 * DAY)
    staff = await world.organization(OrganizationKind.OPERATOR) if console == "governance" else acme
    visitor, _ = await sign_in(world, staff, Role.SUPPORT if console == "governance" else Role.BILLING)
    book, journal, accounts, statement = PAGES[console]
    home, narrowed = f"/{console}/ledger", f"&organization_id={acme.id}" if console == "governance" else ""

    visitor.at = f"{home}?happened_at%5Blt%5D=2026-03-03T00:00:00Z{narrowed}"
    seen, _ = await visitor.call(book, "load")
    assert [row["id"] for row in seen.rows] == [ids[1], ids[0]]
    assert seen.rows[0]["moved"] == "1,000\u00a0JPY, 12.50\u00a0USD"
    assert [(r["purpose"], r["currency"], r["debit"], r["credit"]) for r in seen.balance] == [
        ("receivable", "JPY", "2000", ""),
        ("revenue", "JPY", "", "2000"),
        ("total", "JPY", "2000", "2000"),
        ("receivable", "USD", "25", ""),
        ("revenue", "USD", "", "25"),
        ("total", "USD", "25", "25"),
    ]

    visitor.at = f"{home}/journals/{undone.id}"
    seen, _ = await visitor.call(journal, "load")
    assert (seen.journal["reverses"], seen.journal["reverses_href"]) == (ids[2], f"{home}/journals/{ids[2]}")
    assert [(line["purpose"], line["debit"], line["credit"]) for line in seen.lines][:2] == [
        ("receivable", "", "12.5"),
        ("revenue", "12.5", ""),
    ]

    visitor.at = f"{home}/accounts?purpose=receivable&currency=USD{narrowed}"
    seen, _ = await visitor.call(accounts, "load")
    (account,) = seen.rows
    assert account["balance_minor"] == "25"
    visitor.at = account["href"]
    seen, _ = await visitor.call(statement, "load")
    assert [line["balance"] for line in seen.rows] == ["25", "37.5"]
    assert (seen.account["closing"], seen.is_first) == ("25", True)
    cause = seen.rows[0]["cause_id"]  # no invoice that is there
    assert (seen.rows[0]["cause"], seen.rows[0]["cause_href"]) == (cause, f"/{console}/invoices/{cause}")
    _, answer = await visitor.call(statement, "next_page")
    visitor.at = sent_to(answer)
    seen, _ = await visitor.call(statement, "load")
    assert ([line["balance"] for line in seen.rows], seen.next_place, seen.is_first) == (
        ["25", "12.5"],
        "",
        False,
    )

    _, answer = await visitor.call(statement, "choose_days", {"from": "2026-03-02", "to": "2026-03-03"})
    assert sent_to(answer) == f"{account['href']}?from=2026-03-02&until=2026-03-03"
    visitor.at = sent_to(answer)
    seen, _ = await visitor.call(statement, "load")
    assert [line["balance"] for line in seen.rows] == ["37.5", "25"]
    assert (seen.account["opening"], seen.account["closing"], seen.from_day) == ("12.5", "37.5", "2026-03-02")
    visitor.at = f"{account['href']}?from=32.13.&until=2026-03-01&after=2026-03-03T00:00:00%2B00:00%209"
    seen, _ = await visitor.call(statement, "load")
    assert [(line["balance"]) for line in seen.rows] == ["12.5"]
    assert (seen.account["opening"], seen.account["closing"], seen.from_day) == ("0", "12.5", "")


async def test_staff_sees_all_books_together_and_others_their_own_or_nothing(world: World) -> None:
    acme, other = await world.organization(name="Acme"), await world.organization(name="Other")
    ids = await invoiced(acme, 1)
    await invoiced(other, 1)
    staff, _ = await sign_in(world, await world.organization(OrganizationKind.OPERATOR), Role.GOVERNANCE)
    stranger, _ = await sign_in(world, other)
    viewer, _ = await sign_in(world, acme, Role.VIEWER)

    staff.at = "/governance/ledger"
    seen, _ = await staff.call(governance.StaffLedgerState, "load")
    totals = {row["currency"]: row["debit"] for row in seen.balance if row["purpose"] == "total"}
    assert (totals, {row["organization"] for row in seen.rows}) == (
        {"JPY": "2000", "USD": "25"},
        {"Acme", "Other"},
    )
    # Two accounts are in one figure: it leads to the list of both.
    assert seen.balance[0]["href"] == "/governance/ledger/accounts?purpose=receivable&currency=JPY"

    stranger.at = f"/portal/ledger/journals/{ids[0]}"
    seen, _ = await stranger.call(portal.JournalState, "load")
    assert (seen.status, seen.journal, seen.lines) == ("missing", {}, [])
    stranger.at = "/portal/ledger/accounts/lacc_x?after=2026-03-01T00:00:00Z%20x"
    seen, _ = await stranger.call(portal.StatementState, "load")
    assert seen.status == "missing"
    for state in (*PAGES["portal"], *PAGES["governance"]):
        seen, _ = await viewer.call(state, "load")
        assert seen.status == "forbidden", state
