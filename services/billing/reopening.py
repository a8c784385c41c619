"""Invoices that are owed again, because money that had paid them was taken back."""

from __future__ import annotations

from models.billing import Invoice, InvoiceState
from services.billing.events import InvoiceReopened
from services.core.work import UnitOfWork


async def take_back(uow: UnitOfWork, invoice: Invoice, minor: int) -> None:
    """Have `minor` of what paid a locked invoice be gone: it is due again, or given up again. The caller books it, and
    has made sure that so much was paid. Called by what follows banks."""
    invoice.paid_minor -= minor
    invoice.reopened_at = uow.now
    if invoice.state == InvoiceState.UNCOLLECTIBLE:
        invoice.written_off_minor += minor
    else:
        invoice.due_minor += minor
        if invoice.state == InvoiceState.PAID:
            invoice.state, invoice.paid_at = InvoiceState.FINALIZED.value, None
    uow.add(invoice)
    await uow.session.flush()
    uow.record(
        InvoiceReopened(
            aggregate_id=invoice.id,
            organization_id=invoice.organization_id,
            currency=invoice.currency,
            number=invoice.number or "",
            minor=minor,
        )
    )
