"""Invoices of all organisations, and one with what staff does to it."""

from __future__ import annotations

from typing import Any, ClassVar

import reflex as rx

from services.billing import queries
from services.core.listing import Listing
from services.core.permissions import Capability
from services.disputes import queries as dispute_queries
from state import addresses, disputes_view, invoices_view
from state.base import page_event
from state.invoice_on_screen import InvoiceOnScreen
from state.listed import ListedState

HOME = "/governance/invoices"


class StaffInvoicesState(ListedState, rx.State):
    """One page of all invoices, drafts too."""

    _listing: ClassVar[Listing[Any]] = queries.STAFF_INVOICES
    _file_url: ClassVar[str] = "/api/v1/staff/invoices"
    _filter_keys: ClassVar[tuple[str, ...]] = ("organization_id", *invoices_view.FILTERS)

    @page_event(Capability.STAFF_INVOICES_READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, queries.STAFF_INVOICES)
        self.rows = [invoices_view.row_shown(row, HOME) for row in found]

    @page_event(Capability.STAFF_INVOICES_WRITE)
    async def changed(self, answer: dict[str, Any]) -> Any:
        """A draft was begun through the API: go on with it."""
        return rx.redirect(addresses.own_path(f"{HOME}/{answer.get('id', '')}"))


class StaffInvoiceState(InvoiceOnScreen, rx.State):
    """One invoice of any organisation, and the act that is asked about."""

    _staff: ClassVar[bool] = True

    asking: str = ""
    removing: str = ""  # the line that is asked about
    contests: list[dict[str, Any]] = []  # what the customer says is wrong, for who sees payments

    @page_event(Capability.STAFF_INVOICES_READ, reads=True)
    async def load(self) -> None:
        self.asking = self.removing = ""
        self.contests = []
        await self._look()
        if self._actor.may(Capability.STAFF_PAYMENTS_READ):
            async with self._staff_work() as uow:
                found = await dispute_queries.staff_contests_of(uow, self.invoice["id"])
            self.contests = [disputes_view.contest_shown(row, HOME) for row in found]

    @page_event(Capability.STAFF_INVOICES_READ)
    async def explain(self, line_id: str) -> None:
        await self._explain(line_id)

    @page_event(Capability.STAFF_INVOICES_WRITE)
    async def ask(self, act: str) -> None:
        """Ask about an act before it is done."""
        self.asking = act

    @page_event(Capability.STAFF_INVOICES_WRITE)
    async def ask_remove(self, line_id: str) -> None:
        """Ask before a line is taken off."""
        self.removing = line_id

    @page_event(Capability.STAFF_INVOICES_READ)
    async def dismiss(self, is_open: bool) -> None:
        if not is_open:
            self.asking = self.removing = ""

    @page_event(Capability.STAFF_INVOICES_READ)
    async def changed(self, answer: dict[str, Any]) -> Any:
        """Something was done through the API."""
        self.asking = self.removing = ""
        return StaffInvoiceState.load
