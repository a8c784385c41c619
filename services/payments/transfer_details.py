"""Where a transfer for an invoice or a top-up goes to, and what to write on it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from models.money import Money
from services.billing import queries as billing
from services.billing.issuers import LegalEntityMissing, issuer
from services.core.crossing import Reason, crossing
from services.core.errors import Invalid
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.papers import templates
from services.payments import charging
from services.wallets import policies as of_wallets


@dataclass(frozen=True, slots=True)
class Asked:
    """What a transfer is for. `brand_id` is that of whoever gets it; None where nobody bills the organisation yet."""

    reference: str
    money: Money
    brand_id: str | None


@dataclass(frozen=True, slots=True)
class BankDetails:
    account: str
    name: str
    code: str


async def of_invoice(uow: UnitOfWork, invoice_id: str) -> Asked:
    """What is due of one's own invoice and not contested. Raises Forbidden, NotFound, InvoiceStateConflict for what
    asks for nothing, and AllContested."""
    invoice = await billing.invoice(uow, invoice_id)
    owed = charging.owed_of(invoice, await charging.standing(uow, invoice))
    return Asked(invoice.number or "", owed, invoice.brand_id)


async def of_top_up(uow: UnitOfWork, top_up_id: str) -> Asked:
    """Of one's own top-up. Raises Forbidden, NotFound and TopUpNotDue."""
    top_up = await of_wallets.top_up_for(uow, top_up_id, Capability.PAYMENTS_READ)
    charging.require_due(top_up)
    brand_id = None
    with suppress(LegalEntityMissing, Invalid):
        brand_id = (await issuer(uow, needs=Capability.PAYMENTS_READ)).brand.id
    return Asked(top_up.id, await of_wallets.money_of(uow, top_up), brand_id)


async def bank_of(brand_id: str | None) -> BankDetails | None:
    """As documents of the brand say; None where the seller has said nothing. It takes work of its own: call it when
    yours is done."""
    if brand_id is None:
        return None
    async with crossing(Reason.PAYMENTS) as uow:
        design = (await templates.in_force(uow, brand_id)).design
    if not design.account:
        return None
    return BankDetails(design.account, design.account_name, design.bank_code)
