"""The organisation's invoices: the list, and one as a document with the reasons of its lines."""

from __future__ import annotations

from typing import Any, ClassVar

import reflex as rx

from services.billing import queries
from services.core.listing import Listing
from services.core.permissions import Capability
from state import invoices_view
from state.base import page_event
from state.invoice_on_screen import InvoiceOnScreen
from state.listed import ListedState

HOME = "/portal/invoices"


class InvoicesState(ListedState, rx.State):
    """One page of the organisation's invoices."""

    _listing: ClassVar[Listing[Any]] = queries.INVOICES
    _file_url: ClassVar[str] = "/api/v1/invoices"
    _filter_keys: ClassVar[tuple[str, ...]] = invoices_view.FILTERS

    @page_event(Capability.INVOICES_READ, reads=True)
    async def load(self) -> None:
        async with self._unit_of_work() as uow:
            found = await self._read(uow, queries.INVOICES)
        self.rows = [invoices_view.row_shown(row, HOME) for row in found]


class InvoiceState(InvoiceOnScreen, rx.State):
    """One invoice of the organisation."""

    @page_event(Capability.INVOICES_READ, reads=True)
    async def load(self) -> None:
        await self._look()

    @page_event(Capability.INVOICES_READ)
    async def explain(self, line_id: str) -> None:
        await self._explain(line_id)
