"""Cases, payouts and bank statements on the pages of staff."""

from __future__ import annotations

from datetime import date
from typing import Any

from models.ledger import Purpose
from models.money import Money
from models.payment_cases import CaseKind
from models.payments import ProviderAccount
from models.reconciliation import BankLine, BankStatement, ProviderMovement, ProviderPayout
from models.types import OrganizationKind, Role
from services.core.crossing import Reason, crossing
from services.core.ids import new_id
from services.ledger.rules import credit, debit
from services.payments import cases
from services.reconciliation import differences
from state.governance.bank_statements import BankMappingState, BankStatementsState, BankStatementState
from state.governance.cases import PaymentCasesState, PaymentCaseState
from state.governance.payouts import PayoutsState, PayoutState
from tests.integration.state.visitor import sent_to, sign_in
from tests.world import LONG_AGO, World

PACC, PPO, BST, MVT, BLN = (new_id(prefix) for prefix in ("pacc", "ppo", "bst", "mvt", "bln"))


async def _plant(world: World) -> str:
    """A payout of one charge that is matched but for its fee, a line, and a case; returns the case's id."""
    at: dict[str, Any] = {"happened_at": LONG_AGO}
    async with crossing(Reason.PAYMENTS, on=world.database) as uow:
        uow.add(
            ProviderAccount(
                id=PACC, provider="stripe", name="Cards", is_test=True, settings={}, secrets=b"",
                created_at=LONG_AGO,
            )
        )  # fmt: skip
        await uow.session.flush()
        uow.add(
            ProviderPayout(
                id=PPO, provider_account_id=PACC, provider_ref="po_1", state="paid", currency="EUR",
                minor=9_700, traced=True, arrives_at=LONG_AGO, **at,
            )
        )  # fmt: skip
        uow.add(
            BankStatement(
                id=BST, name="march.xml", format="camt.053", sha256=b"s", lines=1, new_lines=1,
                imported_by="acc_x", imported_at=LONG_AGO,
            )
        )  # fmt: skip
        await uow.session.flush()
        uow.add(
            ProviderMovement(
                id=MVT, provider_account_id=PACC, provider_ref="txn_1", kind="charge",
                category="charge", currency="EUR", gross_minor=10_000, fee_minor=300, net_minor=9_700,
                payout_id=PPO, match="matched", journal_id="jrnl_x", available_at=LONG_AGO,
                stored_at=LONG_AGO, **at,
            )
        )  # fmt: skip
        uow.add(
            BankLine(
                id=BLN, statement_id=BST, provider_account_id=PACC, bank_ref="R1", booked_on=date(2026, 3, 1),
                currency="EUR", minor=9_700, remittance="PAYOUT",
            )
        )  # fmt: skip
        money = Money(300, "EUR")
        await cases.open_case(
            uow, CaseKind.DIFFERENCE, f"{MVT}.fee", cause="fee_unexpected", organization_id=None, amount=-money,
            detail="charge txn_1",
            proposal=differences.book(PACC, debit(Purpose.FEES, money), credit(Purpose.CLEARING, money)),
        )  # fmt: skip
        return (await uow.execute("select id from payment_case")).scalar_one()


async def test_staff_sees_a_difference_from_the_payout_to_the_case(world: World) -> None:
    case_id = await _plant(world)
    staff, _ = await sign_in(world, await world.organization(OrganizationKind.OPERATOR), Role.OPERATOR)

    staff.at = "/governance/payouts"
    seen, _ = await staff.call(PayoutsState, "load")
    (row,) = seen.rows
    assert (row["amount"], row["charges"], row["fees"], row["difference"]) == ("97", "100", "3", "-3")
    assert [(one["provider"], one["books"], one["explained"]) for one in seen.clearing] == [("97", "0", "-3")]
    await staff.call(PayoutsState, "read_now", PACC)
    staff.at = row["href"]
    seen, _ = await staff.call(PayoutState, "load")
    assert [(one["gross"], one["fee"], one["match"]) for one in seen.rows] == [("100", "3", "matched")]

    staff.at = "/governance/cases?state=open"
    seen, _ = await staff.call(PaymentCasesState, "load")
    assert [(one["cause"], one["amount"]) for one in seen.rows] == [("fee_unexpected", "-3")]
    staff.at = f"/governance/cases/{case_id}"
    seen, _ = await staff.call(PaymentCaseState, "load")
    assert [(one["purpose"], one["debit"], one["credit"]) for one in seen.entries] == [
        ("fees", "3", ""), ("clearing", "", "3"),
    ]  # fmt: skip
    staff.at = "/governance/cases/pcas_nobody"
    seen, _ = await staff.call(PaymentCaseState, "load")
    assert (seen.status, seen.case, seen.entries) == ("missing", {}, [])


async def test_staff_sees_what_became_of_a_statement_and_how_tables_are_written(world: World) -> None:
    await _plant(world)
    staff, _ = await sign_in(world, await world.organization(OrganizationKind.OPERATOR), Role.OPERATOR)
    staff.at = "/governance/bank-statements"
    seen, _ = await staff.call(BankStatementsState, "load")
    assert [(one["name"], one["lines"], one["open"]) for one in seen.rows] == [("march.xml", 1, 1)]
    _, answer = await staff.call(BankStatementsState, "imported", {"id": BST})
    assert sent_to(answer) == f"/governance/bank-statements/{BST}"

    seen, _ = await staff.call(BankMappingState, "say", {"account": "DE 02", "decimal": ",", "other": "x"})
    assert seen.said == "?account=DE+02&decimal=%2C"
    looked = {"lines": [{"amount": "1.00", "currency": "EUR"}, "odd"], "errors": ["Line 3: x."], "count": 1}
    seen, _ = await staff.call(BankMappingState, "previewed", looked)
    assert (seen.count, len(seen.preview), seen.errors) == (1, 1, ["Line 3: x."])

    staff.at = f"/governance/bank-statements/{BST}"
    seen, _ = await staff.call(BankStatementState, "load")
    assert [(one["amount"], one["remittance"], one["match"]) for one in seen.rows] == [
        ("97", "PAYOUT", "waiting")
    ]
