"""Credits of a customer: made by credit notes, by invoices below zero and by payments of more than was due, and used
up by what is due, the oldest first. Each use names the credit and the invoice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Row

from models.billing import Invoice, InvoiceState
from models.customer_credits import CustomerCredit
from models.ledger import JournalKind, Purpose
from models.money import Money
from services.billing import policies, states
from services.billing.events import InvoicePaid
from services.billing.totals import CREDITS_MAX, Credit
from services.core.errors import not_found
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork, undone
from services.ledger import service as ledger
from services.ledger.rules import Draft, credit, debit
from services.subscriptions import first_payments
from services.wallets import debits as wallet

# Locked in one order, so that two invoices of one customer never wait for each other.
_LEFT = """
select id, left_minor from customer_credit
where organization_id = :organization_id and currency = :currency and left_minor > 0
order by created_at, id limit :most for update
"""
_OWED = """
select id, left_minor from customer_credit
where organization_id = :organization_id and currency = :currency and left_minor > 0
  and (source_id = :payment_id or source_id in (select id from credit_note where invoice_id = :invoice_id))
order by created_at, id limit :most for update
"""
_USES = """
select id, credit_id, minor, journal_id from credit_use
where invoice_id = :id and given_back_at is null order by credit_id, id
"""


@dataclass(frozen=True, slots=True)
class WalletPays:
    """What a wallet pays of an invoice, and what is due then, in minor units."""

    currency: str
    minor: int
    due_minor: int


def open_credit(
    uow: UnitOfWork, organization_id: str, source_id: str, amount: Money
) -> CustomerCredit | None:
    """Owe `amount` to the customer; the caller books it. Nothing is opened for nothing."""
    if amount.minor <= 0:
        return None
    made = CustomerCredit(
        id=new_id("crd"),
        organization_id=organization_id,
        source_id=source_id,
        currency=amount.currency,
        minor=amount.minor,
        left_minor=amount.minor,
        created_at=uow.now,
    )
    uow.add(made)
    return made


async def is_unused(uow: UnitOfWork, source_id: str) -> bool:
    """Whether nothing of what came from there is used. Locked."""
    found = await uow.execute(
        "select minor, left_minor from customer_credit where source_id = :id for update", id=source_id
    )
    return all(row.left_minor == row.minor for row in found)


async def withdraw(uow: UnitOfWork, source_id: str) -> bool:
    """Owe the customer what came from there no more; the caller books it. False, and nothing done, if any is used."""
    found = await uow.execute(
        "select id, minor, left_minor from customer_credit where source_id = :id for update", id=source_id
    )
    rows = list(found)
    if any(row.left_minor < row.minor for row in rows):
        return False
    for row in rows:
        await _move(uow, row.id, -row.minor)
    return True


async def available(uow: UnitOfWork, invoice: Invoice) -> list[Credit]:
    """What the customer may pay with in the invoice's currency, locked, the oldest first."""
    found = await uow.execute(
        _LEFT, organization_id=invoice.organization_id, currency=invoice.currency, most=CREDITS_MAX
    )
    return [Credit(row.id, Money(row.left_minor, invoice.currency)) for row in found]


async def owed_back(
    uow: UnitOfWork, *, payment_id: str, invoice_id: str | None, currency: str
) -> list[Credit]:
    """What is left of credits that a payment and the credit notes of its invoice made, locked, the oldest first. For
    verbs that were allowed to give it back."""
    found = await uow.execute(
        _OWED,
        organization_id=uow.organization_id,
        currency=currency,
        payment_id=payment_id,
        invoice_id=invoice_id,
        most=CREDITS_MAX,
    )
    return [Credit(row.id, Money(row.left_minor, currency)) for row in found]


async def hold(uow: UnitOfWork, held: Mapping[str, int]) -> None:
    """Take minor units from credits, by id, to be paid out; who calls books them. The database refuses more than is
    left."""
    for credit_id, minor in sorted(held.items()):
        await _move(uow, credit_id, -minor)


async def release(uow: UnitOfWork, held: Mapping[str, int]) -> None:
    """Give back what was held and is not paid out."""
    for credit_id, minor in sorted(held.items()):
        await _move(uow, credit_id, minor)


async def use(
    uow: UnitOfWork, invoice: Invoice, taken: list[Credit], *, pays: Purpose = Purpose.RECEIVABLE
) -> None:
    """Pay an invoice with what was `available`, and book it. Adds to `paid_minor` only; the caller settles. `pays` says
    whether that is due, or was given up."""
    if not taken:
        return
    for one in taken:
        use_id = new_id("cruse")
        posted = await ledger.post(
            uow,
            Draft(
                invoice.organization_id,
                key=f"credit_use:{use_id}",
                kind=JournalKind.CONSUMPTION,
                cause_id=invoice.id,
                entries=(debit(Purpose.CUSTOMER_CREDIT, one.left), credit(pays, one.left)),
                at=uow.now,
            ),
        )
        await uow.execute(
            "insert into credit_use (id, organization_id, credit_id, invoice_id, minor, journal_id, created_at)"
            " values (:id, :organization_id, :credit_id, :invoice_id, :minor, :journal_id, :now)",
            id=use_id,
            organization_id=invoice.organization_id,
            credit_id=one.id,
            invoice_id=invoice.id,
            minor=one.left.minor,
            journal_id=posted.id,
            now=uow.now,
        )
        await _move(uow, one.id, -one.left.minor)
        invoice.paid_minor += one.left.minor


async def give_back(uow: UnitOfWork, invoice: Invoice) -> None:
    """Undo every use for an invoice that is voided: the credits are there again."""
    found: list[Row[tuple[str, str, int, str]]] = list(await uow.execute(_USES, id=invoice.id))
    for row in found:
        await ledger.reverse(uow, row.journal_id, at=uow.now)
        await _move(uow, row.credit_id, row.minor)
        await uow.execute("update credit_use set given_back_at = :now where id = :id", now=uow.now, id=row.id)


async def pay_by_credits(uow: UnitOfWork, invoice_id: str) -> Invoice:
    """Use the customer's credits for what an invoice is still owed; paid, if nothing is due then.

    Without credits it changes nothing. Raises Forbidden, NotFound and InvoiceStateConflict.
    """
    invoice = await policies.invoice_for(uow, invoice_id, Capability.STAFF_INVOICES_WRITE)
    if InvoiceState(invoice.state) is not InvoiceState.FINALIZED:
        raise states.refused(InvoiceState(invoice.state), "cannot be paid")
    due, taken = invoice.due_minor, list[Credit]()
    for one in await available(uow, invoice):
        if minor := min(one.left.minor, due):
            taken.append(Credit(one.id, Money(minor, invoice.currency)))
            due -= minor
    await use(uow, invoice, taken)
    invoice.due_minor = due
    await settle(uow, invoice)
    return invoice


async def pay_by_wallet(uow: UnitOfWork, invoice_id: str) -> Invoice:
    """Use the wallet for what an invoice is still owed, as far as it goes; paid, if nothing is due then.

    With an empty wallet it changes nothing. Raises Forbidden, InvoiceStateConflict, and NotFound, also for a draft to
    whoever may not see drafts.
    """
    invoice = await policies.invoice_for(uow, invoice_id, Capability.WALLET_WRITE)
    if invoice.number is None and not uow.actor.may(Capability.STAFF_INVOICES_READ):
        raise not_found("invoice", invoice_id)
    if InvoiceState(invoice.state) is not InvoiceState.FINALIZED:
        raise states.refused(InvoiceState(invoice.state), "cannot be paid")
    there = await wallet.available(uow, invoice.currency)
    paid = min(there, Money(invoice.due_minor, invoice.currency))
    await wallet.pay(uow, invoice.id, paid)
    invoice.paid_minor += paid.minor
    invoice.due_minor -= paid.minor
    await settle(uow, invoice)
    return invoice


async def wallet_would_pay(uow: UnitOfWork, invoice_id: str) -> WalletPays:
    """What paying an invoice from the wallet comes to: it is done and undone. Raises as `pay_by_wallet`."""
    async with undone(uow):
        before = (await policies.invoice_for(uow, invoice_id, Capability.WALLET_WRITE)).due_minor
        paid = await pay_by_wallet(uow, invoice_id)
        due, code = paid.due_minor, paid.currency
    return WalletPays(code, before - due, due)


async def settle(uow: UnitOfWork, invoice: Invoice) -> None:
    """Write the invoice, as paid if nothing of it is due, and nothing that was given up is missing still."""
    uow.add(invoice)
    state = InvoiceState(invoice.state)
    recovered = state is InvoiceState.UNCOLLECTIBLE and not invoice.written_off_minor
    if invoice.due_minor or not (state is InvoiceState.FINALIZED or recovered):
        await uow.session.flush()
        return
    states.require_transition(state, InvoiceState.PAID)
    invoice.state, invoice.paid_at = InvoiceState.PAID.value, uow.now
    await uow.session.flush()
    uow.record(
        InvoicePaid(
            aggregate_id=invoice.id,
            organization_id=invoice.organization_id,
            currency=invoice.currency,
            number=invoice.number or "",
        )
    )
    if invoice.subscription_id is not None:
        await first_payments.settle(uow, invoice)


async def _move(uow: UnitOfWork, credit_id: str, minor: int) -> None:
    await uow.execute(
        "update customer_credit set left_minor = left_minor + :minor where id = :id",
        minor=minor,
        id=credit_id,
    )
