"""Money that came pays its invoice: what is due first, then what was given up; the rest is a credit of the customer.

Called by verbs that were allowed what they do, and by what follows providers. The invoice is locked before the
payment everywhere, so that a payment and a credit note of one invoice never wait for each other.
"""

from __future__ import annotations

from models.billing import Invoice, InvoiceState
from models.ledger import JournalKind, Purpose
from models.money import Money
from models.payments import Payment, PaymentState
from services.billing import customer_credits, reopening
from services.core.work import UnitOfWork
from services.dunning import recovering as dunning
from services.ledger import service as ledger
from services.ledger.rules import Draft, credit, debit
from services.payments import filling, rules
from services.payments.events import PaymentSucceeded, PaymentTakenBack
from services.payments.providers import registry


async def succeed(
    uow: UnitOfWork, payment: Payment, invoice: Invoice | None, *, provider_ref: str | None = None
) -> None:
    """Book a payment and have it pay; a provider may know it by another name by now. Both rows are locked. Raises
    PaymentStateConflict for one that succeeded."""
    rules.require_transition(PaymentState(payment.state), PaymentState.SUCCEEDED)
    applied = divided(payment.minor, invoice)
    journal_id = await _book(uow, payment, applied)
    payment.state, payment.succeeded_at = PaymentState.SUCCEEDED.value, uow.now
    payment.ended_at, payment.check_at = uow.wall_now, None
    payment.decline_code = payment.decline_hard = payment.decline_kind = payment.decline_advice = None
    payment.action = None
    payment.message = ""
    payment.applied_minor = applied.to_invoice
    payment.version += 1
    payment.journal_id = journal_id
    payment.provider_ref = provider_ref or payment.provider_ref
    uow.add(payment)
    over = Money(applied.over, payment.currency)
    customer_credits.open_credit(uow, payment.organization_id, payment.id, over)
    await uow.session.flush()
    await filling.fill(uow, payment)
    uow.record(
        PaymentSucceeded(
            aggregate_id=payment.id,
            organization_id=payment.organization_id,
            currency=payment.currency,
            invoice_id=payment.invoice_id,
            minor=payment.minor,
            over_minor=0 if payment.top_up_id else applied.over,
            provider=payment.provider,
        )
    )
    if invoice is not None:
        await pay(uow, invoice, applied)


async def pay(uow: UnitOfWork, invoice: Invoice, applied: rules.Applied) -> None:
    """Have a locked invoice be paid by what was booked for it."""
    if applied.to_invoice:
        invoice.paid_minor += applied.to_invoice
        invoice.due_minor -= applied.to_due
        invoice.written_off_minor -= applied.to_written_off
        await customer_credits.settle(uow, invoice)
        await dunning.money_came(uow, invoice, applied.to_invoice)


async def reopen(uow: UnitOfWork, invoice: Invoice, minor: int) -> None:
    """Have `minor` of what paid a locked invoice be owed again. The caller books it."""
    await reopening.take_back(uow, invoice, minor)
    await dunning.money_went(uow, invoice, minor)


async def take_back(uow: UnitOfWork, payment: Payment, invoice: Invoice | None) -> bool:
    """Undo a payment whose money was taken away again: what it paid is due. Both rows are locked.

    Returns False, and changes nothing, where that cannot be undone: what was over is spent, some of it was given back,
    or its invoice was given up meanwhile.
    """
    if not may_be_taken_back(payment, invoice) or payment.journal_id is None:
        return False
    if not await is_unused(uow, payment):
        return False
    await filling.take_out(uow, payment, payment.minor)
    if not await customer_credits.withdraw(uow, payment.id):
        return False
    await ledger.reverse(uow, payment.journal_id, at=uow.now)
    paid = invoice if payment.applied_minor else None
    if paid is not None:
        await reopen(uow, paid, payment.applied_minor)
    payment.applied_minor, payment.refunded_minor = 0, payment.minor
    payment.message = "This money was taken away again after it had come."
    payment.version += 1
    uow.add(payment)
    await uow.session.flush()
    uow.record(
        PaymentTakenBack(
            aggregate_id=payment.id,
            organization_id=payment.organization_id,
            currency=payment.currency,
            invoice_id=payment.invoice_id,
            minor=payment.minor,
        )
    )
    return True


def may_be_taken_back(payment: Payment, invoice: Invoice | None) -> bool:
    """As far as payment and invoice say, which are locked: what was over may be spent all the same."""
    if payment.refunded_minor or payment.journal_id is None:
        return False
    if invoice is None or not payment.applied_minor:
        return True
    return invoice.uncollectible_at is None and invoice.state in (InvoiceState.FINALIZED, InvoiceState.PAID)


async def is_unused(uow: UnitOfWork, payment: Payment) -> bool:
    """Whether nothing was spent of what a payment left the customer, as a credit or in a wallet."""
    filled = await filling.returnable(uow, payment)
    if filled is not None:
        return filled.all.left.minor == payment.minor
    return await customer_credits.is_unused(uow, payment.id)


def divided(minor: int, invoice: Invoice | None) -> rules.Applied:
    """What money that came pays of a locked invoice as it is now."""
    if invoice is None:
        return rules.apply(minor, None, due=0, written_off=0)
    return rules.apply(
        minor,
        InvoiceState(invoice.state),
        due=invoice.due_minor,
        written_off=invoice.written_off_minor,
    )


async def _book(uow: UnitOfWork, payment: Payment, applied: rules.Applied) -> str:
    """Money that a provider took is with the provider until it pays out; a transfer is on our own account."""
    arrived = registry.held_on(payment.provider)
    code = payment.currency
    posted = await ledger.post(
        uow,
        Draft(
            payment.organization_id,
            key=f"payment:{payment.id}",
            kind=JournalKind.PAYMENT,
            cause_id=payment.id,
            entries=(
                debit(arrived, Money(payment.minor, code)),
                credit(Purpose.RECEIVABLE, Money(applied.to_due, code)),
                credit(Purpose.WRITE_OFFS, Money(applied.to_written_off, code)),
                credit(Purpose.CUSTOMER_CREDIT, Money(applied.over, code)),
            ),
            at=uow.now,
        ),
    )
    return posted.id
