"""The organisation's invoices."""

from __future__ import annotations

from matrix_app.pages import invoice_papers
from matrix_app.pages.portal.payments import pay_invoice
from matrix_app.pages.registry import Console, Drawn, page
from services.core.permissions import Capability
from state.portal.invoices import HOME, InvoicesState, InvoiceState


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
    return invoice_papers.invoice(InvoiceState, HOME, staff=False, acts=pay_invoice())
