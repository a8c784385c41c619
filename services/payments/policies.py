"""The way to payments and to what is paid with: those of the organisation that the work is bound to."""

from __future__ import annotations

from models.billing import Invoice
from models.crypto import CryptoRequest
from models.disputes import Contest, Dispute
from models.dunning import InvoiceCollection
from models.method_setups import MethodSetup
from models.payment_links import PaymentLink
from models.payments import Payment, PaymentMethod, ProviderAccount, ProviderCustomer
from models.refunds import Refund
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


async def crypto_request_of(uow: UnitOfWork, payment: Payment) -> CryptoRequest | None:
    """What a payment that the caller was let to asks for on a chain."""
    return await uow.get(CryptoRequest, payment.id)


async def invoice_of(uow: UnitOfWork, payment: Payment) -> Invoice | None:
    """What a payment that the caller was let to is for, locked."""
    return None if payment.invoice_id is None else await uow.get(Invoice, payment.invoice_id, lock=True)


async def refund_for(uow: UnitOfWork, refund_id: str, needs: Capability, *, lock: bool = False) -> Refund:
    """Raises Forbidden, and NotFound also for another organisation's, unless the work crosses tenants."""
    uow.actor.require(needs)
    row = await uow.get(Refund, refund_id, lock=lock) if is_id(str(refund_id), "rfnd") else None
    if row is None or not (uow.crosses or row.organization_id == uow.organization_id):
        raise not_found("refund", refund_id)
    return row


async def dispute_for(uow: UnitOfWork, dispute_id: str, needs: Capability, *, lock: bool = False) -> Dispute:
    """Raises Forbidden, and NotFound also for another organisation's, unless the work crosses tenants."""
    uow.actor.require(needs)
    row = await uow.get(Dispute, dispute_id, lock=lock) if is_id(str(dispute_id), "dsp") else None
    if row is None or not (uow.crosses or row.organization_id == uow.organization_id):
        raise not_found("dispute", dispute_id)
    return row


async def dispute_at(uow: UnitOfWork, payment: Payment, reference: str) -> Dispute | None:
    """A dispute of a payment that the caller was let to, by the provider's name for it; locked."""
    found = await uow.execute(
        "select id from dispute where provider_account_id = :account_id and provider_ref = :reference",
        account_id=payment.provider_account_id,
        reference=reference,
    )
    dispute_id = found.scalar_one_or_none()
    return None if dispute_id is None else await uow.get(Dispute, dispute_id, lock=True)


async def open_dispute_of(uow: UnitOfWork, payment: Payment) -> str | None:
    """The id of a dispute of a payment, locked, that the caller was let to, which is not decided: while there is one,
    nothing of the payment may be given back. Nor of what was lost."""
    found = await uow.execute(
        "select id from dispute where payment_id = :payment_id and state not in ('won', 'warning_closed')"
        " order by created_at, id limit 1",
        payment_id=payment.id,
    )
    return found.scalar_one_or_none()


async def contest_for(uow: UnitOfWork, contest_id: str, needs: Capability, *, lock: bool = False) -> Contest:
    """Raises Forbidden, and NotFound also for another organisation's, unless the work crosses tenants."""
    uow.actor.require(needs)
    row = await uow.get(Contest, contest_id, lock=lock) if is_id(str(contest_id), "cst") else None
    if row is None or not (uow.crosses or row.organization_id == uow.organization_id):
        raise not_found("contest", contest_id)
    return row


async def any_link(uow: UnitOfWork, link_id: str) -> PaymentLink | None:
    """For the product's own work: whoever comes with a link proves it by what is in it."""
    return await uow.get(PaymentLink, link_id) if is_id(link_id, "plnk") else None


async def setup_for(uow: UnitOfWork, setup_id: str, needs: Capability, *, lock: bool = False) -> MethodSetup:
    """Raises Forbidden, and NotFound also for another organisation's."""
    uow.actor.require(needs)
    row = await uow.get(MethodSetup, setup_id, lock=lock) if is_id(str(setup_id), "pset") else None
    if row is None or row.organization_id != uow.organization_id:
        raise not_found("payment method to be kept", setup_id)
    return row
