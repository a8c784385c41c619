"""Invoices of all organisations, and one with what staff does to it."""

from __future__ import annotations

from typing import Any, ClassVar

import reflex as rx

from models.billing import InvoiceState
from services.billing import finalizing, queries
from services.core.errors import Conflict, Invalid
from services.core.listing import Listing
from services.core.permissions import Capability
from services.disputes import queries as dispute_queries
from state import addresses, disputes_view, invoices_view
from state.base import PageState, page_event
from state.governance.brands import brands_to_choose
from state.invoice_on_screen import InvoiceOnScreen
from state.listed import ListedState
from state.problems import problem_of

HOME = "/governance/invoices"


class StaffInvoicesState(ListedState, rx.State):
    """One page of all invoices, drafts too."""

    _listing: ClassVar[Listing[Any]] = queries.STAFF_INVOICES
    _file_url: ClassVar[str] = "/api/v1/staff/invoices"
    _filter_keys: ClassVar[tuple[str, ...]] = ("organization_id", "brand_id", *invoices_view.FILTERS)

    brands: list[dict[str, str]] = []

    @page_event(Capability.STAFF_INVOICES_READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, queries.STAFF_INVOICES)
            self.brands = await brands_to_choose(uow)
        self.rows = [invoices_view.row_shown(row, HOME) for row in found]


class NewInvoiceState(PageState, rx.State):
    """What a draft can be begun with: under which brand it may be issued."""

    brands: list[dict[str, str]] = []
    asking: bool = False

    @page_event(Capability.STAFF_INVOICES_WRITE)
    async def ask(self, is_open: bool) -> None:
        """Open or close the dialog."""
        self.asking = bool(is_open)
        if not self.asking:
            return
        async with self._staff_work() as uow:
            self.brands = [{"id": "", "label": ""}, *await brands_to_choose(uow)]

    @page_event(Capability.STAFF_INVOICES_WRITE)
    async def changed(self, answer: dict[str, Any]) -> Any:
        """A draft was begun through the API: go on with it."""
        self.asking = False  # or the dialog is open again for whoever comes back to the list
        return rx.redirect(addresses.own_path(f"{HOME}/{answer.get('id', '')}"))


class StaffInvoiceState(InvoiceOnScreen, rx.State):
    """One invoice of any organisation, and the act that is asked about."""

    _staff: ClassVar[bool] = True

    asking: str = ""
    foreseen: dict[str, Any] = {}  # what finalising the draft comes to
    foreseen_taxes: list[dict[str, Any]] = []
    refusal: str = ""  # why it cannot be finalised
    removing: str = ""  # the line that is asked about
    contests: list[dict[str, Any]] = []  # what the customer says is wrong, for who sees payments

    @page_event(Capability.STAFF_INVOICES_READ, reads=True)
    async def load(self) -> None:
        self.asking = self.removing = ""
        await self._read_again()

    @page_event(Capability.STAFF_INVOICES_READ)
    async def follow(self) -> None:
        """Something changed while the page is open: its files are there, or somebody else did something."""
        if self.asking or self.removing:  # what is asked about stays as it was asked
            return
        explained, steps = self.explained, self.steps
        await self._read_again()
        self.explained, self.steps = explained, steps  # somebody may be reading it

    async def _read_again(self) -> None:
        self.contests = []
        self._forget()
        await self._look()
        is_draft = self.invoice["state"] == InvoiceState.DRAFT.value
        if is_draft and self.lines and self._actor.may(Capability.STAFF_INVOICES_WRITE):
            await self._foresee()
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
        if act == "finalize":
            await self._foresee()
        self.asking = act

    def _forget(self) -> None:
        self.foreseen, self.foreseen_taxes, self.refusal = {}, [], ""

    async def _foresee(self) -> None:
        """What the draft comes to, by its lines, taxes and credits of now."""
        self._forget()
        invoice_id = self._address_id
        async with self._staff_work() as uow:
            whose = await queries.organization_of(uow, invoice_id)
        try:
            async with self._staff_work(within=whose) as uow:
                found = await finalizing.foresee(uow, invoice_id)
        except (Invalid, Conflict) as refused:
            self.refusal = problem_of(refused, "").text
        else:
            self.foreseen = invoices_view.foreseen_shown(found)
            self.foreseen_taxes = invoices_view.taxes_shown(found.invoice)

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
