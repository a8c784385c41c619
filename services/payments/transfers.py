"""Bank transfers: recorded by hand by staff that saw them come, or from the line of a statement that shows one."""

from __future__ import annotations

from models.billing import Invoice, InvoiceState
from models.money import Money, Provider
from models.payments import Payment
from services.billing import policies as of_billing
from services.billing import states
from services.billing.invoices import AMOUNT_MINOR_MAX, KeyMeansOther, require_key
from services.core.errors import Invalid
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.identity.rules import clean_text
from services.payments import applying, charging, policies

PROVIDER = Provider.BANK.value
REFERENCE_CHARACTERS_MAX = 140  # as ISO 20022 allows in a remittance line
# It is applied in the same transaction. Until then it is nothing that is under way: that, an invoice has once.
_RECORDED = """
insert into payment (id, organization_id, invoice_id, provider_account_id, provider, provider_ref, keep_method, key,
  state, initiator, currency, minor, applied_minor, refunded_minor, message, reference, created_at, asked_at, checks,
  version)
values (:id, :organization_id, :invoice_id, :account_id, :provider, :provider_ref, false, :key,
  'canceled', 'staff', :currency, :minor, 0, 0, '', :reference, :now, :wall_now, 0, 1)
on conflict (organization_id, key) do nothing returning id
"""


async def record(
    uow: UnitOfWork,
    *,
    money: Money,
    key: str,
    reference: str = "",
    invoice_id: str | None = None,
    account_id: str | None = None,
) -> Payment:
    """Record money that came by bank transfer, for an invoice or on account. The same key is the same transfer, for
    good; what is more than was due becomes a credit of the customer. `account_id` is that of the bank account whose
    statement shows it, by the name `key`.

    Raises Forbidden, NotFound, KeyMeansOther, InvoiceStateConflict for a draft, and Invalid for an amount that is not
    above zero or of another currency than the invoice.
    """
    uow.actor.require(Capability.STAFF_PAYMENTS_WRITE)
    require_key(key)
    if not 0 < money.minor <= AMOUNT_MINOR_MAX:
        raise Invalid("A transfer is above zero, and of what one invoice may hold.", field="amount")
    reference = _reference(reference)
    invoice = None
    if invoice_id is not None:
        invoice = await of_billing.invoice_for(uow, invoice_id, Capability.STAFF_PAYMENTS_WRITE)
        _require_payable(invoice, money)
    payment_id = new_id("pay")
    made = await uow.execute(
        _RECORDED,
        id=payment_id,
        organization_id=uow.organization_id,
        invoice_id=invoice_id,
        account_id=account_id,
        provider=PROVIDER,
        provider_ref=key if account_id else None,
        key=key,
        currency=money.currency,
        minor=money.minor,
        reference=reference,
        now=uow.now,
        wall_now=uow.wall_now,
    )
    if made.scalar_one_or_none() is None:
        there = await _the_same(uow, key, invoice_id, money)
        if account_id and there.provider_account_id is None:
            there.provider_account_id, there.provider_ref = account_id, key
            there.version += 1
            uow.add(there)
        return there
    payment = await policies.payment_for(uow, payment_id, Capability.STAFF_PAYMENTS_WRITE, lock=True)
    charging.started(uow, payment)
    await applying.succeed(uow, payment, invoice)
    return payment


async def _the_same(uow: UnitOfWork, key: str, invoice_id: str | None, money: Money) -> Payment:
    """The transfer that was recorded by this key. Raises KeyMeansOther if it was another one."""
    there = await charging.known(uow, key, Capability.STAFF_PAYMENTS_WRITE)
    wanted = (PROVIDER, invoice_id, money)
    if there is None or (there.provider, there.invoice_id, Money(there.minor, there.currency)) != wanted:
        raise KeyMeansOther(
            f"{key!r} is the key of another payment.", next_step="Give another transfer another key."
        )
    return there


def _require_payable(invoice: Invoice, money: Money) -> None:
    state = InvoiceState(invoice.state)
    if state is InvoiceState.DRAFT:
        raise states.refused(state, "asks for nothing yet")
    if invoice.currency != money.currency:
        raise Invalid(
            f"The invoice is in {invoice.currency}, and the transfer in {money.currency}.",
            field="currency",
            next_step="Record it on account, or in the currency it was changed to.",
        )


def _reference(text: str) -> str:
    if not text.strip():
        return ""
    return clean_text(text, field="reference", what="The reference", characters_max=REFERENCE_CHARACTERS_MAX)
