"""The organisation's invoices."""

from __future__ import annotations

import reflex as rx

from components.live.figures import live_refresh
from matrix_app.pages import endpoints, invoice_papers
from matrix_app.pages.payment_link_acts import payment_link
from matrix_app.pages.portal.contests import contest_invoice, contests_of_invoice
from matrix_app.pages.portal.payments import MAY_PAY, pay_invoice
from matrix_app.pages.portal.wallet import pay_from_wallet
from matrix_app.pages.registry import Console, Drawn, page
from services.core.permissions import Capability
from state.portal.invoices import HOME, InvoicesState, InvoiceState
from state.session import SessionState

MAY_SEE_PAYMENTS = SessionState.capabilities.contains(Capability.PAYMENTS_READ.value)


@page(
    "/portal/invoices",
    console=Console.PORTAL,
    title="invoices.title",
    needs=Capability.INVOICES_READ,
    on_load=InvoicesState.load,
)
def invoices() -> Drawn:
    """All invoices of the organisation."""
    return invoice_papers.invoices(InvoicesState, staff=False)


@page(
    "/portal/invoices/[invoice_id]",
    console=Console.PORTAL,
    title="invoices.invoice",
    needs=Capability.INVOICES_READ,
    on_load=InvoiceState.load,
)
def invoice() -> Drawn:
    """One invoice as a document."""
    follow = live_refresh(
        "payments", path="changed", since=InvoiceState.read_at, on_change=InvoiceState.follow
    )
    link = payment_link(InvoiceState.invoice, endpoints.INVOICES, may=MAY_PAY, on_done=InvoiceState.load)
    return invoice_papers.invoice(
        InvoiceState,
        HOME,
        staff=False,
        acts=rx.fragment(pay_invoice(), pay_from_wallet(), link, contest_invoice()),
        below=rx.fragment(contests_of_invoice(), rx.cond(MAY_SEE_PAYMENTS, follow, rx.fragment())),
    )
