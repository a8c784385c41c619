"""Bank transfers, recorded by hand by staff that saw them on a statement."""

from __future__ import annotations

from models.billing import Invoice, InvoiceState
from models.money import Money
from models.payments import Initiator, Payment, PaymentState
from services.billing import policies as of_billing
from services.billing import states
from services.billing.invoices import AMOUNT_MINOR_MAX, KeyMeansOther, require_key
from services.core.errors import Invalid
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.identity.rules import clean_text
from services.payments import applying
from services.payments.events import PaymentStarted

PROVIDER = "bank"
REFERENCE_CHARACTERS_MAX = 140  # as ISO 20022 allows in a remittance line


async def record(
    uow: UnitOfWork, *, money: Money, key: str, reference: str = "", invoice_id: str | None = None
) -> Payment:
    """Record money that came by bank transfer, for an invoice or on account. The same key is the same transfer, for
    good; what is more than was due becomes a credit of the customer.

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
    if (there := await _known(uow, key)) is not None:
        if (there.provider, there.invoice_id, there.minor, there.currency) != (
            PROVIDER, invoice_id, money.minor, money.currency,
        ):  # fmt: skip
            raise KeyMeansOther(
                f"{key!r} is the key of another payment.", next_step="Give another transfer another key."
            )
        return there
    payment = Payment(
        id=new_id("pay"),
        organization_id=uow.organization_id,
        invoice_id=invoice_id,
        provider=PROVIDER,
        key=key,
        state=PaymentState.PROCESSING.value,
        initiator=Initiator.STAFF.value,
        currency=money.currency,
        minor=money.minor,
        reference=reference,
        created_at=uow.now,
    )
    uow.record(
        PaymentStarted(
            aggregate_id=payment.id,
            organization_id=payment.organization_id,
            currency=payment.currency,
            invoice_id=invoice_id,
            minor=payment.minor,
            provider=PROVIDER,
            initiator=payment.initiator,
        )
    )
    await applying.succeed(uow, payment, invoice)
    return payment


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


async def _known(uow: UnitOfWork, key: str) -> Payment | None:
    found = await uow.execute(
        "select * from payment where organization_id = :organization_id and key = :key",
        organization_id=uow.organization_id,
        key=key,
    )
    row = found.mappings().one_or_none()
    return None if row is None else Payment(**row)


def _reference(text: str) -> str:
    if not text.strip():
        return ""
    return clean_text(text, field="reference", what="The reference", characters_max=REFERENCE_CHARACTERS_MAX)
