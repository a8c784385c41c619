"""The organisation's own book."""

from __future__ import annotations

from matrix_app.pages import ledger_book
from matrix_app.pages.registry import Console, Drawn, page
from services.core.permissions import Capability
from state.portal.ledger import (
    PLACE,
    JournalState,
    LedgerAccountsState,
    LedgerState,
    StatementState,
)


@page(
    "/portal/ledger",
    console=Console.PORTAL,
    title="ledger.title",
    needs=Capability.LEDGER_READ,
    on_load=LedgerState.load,
)
def ledger() -> Drawn:
    """The trial balance and the journals of the organisation."""
    return ledger_book.ledger(LedgerState, PLACE, staff=False)


@page(
    "/portal/ledger/journals/[journal_id]",
    console=Console.PORTAL,
    title="ledger.journal",
    needs=Capability.LEDGER_READ,
    on_load=JournalState.load,
)
def journal() -> Drawn:
    """One journal."""
    return ledger_book.journal(JournalState, PLACE, staff=False)


@page(
    "/portal/ledger/accounts",
    console=Console.PORTAL,
    title="ledger.accounts",
    needs=Capability.LEDGER_READ,
    on_load=LedgerAccountsState.load,
)
def ledger_accounts() -> Drawn:
    """Accounts with their balances."""
    return ledger_book.accounts(LedgerAccountsState, PLACE, staff=False)


@page(
    "/portal/ledger/accounts/[ledger_account_id]",
    console=Console.PORTAL,
    title="ledger.statement",
    needs=Capability.LEDGER_READ,
    on_load=StatementState.load,
)
def statement() -> Drawn:
    """The statement of one account."""
    return ledger_book.statement(StatementState, PLACE, staff=False)
