"""One invoice on its page: some of its lines, its tax and notes, and the line that is explained."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar

import reflex as rx

from services.billing import due_dates, queries
from services.core.work import UnitOfWork
from services.identity import queries as identity
from state import addresses, invoices_view
from state.base import SIGNED_IN, PageState, page_event
from state.format import instant_text


class InvoiceOnScreen(PageState, mixin=True):
    """The page class declares `load` and `explain` with the capability that they take, and calls `_look` and
    `_explain` of here. What is declared here touches nothing but what is on screen."""

    _staff: ClassVar[bool] = False  # whether it may be any organisation's

    invoice: dict[str, Any] = {}
    lines: list[dict[str, Any]] = []
    taxes: list[dict[str, Any]] = []
    notes: list[dict[str, Any]] = []
    uses: list[dict[str, Any]] = []
    explained: dict[str, Any] = {}
    steps: list[dict[str, Any]] = []
    next_after: str = ""
    read_at: str = ""
    is_first: bool = True

    @page_event(SIGNED_IN)
    async def close(self, is_open: bool) -> None:
        """Close the explanation."""
        if not is_open:
            self.explained, self.steps = {}, []

    @page_event(SIGNED_IN)
    async def next_page(self) -> Any:
        return rx.redirect(addresses.with_query(self.router.url.path, {"after": self.next_after}))

    @page_event(SIGNED_IN)
    async def first_page(self) -> Any:
        return rx.redirect(self.router.url.path)

    async def _look(self) -> None:
        """Read the invoice that the address names. Raises Forbidden and NotFound."""
        self.invoice, self.lines, self.taxes, self.notes, self.uses = {}, [], [], [], []
        self.explained, self.steps = {}, []
        after = invoices_view.after_of(self._query.get("after", ""))
        async with self._work() as uow:
            found = await queries.invoice(uow, self._address_id, staff=self._staff)
            self.read_at = instant_text(uow.wall_now)
            lines = await queries.lines(uow, found, after=after, limit=invoices_view.LINES_PER_PAGE + 1)
            days_overdue = await due_dates.days_overdue(uow, found)
            notes = await queries.notes(uow, found, limit=invoices_view.NOTES_SHOWN_MAX)
            uses = await queries.credit_uses(uow, found)
            name = await identity.organization_name(uow, found.organization_id) if self._staff else ""
            paper, made = await invoices_view.papers_shown(uow, found, notes, staff=self._staff)
        shown = lines[: invoices_view.LINES_PER_PAGE]
        self.invoice = invoices_view.invoice_shown(found, days_overdue) | paper | {"organization": name}
        self.taxes = invoices_view.taxes_shown(found)
        summed = found.number is not None
        self.lines = [invoices_view.line_shown(line, found.currency, summed=summed) for line in shown]
        self.notes = [invoices_view.note_shown(note, made) for note in notes]
        self.uses = [invoices_view.use_shown(one, found.currency) for one in uses]
        self.next_after = str(shown[-1].position) if len(lines) > len(shown) else ""
        self.is_first = after == 0

    async def _explain(self, line_id: str) -> None:
        """Work a line out again, and show how."""
        async with self._work() as uow:
            found = await queries.invoice(uow, self._address_id, staff=self._staff)
            told = await queries.explain(uow, found, line_id)
        self.explained = invoices_view.explanation_shown(told)
        self.steps = invoices_view.steps_shown(told)

    def _work(self) -> AbstractAsyncContextManager[UnitOfWork]:
        return self._staff_work() if self._staff else self._unit_of_work()
