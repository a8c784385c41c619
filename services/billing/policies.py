"""The way to rows of billing: those of the organisation that the work is bound to, and of the house."""

from __future__ import annotations

from sqlmodel import select

from models.billing import BillingProfile, CreditNote, Invoice, InvoiceLine, LegalEntity
from models.brands import Brand
from models.identity import Organization
from models.subscriptions import CouponRedemption, Subscription
from models.usage_billing import UsagePeriod
from services.core.errors import not_found
from services.core.ids import is_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.identity import clocks


async def invoice_for(uow: UnitOfWork, invoice_id: str, needs: Capability, *, lock: bool = True) -> Invoice:
    """Raises Forbidden, and NotFound also for another organisation's. Whoever acts on it (`lock`) hears Conflict while
    the clock of the organisation is being turned."""
    uow.actor.require(needs)
    row = await uow.get(Invoice, invoice_id, lock=lock)
    if row is None or row.organization_id != uow.organization_id:
        raise not_found("invoice", invoice_id)
    if lock:
        clocks.require_still_for_people(uow)
    return row


async def line_for(uow: UnitOfWork, invoice: Invoice, line_id: str) -> InvoiceLine:
    """Raises NotFound also for a line of another invoice."""
    row = await uow.get(InvoiceLine, line_id)
    if row is None or row.invoice_id != invoice.id:
        raise not_found("invoice line", line_id)
    return row


async def entity_for(
    uow: UnitOfWork, entity_id: str, needs: Capability, *, lock: bool = False
) -> LegalEntity:
    """Raises Forbidden and NotFound."""
    uow.actor.require(needs)
    row = await uow.get(LegalEntity, entity_id, lock=lock)
    if row is None:
        raise not_found("legal entity", entity_id)
    uow.read.append(row)
    return row


async def hold_issuers(uow: UnitOfWork) -> None:
    """Codes are free, one entity is the usual one, and a brand bills nobody, only if nobody else decides so at the
    same time."""
    await uow.execute("select pg_advisory_xact_lock(hashtextextended('legal_entities', 53))")


async def brand_for(uow: UnitOfWork, brand_id: str, needs: Capability, *, lock: bool = False) -> Brand:
    """Raises Forbidden and NotFound."""
    uow.actor.require(needs)
    row = await uow.get(Brand, brand_id, lock=lock)
    if row is None:
        raise not_found("brand", brand_id)
    uow.read.append(row)
    return row


async def default_brand(uow: UnitOfWork, entity: LegalEntity, needs: Capability) -> Brand:
    """The brand of an entity that bills whom nobody gave another. Raises Forbidden."""
    uow.actor.require(needs)
    found = await uow.session.exec(select(Brand).where(Brand.legal_entity_id == entity.id, Brand.is_default))
    row = found.one()
    uow.read.append(row)
    return row


async def usual_entity(uow: UnitOfWork, needs: Capability, *, is_test: bool) -> LegalEntity | None:
    """Who issues documents where nobody is named. Raises Forbidden."""
    uow.actor.require(needs)
    found = await uow.session.exec(
        select(LegalEntity).where(LegalEntity.is_usual, LegalEntity.is_test == is_test)
    )
    row = found.one_or_none()
    if row is not None:
        uow.read.append(row)
    return row


async def profile_of(uow: UnitOfWork, *, lock: bool = False) -> BillingProfile | None:
    """The profile of the organisation that the work is bound to, if it has one."""
    row = await uow.get(BillingProfile, uow.organization_id, lock=lock)
    if row is not None:
        uow.read.append(row)
    return row


async def organization_of(uow: UnitOfWork) -> Organization:
    """The organisation that the work is bound to. Raises NotFound."""
    row = await uow.get(Organization, uow.organization_id)
    if row is None:
        raise not_found("organisation", uow.organization_id)
    return row


async def any_invoice(uow: UnitOfWork, invoice_id: str) -> Invoice:
    """Any organisation's, for staff in work across tenants. Raises Forbidden and NotFound."""
    uow.actor.require(Capability.STAFF_INVOICES_READ)
    row = await uow.get(Invoice, invoice_id)
    if row is None:
        raise not_found("invoice", invoice_id)
    return row


async def subscription_for(
    uow: UnitOfWork, subscription_id: str, needs: Capability, *, lock: bool = True
) -> Subscription:
    """Raises Forbidden, and NotFound also for another organisation's."""
    uow.actor.require(needs)
    row = await uow.get(Subscription, subscription_id, lock=lock)
    if row is None or row.organization_id != uow.organization_id:
        raise not_found("subscription", subscription_id)
    return row


async def subscription_paid_for(uow: UnitOfWork, invoice: Invoice) -> Subscription | None:
    """What an invoice is for that the caller was let to pay, locked; None where it is for none."""
    if invoice.subscription_id is None:
        return None
    return await uow.get(Subscription, invoice.subscription_id, lock=True)


async def payment_days_of(uow: UnitOfWork, invoice: Invoice) -> int | None:
    """In which an invoice of the caller's is to be paid by the terms of its subscription, if those say so."""
    if invoice.subscription_id is None:
        return None
    row = await uow.get(Subscription, invoice.subscription_id)  # which is mostly at hand
    return None if row is None else row.payment_days


async def draft_of(uow: UnitOfWork, subscription: Subscription, *, lock: bool = True) -> Invoice | None:
    """The draft that gathers lines of a subscription that the caller was let to; locked unless it is only read."""
    found = await uow.execute(
        "select id from invoice where subscription_id = :id and state = 'draft'", id=subscription.id
    )
    invoice_id = found.scalar_one_or_none()
    return None if invoice_id is None else await uow.get(Invoice, invoice_id, lock=lock)


async def redemption_for(uow: UnitOfWork, subscription: Subscription, redemption_id: str) -> CouponRedemption:
    """A coupon that a subscription has, locked. Raises NotFound."""
    row = await uow.get(CouponRedemption, redemption_id, lock=True)
    if row is None or row.subscription_id != subscription.id or row.removed_at is not None:
        raise not_found("coupon of this subscription", redemption_id)
    return row


async def any_subscription(uow: UnitOfWork, subscription_id: str, *, lock: bool = False) -> Subscription:
    """Any organisation's, for staff in work across tenants. Raises Forbidden and NotFound."""
    uow.actor.require(Capability.STAFF_SUBSCRIPTIONS_READ)
    row = (
        await uow.get(Subscription, subscription_id, lock=lock)
        if is_id(str(subscription_id), "sub")
        else None
    )
    if row is None:
        raise not_found("subscription", subscription_id)
    return row


async def usage_period_for(uow: UnitOfWork, usage_period_id: str, needs: Capability) -> UsagePeriod:
    """Raises Forbidden, and NotFound also for another organisation's."""
    uow.actor.require(needs)
    row = await uow.get(UsagePeriod, usage_period_id) if is_id(str(usage_period_id), "uper") else None
    if row is None or row.organization_id != uow.organization_id:
        raise not_found("period of usage", usage_period_id)
    return row


async def any_usage_period(uow: UnitOfWork, usage_period_id: str, *, lock: bool = False) -> UsagePeriod:
    """Any organisation's, for staff in work across tenants. Raises Forbidden and NotFound."""
    uow.actor.require(Capability.STAFF_SUBSCRIPTIONS_READ)
    known = is_id(str(usage_period_id), "uper")
    row = await uow.get(UsagePeriod, usage_period_id, lock=lock) if known else None
    if row is None:
        raise not_found("period of usage", usage_period_id)
    return row


async def note_for(uow: UnitOfWork, note_id: str, needs: Capability) -> CreditNote:
    """A credit note of the organisation that the work is bound to, or of any in work across tenants. Raises Forbidden
    and NotFound."""
    uow.actor.require(needs)
    row = await uow.get(CreditNote, note_id)
    if row is None or not (uow.crosses or row.organization_id == uow.organization_id):
        raise not_found("credit note", note_id)
    return row


async def any_organization(uow: UnitOfWork, organization_id: str) -> Organization:
    """For staff in work across tenants. Raises Forbidden and NotFound."""
    uow.actor.require(Capability.STAFF_ORGANIZATIONS_READ)
    row = await uow.get(Organization, organization_id)
    if row is None:
        raise not_found("organisation", organization_id)
    return row
