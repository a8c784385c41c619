"""All books: what they add up to, their journals, and the statement of any account."""

from __future__ import annotations

from typing import Any, ClassVar

import reflex as rx

from services.core.listing import Listing
from services.core.permissions import Capability
from services.ledger import queries
from state import ledger_view
from state.base import PageState, page_event
from state.ledger_view import Place
from state.listed import ListedState
from state.statements import StatementOfState

PLACE = Place("/governance/ledger")


class StaffLedgerState(ListedState, rx.State):
    """One page of journals, and the trial balance of the book and the time that they are filtered by."""

    _listing: ClassVar[Listing[Any]] = queries.STAFF_JOURNALS
    _file_url: ClassVar[str] = "/api/v1/staff/ledger/journals"
    _filter_keys: ClassVar[tuple[str, ...]] = ("organization_id", *ledger_view.JOURNAL_FILTERS)

    balance: list[dict[str, Any]] = []

    @page_event(Capability.STAFF_LEDGER_READ, reads=True)
    async def load(self) -> None:
        query = self._asked()
        async with self._staff_work() as uow:
            found = await self._read(uow, queries.STAFF_JOURNALS)
            names = await ledger_view.names_of_causes(uow, (row.cause_id for row in found))
            balance = await queries.staff_trial_balance(
                uow,
                before=ledger_view.asked_for(query, ledger_view.UNTIL),
                organization_id=ledger_view.asked_for(query, "organization_id"),
            )
        self.rows = [ledger_view.journal_shown(row, PLACE, names) for row in found]
        self.balance = ledger_view.balance_shown(balance, PLACE)


class StaffJournalState(PageState, rx.State):
    """One journal of any book."""

    journal: dict[str, Any] = {}
    lines: list[dict[str, Any]] = []

    @page_event(Capability.STAFF_LEDGER_READ, reads=True)
    async def load(self) -> None:
        self.journal, self.lines = {}, []
        journal_id = self._address_id
        async with self._staff_work() as uow:
            found = await queries.staff_journal(uow, journal_id)
            names = await ledger_view.names_of_causes(uow, [found.cause_id])
        self.journal = ledger_view.journal_shown(found, PLACE, names)
        self.lines = ledger_view.lines_shown(found, PLACE)


class StaffLedgerAccountsState(ListedState, rx.State):
    """One page of the accounts of all books."""

    _listing: ClassVar[Listing[Any]] = queries.STAFF_ACCOUNTS
    _file_url: ClassVar[str] = "/api/v1/staff/ledger/accounts"
    _filter_keys: ClassVar[tuple[str, ...]] = ("organization_id", *ledger_view.ACCOUNT_FILTERS)

    @page_event(Capability.STAFF_LEDGER_READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, queries.STAFF_ACCOUNTS)
        self.rows = [ledger_view.account_shown(row, PLACE) for row in found]


class StaffStatementState(StatementOfState, rx.State):
    """One page of what moved on an account."""

    @page_event(Capability.STAFF_LEDGER_READ, reads=True)
    async def load(self) -> None:
        asked = self._asked_time()
        async with self._staff_work() as uow:
            await self._show(uow, await queries.staff_statement(uow, self._address_id, **asked), PLACE)
