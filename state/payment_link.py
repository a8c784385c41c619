"""Following a link to an invoice or a top-up: what it says, how it can be paid, and what became of that."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from urllib.parse import urlencode

import reflex as rx

from models.billing import Invoice, InvoiceState
from models.money import figure_text
from models.payments import PaymentState
from models.wallets import TopUpState
from services.billing import due_dates
from services.core.crossing import Reason, crossing
from services.core.errors import NotFound, Unavailable
from services.identity import throttle
from services.identity.rules import network_of
from services.payments import link_paying, links, transfer_details
from services.payments.cashier import cashier
from services.payments.link_paying import Latest, Seen
from services.payments.links import LinkEnded, Opened
from services.payments.providers.base import RefusedByProvider
from state import invoices_view, payments_view
from state.base import ANYONE, PageState, page_event
from state.format import instant_text

PDF = "/api/v1/payment-link/pdf"


class PaymentLinkState(PageState, rx.State):
    """The token is the visitor's own, and goes on to the API.

    `stage` is pay, waiting, elsewhere (a payment was begun in the portal), paid, void, uncollectible, withdrawn, or
    ended.
    """

    token: str = ""
    stage: str = ""
    invoice: dict[str, Any] = {}
    top_up: str = ""  # how much it is, where the link is for a top-up
    reference: str = ""  # what a transfer says
    lines: list[dict[str, Any]] = []
    has_more: bool = False
    has_pdf: bool = False
    pdf: str = ""
    ways: list[dict[str, Any]] = []
    takes_play_money: bool = False
    bank: dict[str, str] = {}
    payment: dict[str, str] = {}
    on_chain: dict[str, Any] = {}  # what is asked for there; empty for other payments
    came: list[dict[str, Any]] = []
    expires_at: str = ""

    @page_event(ANYONE, reads=True)
    async def load(self) -> None:
        self._clear()
        self.token = self._address_id[: links.TOKEN_CHARACTERS + 1]
        link = await self._opened()
        if link is None:
            self.stage = "ended"
            return
        async with links.work(link, address=self._address) as uow:
            seen = await link_paying.see(uow, link)
        if seen.latest is not None and seen.latest.is_under_way:
            seen = await self._looked_up(link, seen, seen.latest)
        await self._show(link, seen)

    @page_event(ANYONE)
    async def go_on(self, answer: dict[str, Any]) -> Any:
        """A payment was begun through the API: go on at the provider, or see what became of it."""
        link = await self._opened()
        if link is None:
            return type(self).load
        async with links.work(link, address=self._address) as uow:
            seen = await link_paying.see(uow, link)
        if seen.latest is not None and seen.latest.action_url:
            return rx.redirect(seen.latest.action_url, is_external=False)
        return type(self).load

    @property
    def _address(self) -> str:
        return self.router.session.client_ip

    def _clear(self) -> None:
        self.stage, self.invoice, self.top_up, self.lines, self.has_more = "", {}, "", [], False
        self.has_pdf, self.pdf, self.ways, self.takes_play_money = False, "", [], False
        self.bank, self.payment, self.expires_at = {}, {}, ""
        self.on_chain, self.came = {}, []

    async def _opened(self) -> Opened | None:
        """None for a link that has ended. Raises NotFound for none of ours, and RateLimited for too many of those."""
        who = [throttle.Subject(throttle.PAYMENT_LINK_NETWORK, network_of(self._address))]
        async with crossing(Reason.PAYMENTS) as uow:
            await throttle.require_open(uow, who)
        try:
            return await links.opened(self.token)
        except LinkEnded:
            return None
        except NotFound:
            async with crossing(Reason.PAYMENTS) as uow:
                await throttle.count(uow, who)
            raise

    async def _looked_up(self, link: Opened, seen: Seen, latest: Latest) -> Seen:
        """As the provider has it now; as it was, where it cannot be reached."""
        try:
            await cashier().look(latest.id, link.organization_id)
        except (Unavailable, RefusedByProvider):
            return seen
        async with links.work(link, address=self._address) as uow:
            return await link_paying.see(uow, link)

    async def _show(self, link: Opened, seen: Seen) -> None:
        if seen.invoice is not None:
            await self._show_invoice(link, seen, seen.invoice)
        elif seen.top_up is not None and seen.asked is not None:
            self.top_up = figure_text(seen.asked.amount, seen.asked.currency)
            self.reference = seen.top_up.id
        self.ways = [payments_view.way_shown(way) for way in seen.ways]
        self.takes_play_money = any(way.is_test for way in seen.ways)
        self.payment = _payment_shown(seen.latest)
        if seen.on_chain is not None:
            self.on_chain = payments_view.on_chain_shown(seen.on_chain)
            self.came = [payments_view.came_shown(one, seen.on_chain) for one in seen.on_chain.came]
        self.stage = _stage(seen)
        self.expires_at = instant_text(link.expires_at)
        bank = await transfer_details.bank_of(await self._brand_of(link, seen))
        self.bank = asdict(bank) if bank else {}

    async def _show_invoice(self, link: Opened, seen: Seen, invoice: Invoice) -> None:
        async with links.work(link) as uow:
            paper, _ = await invoices_view.papers_shown(uow, invoice, [])
            days_overdue = await due_dates.days_overdue(uow, invoice)
        shown = invoices_view.invoice_shown(invoice, days_overdue)
        self.reference = shown["number"]
        self.invoice = {name: shown[name] for name in shown if name not in ("id", "organization_id")}
        self.lines = [invoices_view.line_shown(line, invoice.currency) for line in seen.lines]
        self.has_more, self.has_pdf = seen.has_more, paper["paper"] == "made"
        self.pdf = f"{PDF}?{urlencode({'token': self.token})}"

    async def _brand_of(self, link: Opened, seen: Seen) -> str | None:
        """By whose documents a transfer goes; None where none is to be made."""
        if self.stage != "pay":
            return None
        if seen.invoice is not None:
            return seen.invoice.brand_id
        async with links.work(link, address=self._address) as uow:
            return (await transfer_details.of_top_up(uow, link.top_up_id or "")).brand_id


_TOP_UP_STAGES = {TopUpState.DUE: "pay", TopUpState.PAID: "paid", TopUpState.WITHDRAWN: "withdrawn"}


def _stage(seen: Seen) -> str:
    if seen.latest is not None and seen.latest.is_under_way:
        return "waiting" if seen.latest.begun_here else "elsewhere"
    if seen.invoice is None:
        return _TOP_UP_STAGES[TopUpState(seen.top_up.state)] if seen.top_up else "ended"
    if seen.invoice.state == InvoiceState.FINALIZED and seen.invoice.due_minor:
        return "pay"
    return InvoiceState.PAID if seen.invoice.state == InvoiceState.FINALIZED else seen.invoice.state


def _payment_shown(latest: Latest | None) -> dict[str, str]:
    if latest is None or not latest.begun_here:
        return {"state": "", "message": "", "action_url": ""}
    failed = latest.state == PaymentState.FAILED
    return {
        "state": latest.state.value,
        "message": latest.message if failed else "",
        "action_url": latest.action_url,
    }
