"""The organisation's invoices: the list, and one as a document with the reasons of its lines."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Any, ClassVar

import reflex as rx

from models.billing import InvoiceState as InvoiceStates
from models.money import Money
from services.billing import customer_credits, policies, queries
from services.billing.states import InvoiceStateConflict
from services.core import listing_sql
from services.core.listing import Listing
from services.core.permissions import Capability
from services.disputes import queries as dispute_queries
from services.payments import queries as payments
from services.terms import queries as terms
from state import disputes_view, invoices_view, payments_view
from state.base import page_event
from state.invoice_on_screen import InvoiceOnScreen
from state.listed import ListedState
from state.portal.payments import HOME as PAYMENTS

HOME = "/portal/invoices"
METHODS_SHOWN_MAX = 50


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
    """One invoice of the organisation, and how it can be paid."""

    ways: list[dict[str, Any]] = []
    kept: list[dict[str, str]] = []  # methods that it can be paid with at once, the usual one first
    bank: dict[str, str] = {}  # where a transfer goes to
    takes_play_money: bool = False  # one of the ways is a test provider's
    terms: int = 0  # the version that paying accepts
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
        """Something about payments changed while the page is open: this may be paid now."""
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
            await self._look_at_ways()
        if due and self._actor.may(Capability.WALLET_WRITE):
            await self._look_at_wallet()

    async def _look_at_ways(self) -> None:
        due = Money.of(Decimal(self.invoice["due"]), self.invoice["currency"])
        async with self._unit_of_work() as uow:
            ways = [way for way in await payments.ways(uow) if way.takes(due)]
            kept = await listing_sql.select(uow, payments.METHODS, limit=METHODS_SHOWN_MAX)
            brand_id = (
                await policies.invoice_for(uow, self.invoice["id"], Capability.INVOICES_READ, lock=False)
            ).brand_id
            self.terms = await terms.current_number(uow)
        there = {way.id for way in ways}
        usual_first = sorted(kept, key=lambda one: not one.is_default)
        self.kept = [
            {"id": one.id, "label": payments_view.method_label(one)}
            for one in usual_first
            if one.provider_account_id in there
        ]
        self.ways = [payments_view.way_shown(way) for way in ways]
        self.takes_play_money = any(way.is_test for way in ways)
        self.bank = await payments_view.bank_shown(brand_id)
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

    @page_event(Capability.PAYMENTS_WRITE)
    async def go_on(self, answer: dict[str, Any]) -> Any:
        """A payment was begun through the API: go on at the provider, or see what became of it."""
        async with self._unit_of_work() as uow:
            found = await payments.payment(uow, str(answer.get("id", "")))
        if found.action_url is not None:
            return rx.redirect(found.action_url, is_external=False)
        return rx.redirect(f"{PAYMENTS}/{found.payment.id}")

    @page_event(Capability.INVOICES_READ)
    async def explain(self, line_id: str) -> None:
        await self._explain(line_id)
