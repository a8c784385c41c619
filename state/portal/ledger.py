"""The organisation's own book: what it adds up to, its journals, and the statement of each account."""

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

PLACE = Place("/portal/ledger")


class LedgerState(ListedState, rx.State):
    """One page of journals, and the trial balance of the time that they are filtered by."""

    _listing: ClassVar[Listing[Any]] = queries.JOURNALS
    _file_url: ClassVar[str] = "/api/v1/ledger/journals"
    _filter_keys: ClassVar[tuple[str, ...]] = ledger_view.JOURNAL_FILTERS

    balance: list[dict[str, Any]] = []

    @page_event(Capability.LEDGER_READ, reads=True)
    async def load(self) -> None:
        query = self._asked()
        async with self._unit_of_work() as uow:
            found = await self._read(uow, queries.JOURNALS)
            names = await ledger_view.names_of_causes(uow, (row.cause_id for row in found))
            balance = await queries.trial_balance(
                uow,
                before=ledger_view.asked_for(query, ledger_view.UNTIL),
            )
        self.rows = [ledger_view.journal_shown(row, PLACE, names) for row in found]
        self.balance = ledger_view.balance_shown(balance, PLACE)


class JournalState(PageState, rx.State):
    """One journal."""

    journal: dict[str, Any] = {}
    lines: list[dict[str, Any]] = []

    @page_event(Capability.LEDGER_READ, reads=True)
    async def load(self) -> None:
        self.journal, self.lines = {}, []
        journal_id = self._address_id
        async with self._unit_of_work() as uow:
            found = await queries.journal(uow, journal_id)
            names = await ledger_view.names_of_causes(uow, [found.cause_id])
        self.journal = ledger_view.journal_shown(found, PLACE, names)
        self.lines = ledger_view.lines_shown(found, PLACE)


class LedgerAccountsState(ListedState, rx.State):
    """One page of the accounts."""

    _listing: ClassVar[Listing[Any]] = queries.ACCOUNTS
    _file_url: ClassVar[str] = "/api/v1/ledger/accounts"
    _filter_keys: ClassVar[tuple[str, ...]] = ledger_view.ACCOUNT_FILTERS

    @page_event(Capability.LEDGER_READ, reads=True)
    async def load(self) -> None:
        async with self._unit_of_work() as uow:
            found = await self._read(uow, queries.ACCOUNTS)
        self.rows = [ledger_view.account_shown(row, PLACE) for row in found]


class StatementState(StatementOfState, rx.State):
    """One page of what moved on an account."""

    @page_event(Capability.LEDGER_READ, reads=True)
    async def load(self) -> None:
        asked = self._asked_time()
        async with self._unit_of_work() as uow:
            await self._show(uow, await queries.statement(uow, self._address_id, **asked), PLACE)
