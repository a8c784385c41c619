"""The organisation's invoices: the list, and one as a document with the reasons of its lines."""

from __future__ import annotations

from typing import Any, ClassVar

import reflex as rx

from services.billing import queries
from services.core.listing import Listing
from services.core.permissions import Capability
from state import addresses, invoices_view
from state.base import PageState, page_event
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


class InvoiceState(PageState, rx.State):
    """One invoice: a page of its lines, its tax and notes, and the line that is explained."""

    invoice: dict[str, Any] = {}
    lines: list[dict[str, Any]] = []
    taxes: list[dict[str, Any]] = []
    notes: list[dict[str, Any]] = []
    explained: dict[str, Any] = {}
    steps: list[dict[str, Any]] = []
    next_after: str = ""
    is_first: bool = True

    @page_event(Capability.INVOICES_READ, reads=True)
    async def load(self) -> None:
        self.invoice, self.lines, self.taxes, self.notes = {}, [], [], []
        self.explained, self.steps = {}, []
        after = invoices_view.after_of(self._query.get("after", ""))
        async with self._unit_of_work() as uow:
            found = await queries.invoice(uow, self._invoice_id())
            lines = await queries.lines(uow, found, after=after, limit=invoices_view.LINES_PER_PAGE + 1)
            notes = await queries.notes(uow, found, limit=invoices_view.NOTES_SHOWN_MAX)
            paper, made = await invoices_view.papers_shown(uow, found, notes)
        shown = lines[: invoices_view.LINES_PER_PAGE]
        self.invoice = invoices_view.invoice_shown(found) | paper
        self.taxes = invoices_view.taxes_shown(found)
        self.lines = [invoices_view.line_shown(line, found.currency) for line in shown]
        self.notes = [invoices_view.note_shown(note, made) for note in notes]
        self.next_after = str(shown[-1].position) if len(lines) > len(shown) else ""
        self.is_first = after == 0

    @page_event(Capability.INVOICES_READ)
    async def explain(self, line_id: str) -> None:
        """Work a line out again, and show how."""
        async with self._unit_of_work() as uow:
            found = await queries.invoice(uow, self._invoice_id())
            told = await queries.explain(uow, found, line_id)
        self.explained = invoices_view.explanation_shown(told)
        self.steps = invoices_view.steps_shown(told)

    @page_event(Capability.INVOICES_READ)
    async def close(self, is_open: bool) -> None:
        if not is_open:
            self.explained, self.steps = {}, []

    @page_event(Capability.INVOICES_READ)
    async def next_page(self) -> Any:
        return rx.redirect(addresses.with_query(self.router.url.path, {"after": self.next_after}))

    @page_event(Capability.INVOICES_READ)
    async def first_page(self) -> Any:
        return rx.redirect(self.router.url.path)

    def _invoice_id(self) -> str:
        return self.router.url.path.rstrip("/").rsplit("/", 1)[-1]
