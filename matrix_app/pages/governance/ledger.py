"""All books of the installation."""

from __future__ import annotations

from matrix_app.pages import ledger_book
from matrix_app.pages.registry import Console, Drawn, page
from services.core.permissions import Capability
from state.governance.ledger import (
    PLACE,
    StaffJournalState,
    StaffLedgerAccountsState,
    StaffLedgerState,
    StaffStatementState,
)


@page(
    "/governance/ledger",
    console=Console.GOVERNANCE,
    title="ledger.title",
    needs=Capability.STAFF_LEDGER_READ,
    on_load=StaffLedgerState.load,
)
def staff_ledger() -> Drawn:
    """The trial balance and the journals of all books."""
    return ledger_book.ledger(StaffLedgerState, PLACE, staff=True)


@page(
    "/governance/ledger/journals/[journal_id]",
    console=Console.GOVERNANCE,
    title="ledger.journal",
    needs=Capability.STAFF_LEDGER_READ,
    on_load=StaffJournalState.load,
)
def staff_journal() -> Drawn:
    """One journal."""
    return ledger_book.journal(StaffJournalState, PLACE, staff=True)


@page(
    "/governance/ledger/accounts",
    console=Console.GOVERNANCE,
    title="ledger.accounts",
    needs=Capability.STAFF_LEDGER_READ,
    on_load=StaffLedgerAccountsState.load,
)
def staff_ledger_accounts() -> Drawn:
    """Accounts with their balances."""
    return ledger_book.accounts(StaffLedgerAccountsState, PLACE, staff=True)


@page(
    "/governance/ledger/accounts/[ledger_account_id]",
    console=Console.GOVERNANCE,
    title="ledger.statement",
    needs=Capability.STAFF_LEDGER_READ,
    on_load=StaffStatementState.load,
)
def staff_statement() -> Drawn:
    """The statement of one account."""
    return ledger_book.statement(StaffStatementState, PLACE, staff=True)
