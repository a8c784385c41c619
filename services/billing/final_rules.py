"""What finalising fixes on a document, its lines and in the books. Pure: the same for one that is finalised by itself
and for many at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from models.billing import BillingProfile, LegalEntity
from models.brands import Brand
from models.ledger import JournalKind, Purpose
from models.money import Money
from services.billing import discounts
from services.billing.discounts import Redemption
from services.billing.invoices import AMOUNT_MINOR_MAX
from services.billing.totals import Credit, InvoiceLine, TotalledLine, Totals, total
from services.core.errors import Invalid
from services.ledger.rules import Deferral, Draft, credit, debit
from services.tax.evidence import evidence_of
from services.tax.rules import RoundingLevel, summarise

POLICY = 1  # the edition of the rules by which documents are made; each keeps the one that made it
Periods = Mapping[str, tuple[datetime | None, datetime | None]]  # of lines, by their ids


def totals_by(
    entity: LegalEntity,
    lines: Sequence[InvoiceLine],
    *,
    currency: str,
    redemptions: Sequence[Redemption] = (),
    notes: Sequence[Credit] = (),
    prepaid: Money | None = None,
) -> Totals:
    """What a document of the entity comes to. Raises Invalid for sums that no document holds."""
    made = total(
        lines,
        currency=currency,
        rounding=RoundingLevel(entity.tax_rounding),
        redemptions=redemptions,
        notes=notes,
        prepaid=prepaid,
    )
    if max(abs(one.minor) for one in (made.charged, made.net, made.gross)) > AMOUNT_MINOR_MAX:
        raise Invalid(
            f"An invoice over {made.gross.said()} cannot be kept.",
            field="lines",
            next_step="Divide it into several.",
        )
    return made


def fixed_line(line: TotalledLine) -> dict[str, Any]:
    """What becomes of a line: the columns that finalising fixes."""
    return {
        "discount_minor": line.discount.minor,
        "net_minor": line.taxed.net.minor,
        "tax_minor": line.taxed.tax.minor,
        "gross_minor": line.taxed.gross.minor,
        "tax": evidence_of(line.taxed),
    }


def deferrals_of(totals: Totals, periods: Periods, *, zone: str) -> list[Deferral]:
    """Revenue of lines that are for a time: it is earned while that passes, cut by the calendar of `zone`."""
    made: list[Deferral] = []
    for line in totals.lines:
        start, end = periods[line.key]
        if start is not None and end is not None and line.taxed.net.minor:
            made.append(Deferral(line.key, line.taxed.net, start, end, zone=zone))
    return made


def booking_of(
    invoice_id: str, organization_id: str, totals: Totals, deferrals: Sequence[Deferral], *, at: datetime
) -> Draft | None:
    """The debt, the tax that is owed, and revenue: deferred where a line is for a time, earned at once elsewhere.
    None for a document that says something and asks for nothing."""
    nothing = Money(0, totals.gross.currency)
    deferred = Money(sum(one.money.minor for one in deferrals), nothing.currency)
    asked = (
        debit(Purpose.RECEIVABLE, max(totals.gross, nothing)),
        credit(Purpose.CUSTOMER_CREDIT, totals.carried),
        credit(Purpose.DEFERRED_REVENUE, deferred),
        credit(Purpose.REVENUE, totals.net - deferred),
        credit(Purpose.TAX_OWED, totals.tax),
    )
    entries = tuple(entry for entry in asked if entry.minor)
    if not entries:
        return None
    return Draft(
        organization_id,
        key=f"invoice:{invoice_id}",
        kind=JournalKind.INVOICE,
        cause_id=invoice_id,
        entries=entries,
        at=at,
    )


def said_by_issuer(entity: LegalEntity, brand: Brand) -> dict[str, Any]:
    """What each of its documents says of who issues it and by which rules: columns that finalising fixes."""
    return {
        "seller": {
            "code": entity.code,
            "name": entity.name,
            "address": entity.address,
            "country": entity.country,
            "tax_ids": entity.tax_ids,
            "brand": {"code": brand.code, "name": brand.name},
        },
        "policy": {
            "edition": POLICY,
            "tax_rounding": entity.tax_rounding,
            "rounding": "half_away_from_zero",
            "timezone": entity.timezone,
            "pattern": entity.invoice_pattern,
            "reset": entity.invoice_reset,
        },
    }


def said_of(profile: BillingProfile, totals: Totals, on: date, *, payment_days: int) -> dict[str, Any]:
    """What the document says of its buyer and its sums: the other columns that finalising fixes. It is due within
    `payment_days`."""
    return {
        "buyer": {
            "name": profile.name,
            "address": profile.address,
            "country": profile.country,
            "language": profile.language,
            "tax_number": profile.tax_number and profile.tax_number["number"],
        },
        "coupons": [discounts.facts_of(one) for one in totals.coupons],
        "taxes": [
            {
                "category": one.category.value,
                "name": one.rate.name if one.rate else "",
                "rate": f"{one.rate.rate:f}" if one.rate else None,
                "base_minor": one.base.minor,
                "tax_minor": one.tax.minor,
            }
            for one in summarise([line.taxed for line in totals.lines])
        ],
        "charged_minor": (totals.charged - totals.billed_before).minor,
        "discount_minor": totals.discounted.minor,
        "net_minor": totals.net.minor,
        "tax_minor": totals.tax.minor,
        "total_minor": totals.gross.minor,
        "label_date": on,
        "due_date": on + timedelta(days=payment_days),
    }
