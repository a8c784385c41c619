"""A credit that arises pays what the customer owes already, before it is kept.

What is contested, what a bank is taking back, and what a payment is under way for are left alone.
Source: docs/decisions/0049-paid-time.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlmodel import and_, or_, select

from models.billing import Invoice, InvoiceState
from models.customer_credits import CustomerCredit
from models.ledger import Purpose
from models.money import Money
from services.billing import customer_credits
from services.billing.contested import CONTESTED
from services.billing.totals import Credit
from services.core.work import UnitOfWork

INVOICES_MAX = 500  # that one credit is set against; what is left of it pays what comes

_COLLECTABLE = f"""
select i.id, i.due_minor + i.written_off_minor - {CONTESTED} - coalesce((
    select sum(d.taken_invoice_minor) from dispute d join payment p on p.id = d.payment_id
    where p.invoice_id = i.id and d.state not in ('warning_closed', 'won', 'lost')
  ), 0)::bigint as minor
from invoice i
where i.id = any(:ids) and not exists (
  select from payment p where p.invoice_id = i.id and p.state in ('sending', 'requires_action', 'processing')
)
"""


async def lock_with_owed(uow: UnitOfWork, invoice_id: str) -> None:
    """Lock an invoice that a credit is to come of, and all that the credit may pay, by id: two at once, each paying
    what the other credits, would wait for each other if each held its own first."""
    found = await uow.execute("select currency, subscription_id from invoice where id = :id", id=invoice_id)
    if (one := found.one_or_none()) is not None:
        await lock_owed(uow, one.currency, one.subscription_id, beside=[invoice_id])


async def lock_owed(
    uow: UnitOfWork, currency: str, of: str | None, *, beside: Sequence[str] = (), waits: bool = True
) -> list[Invoice]:
    """The open invoices of the organisation, those of the subscription `of` that were given up, and those `beside`
    them, locked by id. Before its credits are, as everywhere."""
    wanted = [and_(Invoice.state == InvoiceState.FINALIZED.value, Invoice.due_minor > 0)]
    if of is not None:
        was_given_up = Invoice.state == InvoiceState.UNCOLLECTIBLE.value
        wanted.append(and_(was_given_up, Invoice.written_off_minor > 0, Invoice.subscription_id == of))
    if beside:
        wanted.append(and_(sa.column("id").in_(beside)))
    found = await uow.session.exec(
        select(Invoice)
        .where(Invoice.organization_id == uow.organization_id, Invoice.currency == currency)
        .where(or_(*wanted))
        .order_by(sa.asc("id"))
        .limit(INVOICES_MAX)
        .with_for_update(skip_locked=not waits)
        .execution_options(populate_existing=True)
    )
    return list(found.all())


async def keep(
    uow: UnitOfWork, *, organization_id: str, source_id: str, amount: Money, of: str | None = None
) -> None:
    """Owe `amount` to the customer, for what `source_id` names, and have it pay what is owed: for the subscription `of`
    first, also where that was given up, then the oldest. The caller books what opens it; what it pays is booked."""
    credit = customer_credits.open_credit(uow, organization_id, source_id, amount)
    if credit is not None:
        await _pay(uow, credit, of)


async def _pay(uow: UnitOfWork, credit: CustomerCredit, of: str | None) -> None:
    # What there was is locked by now, in its order; who holds one that came since may be waiting for these.
    owed = await lock_owed(uow, credit.currency, of, waits=False)
    if not owed:
        return
    found = await uow.execute(_COLLECTABLE, ids=[one.id for one in owed])
    minor_of = {row.id: row.minor for row in found}
    owed.sort(
        key=lambda one: (of is None or one.subscription_id != of, one.finalized_at or one.created_at, one.id)
    )
    left = credit.left_minor
    for invoice in owed:
        minor = min(left, minor_of.get(invoice.id, 0))
        if minor > 0:
            await _settle(uow, invoice, Credit(credit.id, Money(minor, credit.currency)))
            left -= minor


async def _settle(uow: UnitOfWork, invoice: Invoice, taken: Credit) -> None:
    if invoice.state == InvoiceState.UNCOLLECTIBLE:
        await customer_credits.use(uow, invoice, [taken], pays=Purpose.WRITE_OFFS)
        invoice.written_off_minor -= taken.left.minor
    else:
        await customer_credits.use(uow, invoice, [taken])
        invoice.due_minor -= taken.left.minor
    await customer_credits.settle(uow, invoice)
