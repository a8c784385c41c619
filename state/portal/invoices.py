"""The organisation's invoices: the list, and one as a document with the reasons of its lines."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, ClassVar

import reflex as rx

from models.billing import InvoiceState as InvoiceStates
from services.billing import customer_credits, queries
from services.billing.states import InvoiceStateConflict
from services.core.listing import Listing
from services.core.permissions import Capability
from services.disputes import queries as dispute_queries
from services.payments import transfer_details
from services.payments.charging import AllContested
from state import disputes_view, invoices_view
from state.base import page_event
from state.invoice_on_screen import InvoiceOnScreen
from state.listed import ListedState
from state.paying import Paying

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


class InvoiceState(InvoiceOnScreen, Paying, rx.State):
    """One invoice of the organisation, and how it can be paid."""

    wallet: dict[str, str] = {}  # what the wallet would pay, and what is due then; empty for nothing
    may_pay: bool = False  # something is due, and whoever looks may pay it
    contests: list[dict[str, Any]] = []
    contestable: list[dict[str, str]] = []  # the lines on screen
    may_contest: bool = False

    @page_event(Capability.INVOICES_READ, reads=True)
    async def load(self) -> None:
        await self._read_again()

    @page_event(Capability.INVOICES_READ, reads=True)
    async def follow(self) -> None:
        """Something about payments or files changed while the page is open: this may be paid now."""
        explained, steps = self.explained, self.steps
        await self._read_again()
        self.explained, self.steps = explained, steps  # somebody may be reading it

    async def _read_again(self) -> None:
        self.ways, self.kept, self.bank, self.wallet, self.may_pay = [], [], {}, {}, False
        self.contests, self.contestable, self.may_contest = [], [], False
        await self._look()
        await self._look_at_contests()
        due = self.invoice["state"] == InvoiceStates.FINALIZED.value and self.invoice["due"] != "0"
        if due and self._actor.may(Capability.PAYMENTS_WRITE):
            await self._look_at_paying()
        if due and self._actor.may(Capability.WALLET_WRITE):
            await self._look_at_wallet()

    async def _look_at_paying(self) -> None:
        # All of it is contested, or it was paid while this looked: then the page is told, and reads again.
        with suppress(AllContested, InvoiceStateConflict):
            async with self._unit_of_work() as uow:
                asked = await transfer_details.of_invoice(uow, self.invoice["id"])
            await self._look_at_ways(asked)
            self.may_pay = True

    async def _look_at_wallet(self) -> None:
        with suppress(
            InvoiceStateConflict
        ):  # it was paid while this looked: the page is told, and reads again
            async with self._unit_of_work() as uow:
                found = await customer_credits.wallet_would_pay(uow, self.invoice["id"])
            self.wallet = invoices_view.wallet_shown(found) if found.minor else {}

    async def _look_at_contests(self) -> None:
        if self._actor.may(Capability.PAYMENTS_READ):
            async with self._unit_of_work() as uow:
                found = await dispute_queries.contests_of(uow, self.invoice["id"])
            self.contests = [disputes_view.contest_shown(row, HOME) for row in found]
        stands = self.invoice["state"] in (InvoiceStates.FINALIZED, InvoiceStates.PAID)
        if stands and self._actor.may(Capability.PAYMENTS_WRITE):
            self.contestable = [
                {
                    "id": line["id"],
                    "label": f"{line['description']} \u00b7 {line['gross']} {self.invoice['currency']}",
                }
                for line in self.lines
            ]
            self.may_contest = True

    @page_event(Capability.INVOICES_READ)
    async def changed(self) -> Any:
        """It was contested through the API: read it again."""
        return type(self).load

    @page_event(Capability.INVOICES_READ)
    async def explain(self, line_id: str) -> None:
        await self._explain(line_id)
