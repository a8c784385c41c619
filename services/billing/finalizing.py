"""A draft becomes a document: totals, tax, what is booked, and last of all its number.

The row of the number's counter is locked from the draw to the commit, so the draw stands at the end: a transaction
that fails gives its number back, and the others wait for as short a time as can be.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import orjson
import sqlalchemy as sa
from sqlmodel import select

from models.billing import BillingProfile, Invoice, InvoiceLine, InvoiceState, LegalEntity, ZeroDocuments
from models.ledger import JournalKind, Purpose
from models.money import Money
from services.billing import customer_credits, discounts, invoices, policies, states, taxation
from services.billing.discounts import Redemption
from services.billing.events import InvoiceFinalized
from services.billing.invoices import AMOUNT_MINOR_MAX
from services.billing.numbering import CounterKey, Reset, Series, label_date, parse_pattern
from services.billing.totals import InvoiceLine as LineOfTotals
from services.billing.totals import Totals, total
from services.core.errors import Conflict, Invalid
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.ledger import recognition
from services.ledger import service as ledger
from services.ledger.rules import Deferral, Draft, credit, debit
from services.tax.evidence import evidence_of
from services.tax.rules import RoundingLevel, summarise
from services.wallets import debits as wallet

POLICY = 1  # the edition of the rules by which documents are made; each keeps the one that made it
_DRAW = """
insert into number_series as s (legal_entity_id, series, brand, period, last)
values (:entity_id, :series, :brand, :period, 1)
on conflict (legal_entity_id, series, brand, period) do update set last = s.last + 1
returning last
"""
_FIX_LINES = """
update invoice_line l set discount_minor = f.discount, net_minor = f.net, tax_minor = f.tax, gross_minor = f.gross,
  tax = f.evidence
from jsonb_to_recordset(cast(:rows as jsonb))
  as f(id text, discount bigint, net bigint, tax bigint, gross bigint, evidence jsonb)
where l.id = f.id
"""


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
    then, it is paid.

    A draft that asks for nothing is dropped where the entity issues no such documents. Raises Forbidden, NotFound,
    InvoiceStateConflict for what is no draft, BillingProfileMissing, and Invalid for a draft without lines, tax rates
    that are not known, and sums that no document holds.
    """
    invoice = await policies.invoice_for(uow, invoice_id, needs)
    states.require_transition(InvoiceState(invoice.state), InvoiceState.FINALIZED)
    lines = await lines_of(uow, invoice)
    if not lines:
        raise Invalid("This draft has no lines.", field="lines", next_step="Add a line, or void it.")
    entity = await policies.entity_for(uow, invoice.legal_entity_id, needs)
    asks = any(line.amount_minor or line.billed_before_minor for line in lines)
    if not asks and entity.zero_documents == ZeroDocuments.DROP:
        await invoices.drop(uow, invoice)
        return invoice
    profile = await required_profile(uow)
    on = label_date(uow.now, entity.timezone)
    totals = await totals_of(uow, invoice, lines, entity, profile, on, redemptions)
    await _fix_lines(uow, totals)
    await _book(uow, invoice, lines, totals)
    _fix(invoice, entity, profile, totals, on)
    await customer_credits.use(uow, invoice, list(totals.credits))
    await wallet.pay(uow, invoice.id, totals.from_prepaid)
    invoice.paid_minor += totals.from_prepaid.minor
    customer_credits.open_credit(uow, invoice.organization_id, invoice.id, totals.carried)
    await _number(uow, invoice, entity, on, due=totals.due)
    await customer_credits.settle(uow, invoice)
    return invoice


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
    totals = total(
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
        rounding=RoundingLevel(entity.tax_rounding),
        redemptions=redemptions,
        notes=await customer_credits.available(uow, invoice),
        prepaid=await wallet.available(uow, code),
    )
    if max(abs(one.minor) for one in (totals.charged, totals.net, totals.gross)) > AMOUNT_MINOR_MAX:
        raise Invalid(
            f"An invoice over {totals.gross.text()} cannot be kept.",
            field="lines",
            next_step="Divide it into several.",
        )
    return totals


async def _fix_lines(uow: UnitOfWork, totals: Totals) -> None:
    rows = [
        {
            "id": one.key,
            "discount": one.discount.minor,
            "net": one.taxed.net.minor,
            "tax": one.taxed.tax.minor,
            "gross": one.taxed.gross.minor,
            "evidence": evidence_of(one.taxed),
        }
        for one in totals.lines
    ]
    await uow.execute(_FIX_LINES, rows=orjson.dumps(rows).decode())


async def _book(uow: UnitOfWork, invoice: Invoice, lines: Sequence[InvoiceLine], totals: Totals) -> None:
    """The debt, the tax that is owed, and revenue: deferred where a line is for a time, earned at once elsewhere."""
    nets = {line.key: line.taxed.net for line in totals.lines}
    organization = await policies.organization_of(uow)
    deferrals = [
        Deferral(line.id, nets[line.id], line.period_start, line.period_end, zone=organization.timezone)
        for line in lines
        if line.period_start is not None and line.period_end is not None and nets[line.id].minor
    ]
    if deferrals:
        await recognition.defer(uow, invoice.organization_id, *deferrals)
    deferred = sum((one.money for one in deferrals), Money(0, invoice.currency))
    owed = max(totals.gross, Money(0, invoice.currency))
    entries = (
        debit(Purpose.RECEIVABLE, owed),
        credit(Purpose.CUSTOMER_CREDIT, totals.carried),
        credit(Purpose.DEFERRED_REVENUE, deferred),
        credit(Purpose.REVENUE, totals.net - deferred),
        credit(Purpose.TAX_OWED, totals.tax),
    )
    if not any(entry.minor for entry in entries):
        return  # it says something and asks for nothing: there is nothing to book
    posted = await ledger.post(
        uow,
        Draft(
            invoice.organization_id,
            key=f"invoice:{invoice.id}",
            kind=JournalKind.INVOICE,
            cause_id=invoice.id,
            entries=entries,
            at=uow.now,
        ),
    )
    invoice.journal_id = posted.id


def _fix(invoice: Invoice, entity: LegalEntity, profile: BillingProfile, totals: Totals, on: date) -> None:
    """What the document says of its parties, its rules and its sums."""
    invoice.seller = {
        "code": entity.code,
        "name": entity.name,
        "address": entity.address,
        "country": entity.country,
        "tax_ids": entity.tax_ids,
    }
    invoice.buyer = {
        "name": profile.name,
        "address": profile.address,
        "country": profile.country,
        "language": profile.language,
        "tax_number": profile.tax_number and profile.tax_number["number"],
    }
    invoice.policy = {
        "edition": POLICY,
        "tax_rounding": entity.tax_rounding,
        "rounding": "half_away_from_zero",
        "timezone": entity.timezone,
        "pattern": entity.invoice_pattern,
        "reset": entity.invoice_reset,
    }
    invoice.coupons = [discounts.facts_of(one) for one in totals.coupons]
    invoice.taxes = [
        {
            "category": one.category.value,
            "name": one.rate.name if one.rate else "",
            "rate": f"{one.rate.rate:f}" if one.rate else None,
            "base_minor": one.base.minor,
            "tax_minor": one.tax.minor,
        }
        for one in summarise([line.taxed for line in totals.lines])
    ]
    invoice.charged_minor = (totals.charged - totals.billed_before).minor
    invoice.discount_minor = totals.discounted.minor
    invoice.net_minor, invoice.tax_minor = totals.net.minor, totals.tax.minor
    invoice.total_minor = totals.gross.minor
    invoice.label_date = on
    invoice.due_date = on + timedelta(days=entity.payment_days)


async def _number(uow: UnitOfWork, invoice: Invoice, entity: LegalEntity, on: date, *, due: Money) -> None:
    drawn = await draw_number(uow, entity, Series.INVOICE, on)
    invoice.number, invoice.sequence = drawn["number"], drawn["sequence"]
    invoice.series_brand, invoice.series_period = drawn["series_brand"], drawn["series_period"]
    invoice.state, invoice.finalized_at = InvoiceState.FINALIZED.value, uow.now
    invoice.due_minor = due.minor
    uow.record(
        InvoiceFinalized(
            aggregate_id=invoice.id,
            organization_id=invoice.organization_id,
            currency=invoice.currency,
            number=drawn["number"],
            total_minor=invoice.total_minor,
            due_minor=invoice.due_minor,
        )
    )


async def draw_number(uow: UnitOfWork, entity: LegalEntity, series: Series, on: date) -> dict[str, Any]:
    """The next number of the entity's series, which nobody else draws until this work has ended. Call it last."""
    is_invoice = series is Series.INVOICE
    text, reset = (
        (entity.invoice_pattern, entity.invoice_reset)
        if is_invoice
        else (entity.note_pattern, entity.note_reset)
    )
    pattern = parse_pattern(text, Reset(reset))
    counter: CounterKey = pattern.counter_key(entity=entity.code, brand=entity.brand, series=series, on=on)
    drawn = await uow.execute(
        _DRAW, entity_id=entity.id, series=series.value, brand=counter.brand, period=counter.period
    )
    sequence: int = drawn.scalar_one()
    return {
        "number": pattern.format(entity=entity.code, brand=entity.brand, on=on, seq=sequence),
        "sequence": sequence,
        "series_brand": counter.brand,
        "series_period": counter.period,
    }
