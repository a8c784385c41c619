"""The way to payments and to what is paid with: those of the organisation that the work is bound to."""

from __future__ import annotations

from models.billing import Invoice
from models.dunning import InvoiceCollection
from models.payments import Payment, PaymentMethod, ProviderAccount, ProviderCustomer
from services.core.errors import not_found
from services.core.ids import is_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork


async def payment_for(uow: UnitOfWork, payment_id: str, needs: Capability, *, lock: bool = False) -> Payment:
    """Raises Forbidden, and NotFound also for another organisation's, unless the work crosses tenants."""
    uow.actor.require(needs)
    row = await uow.get(Payment, payment_id, lock=lock) if is_id(str(payment_id), "pay") else None
    if row is None or not (uow.crosses or row.organization_id == uow.organization_id):
        raise not_found("payment", payment_id)
    return row


async def method_for(
    uow: UnitOfWork, method_id: str, needs: Capability, *, lock: bool = False
) -> PaymentMethod:
    """One that is not removed. Raises Forbidden, and NotFound also for another organisation's."""
    uow.actor.require(needs)
    row = await uow.get(PaymentMethod, method_id, lock=lock) if is_id(str(method_id), "paym") else None
    if row is None or row.organization_id != uow.organization_id or row.removed_at is not None:
        raise not_found("payment method", method_id)
    return row


async def account_for(
    uow: UnitOfWork, account_id: str, needs: Capability, *, lock: bool = False
) -> ProviderAccount:
    """Raises Forbidden and NotFound."""
    uow.actor.require(needs)
    row = await uow.get(ProviderAccount, account_id, lock=lock) if is_id(str(account_id), "pacc") else None
    if row is None:
        raise not_found("provider account", account_id)
    return row


async def customer_of(uow: UnitOfWork, account_id: str) -> ProviderCustomer | None:
    """Under which name a provider knows the organisation that the work is bound to."""
    return await uow.get(ProviderCustomer, (uow.organization_id, account_id))


async def any_account(uow: UnitOfWork, account_id: str) -> ProviderAccount:
    """In work across tenants that is the product's own, as for a provider that says something. Raises NotFound."""
    row = await uow.get(ProviderAccount, account_id) if is_id(str(account_id), "pacc") else None
    if row is None:
        raise not_found("provider account", account_id)
    return row


async def collection_of(uow: UnitOfWork, invoice: Invoice) -> InvoiceCollection | None:
    """What the schedule says of an invoice that the caller has locked, locked."""
    return await uow.get(InvoiceCollection, invoice.id, lock=True)


async def invoice_of(uow: UnitOfWork, payment: Payment) -> Invoice | None:
    """What a payment that the caller was let to is for, locked."""
    return None if payment.invoice_id is None else await uow.get(Invoice, payment.invoice_id, lock=True)
