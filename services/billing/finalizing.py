"""A draft becomes a document: totals, tax, what is booked, and last of all its number.

The row of the number's counter is locked from the draw to the commit, so the draw stands at the end: a transaction
that fails gives its number back, and the others wait for as short a time as can be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import orjson
import sqlalchemy as sa
from sqlmodel import select

from models.billing import BillingProfile, Invoice, InvoiceLine, InvoiceState, LegalEntity, ZeroDocuments
from models.money import Money
from services.billing import customer_credits, invoices, offsetting, policies, states, taxation
from services.billing.discounts import Redemption
from services.billing.events import InvoiceFinalized
from services.billing.final_rules import (
    booking_of,
    deferrals_of,
    fixed_line,
    said_by_issuer,
    said_of,
    totals_by,
)
from services.billing.issuers import Issuer
from services.billing.numbering import CounterKey, Reset, Series, label_date, parse_pattern
from services.billing.totals import InvoiceLine as LineOfTotals
from services.billing.totals import Totals
from services.core.errors import Conflict, Invalid
from services.core.permissions import Capability
from services.core.work import UnitOfWork, undone
from services.ledger import recognition
from services.ledger import service as ledger
from services.wallets import debits as wallet

_DRAW = """
insert into number_series as s (legal_entity_id, series, brand, period, last)
values (:entity_id, :series, :brand, :period, :count)
on conflict (legal_entity_id, series, brand, period) do update set last = s.last + :count
returning last
"""
_FIX_LINES = """
update invoice_line l set discount_minor = f.discount_minor, net_minor = f.net_minor, tax_minor = f.tax_minor,
  gross_minor = f.gross_minor, tax = f.tax
from jsonb_to_recordset(cast(:rows as jsonb))
  as f(id text, discount_minor bigint, net_minor bigint, tax_minor bigint, gross_minor bigint, tax jsonb)
where l.id = f.id
"""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A number that was drawn, and the counter that it is of."""

    number: str
    sequence: int
    series_brand: str
    series_period: str


class BillingProfileMissing(Conflict):
    """Nobody said to whom the documents of the organisation are addressed."""

    code = "billing_profile_missing"
    title = "The organisation has no billing profile"


async def finalize(
    uow: UnitOfWork,
    invoice_id: str,
    *,
    redemptions: Sequence[Redemption] = (),
    needs: Capability = Capability.STAFF_INVOICES_WRITE,
) -> Invoice:
    """Number a draft and fix all it says. Credits of the customer pay at once, then its wallet; if nothing is due
    then, it is paid. What it comes to below zero pays other open invoices, and the rest is a credit.

    A draft that asks for nothing is dropped where the entity issues no such documents. Raises Forbidden, NotFound,
    InvoiceStateConflict for what is no draft, BillingProfileMissing, and Invalid for a draft without lines, tax rates
    that are not known, and sums that no document holds.
    """
    invoice = await policies.invoice_for(uow, invoice_id, needs)
    states.require_transition(InvoiceState(invoice.state), InvoiceState.FINALIZED)
    return await finalize_draft(uow, invoice, await lines_of(uow, invoice), redemptions, needs)


async def finalize_draft(
    uow: UnitOfWork,
    invoice: Invoice,
    lines: Sequence[InvoiceLine],
    redemptions: Sequence[Redemption],
    needs: Capability,
) -> Invoice:
    """As `finalize`, of a draft that is locked, with all of its lines. It is due as its subscription has it."""
    if not lines:
        raise Invalid("This draft has no lines.", field="lines", next_step="Add a line, or void it.")
    entity = await policies.entity_for(uow, invoice.legal_entity_id, needs)
    brand = await policies.brand_for(uow, invoice.brand_id, needs)
    asks = any(line.amount_minor or line.billed_before_minor for line in lines)
    if not asks and entity.zero_documents == ZeroDocuments.DROP:
        await invoices.drop(uow, invoice)
        return invoice
    profile = await required_profile(uow)
    on = label_date(uow.now, entity.timezone)
    if any(line.amount_minor < line.billed_before_minor for line in lines):
        await offsetting.lock_owed(uow, invoice.currency, invoice.subscription_id)
    totals = await totals_of(uow, invoice, lines, entity, profile, on, redemptions)
    await _fix_lines(uow, totals)
    journal_id = await _book(uow, invoice, lines, totals)
    await customer_credits.use(uow, invoice, list(totals.credits))
    await wallet.pay(uow, invoice.id, totals.from_prepaid)
    invoice.paid_minor += totals.from_prepaid.minor
    await offsetting.keep(
        uow,
        organization_id=invoice.organization_id,
        source_id=invoice.id,
        amount=totals.carried,
        of=invoice.subscription_id,
    )
    drawn = await _number(uow, invoice, Issuer(entity, brand), on)
    invoice.journal_id = journal_id
    asked = await policies.payment_days_of(uow, invoice)
    said = said_of(profile, totals, on, payment_days=entity.payment_days if asked is None else asked)
    _fix(invoice, said_by_issuer(entity, brand) | said, drawn, uow.now)
    invoice.due_minor = totals.due.minor
    uow.record(
        InvoiceFinalized(
            aggregate_id=invoice.id,
            organization_id=invoice.organization_id,
            currency=invoice.currency,
            number=drawn.number,
            total_minor=invoice.total_minor,
            due_minor=invoice.due_minor,
        )
    )
    await uow.session.flush()  # the database lets no draft be paid at once
    await customer_credits.settle(uow, invoice)
    uow.read.append(invoice)
    return invoice


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A draft as the document that it would be now, with its lines; the number is not drawn."""

    invoice: Invoice
    lines: tuple[InvoiceLine, ...]


async def foresee(uow: UnitOfWork, invoice_id: str) -> Foreseen:
    """What finalising a draft comes to: it is done and undone. Raises as `finalize`."""
    async with undone(uow):
        made = await finalize(uow, invoice_id)
        lines = await lines_of(uow, made)
        return Foreseen(
            Invoice(**made.model_dump()), tuple(InvoiceLine(**line.model_dump()) for line in lines)
        )


async def required_profile(uow: UnitOfWork) -> BillingProfile:
    """To whom documents of the organisation are addressed. Raises BillingProfileMissing."""
    profile = await policies.profile_of(uow)
    if profile is None:
        raise BillingProfileMissing(
            "Nobody said to whom documents of this organisation are addressed.",
            next_step="Enter its billing profile: name, address and country.",
        )
    return profile


async def lines_of(uow: UnitOfWork, invoice: Invoice) -> list[InvoiceLine]:
    """All lines of an invoice that the caller was let to, in their order."""
    found = await uow.session.exec(
        select(InvoiceLine)
        .where(InvoiceLine.invoice_id == invoice.id)
        .order_by(sa.asc("position"))
        .execution_options(populate_existing=True)
    )
    return list(found.all())


async def totals_of(
    uow: UnitOfWork,
    invoice: Invoice,
    lines: Sequence[InvoiceLine],
    entity: LegalEntity,
    profile: BillingProfile,
    on: date,
    redemptions: Sequence[Redemption],
) -> Totals:
    """What the invoice comes to with these lines on the day `on`; neither needs to be kept. Raises Invalid for tax
    rates that are not known, and sums that no document holds."""
    code = invoice.currency
    treatments = await taxation.treatments(uow, entity, profile, lines, on)
    return totals_by(
        entity,
        [
            LineOfTotals(
                key=line.id,
                charged=Money(line.amount_minor, code),
                treatment=treatment,
                billed_before=Money(line.billed_before_minor, code),
                inclusive=line.inclusive,
                metric=line.metric,
                plan=line.plan,
                discountable=line.discountable,
                tax=None if line.given_tax_minor is None else Money(line.given_tax_minor, code),
            )
            for line, treatment in zip(lines, treatments, strict=True)
        ],
        currency=code,
        redemptions=redemptions,
        notes=await customer_credits.available(uow, invoice),
        prepaid=await wallet.available(uow, code),
    )


async def _fix_lines(uow: UnitOfWork, totals: Totals) -> None:
    rows = [{"id": one.key, **fixed_line(one)} for one in totals.lines]
    await uow.execute(_FIX_LINES, rows=orjson.dumps(rows).decode())


async def _book(
    uow: UnitOfWork, invoice: Invoice, lines: Sequence[InvoiceLine], totals: Totals
) -> str | None:
    """The id of the journal, if there is anything to book. Nobody sees what is booked of what will be undone."""
    if uow.undoes:
        return None
    organization = await policies.organization_of(uow)
    periods = {line.id: (line.period_start, line.period_end) for line in lines}
    deferrals = deferrals_of(totals, periods, zone=organization.timezone)
    if deferrals:
        await recognition.defer(uow, invoice.organization_id, *deferrals)
    booked = booking_of(invoice.id, invoice.organization_id, totals, deferrals, at=uow.now)
    return (await ledger.post(uow, booked)).id if booked is not None else None


def _fix(invoice: Invoice, said: Mapping[str, Any], drawn: Drawn, now: datetime) -> None:
    for name, value in said.items():
        setattr(invoice, name, value)
    invoice.number, invoice.sequence = drawn.number, drawn.sequence
    invoice.series_brand, invoice.series_period = drawn.series_brand, drawn.series_period
    invoice.state, invoice.finalized_at = InvoiceState.FINALIZED.value, now


async def _number(uow: UnitOfWork, invoice: Invoice, by: Issuer, on: date) -> Drawn:
    """The next number; for what will be undone one of its own, for which nobody has to wait."""
    if uow.undoes:
        return Drawn(invoice.id, 0, invoice.id, "")
    (drawn,) = await draw_numbers(uow, by, Series.INVOICE, on)
    return drawn


async def draw_numbers(
    uow: UnitOfWork, by: Issuer, series: Series, on: date, *, count: int = 1
) -> list[Drawn]:
    """The next `count` numbers of the issuer's series, which nobody else draws until this work has ended. Call it
    last."""
    entity, brand = by.entity, by.brand
    is_invoice = series is Series.INVOICE
    text, reset = (
        (entity.invoice_pattern, entity.invoice_reset)
        if is_invoice
        else (entity.note_pattern, entity.note_reset)
    )
    pattern = parse_pattern(text, Reset(reset))
    counter: CounterKey = pattern.counter_key(entity=entity.code, brand=brand.code, series=series, on=on)
    drawn = await uow.execute(
        _DRAW,
        entity_id=entity.id,
        series=series.value,
        brand=counter.brand,
        period=counter.period,
        count=count,
    )
    last: int = drawn.scalar_one()
    return [
        Drawn(
            pattern.format(entity=entity.code, brand=brand.code, on=on, seq=sequence),
            sequence,
            counter.brand,
            counter.period,
        )
        for sequence in range(last - count + 1, last + 1)
    ]
