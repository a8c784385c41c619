"""Invoices as pages show them: plain rows of documents, lines, notes and explanations."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Any

from models.billing import Invoice, InvoiceLine
from models.money import Money
from services.billing.customer_credits import WalletPays
from services.billing.explaining import Explanation, Step, TaxStep
from services.billing.finalizing import Foreseen
from services.billing.notes import NotePreview
from services.billing.queries import CreditUseRow, InvoiceRow, NoteDetail
from services.core.work import UnitOfWork
from services.papers import queries as papers
from state.format import decimal_text, instant_text

FILTERS = ("state", "overdue", "number", "created_at[gte]", "created_at[lt]")
LINES_PER_PAGE = 50
NOTES_SHOWN_MAX = 50


def row_shown(row: InvoiceRow, home: str) -> dict[str, Any]:
    return {
        "id": row.id,
        "href": f"{home}/{row.id}",
        "name": row.number or row.id,
        "organization": row.organization_name,
        "brand": f"{row.legal_entity} {row.brand}",
        "state": row.state,
        "currency": row.currency,
        # What has no number has no sums yet: they are worked out when it is finalised.
        "total": _amount(row.total_minor, row.currency) if row.number else "",
        "due": _amount(row.due_minor, row.currency) if row.number else "",
        "label_date": row.label_date or "",
        "due_date": row.due_date or "",
        "days_overdue": row.days_overdue or 0,
        "created_at": instant_text(row.created_at),
        "memo": row.memo,
    }


def invoice_shown(row: Invoice, days_overdue: int | None) -> dict[str, Any]:
    """Amounts are decimal text; parties are the lines that stand on the document."""
    amounts = ("charged", "discount", "net", "tax", "total", "credited", "paid", "written_off", "due")
    return {
        "id": row.id,
        "organization_id": row.organization_id,
        "name": row.number or row.id,
        "number": row.number or "",
        "state": row.state,
        "days_overdue": days_overdue or 0,
        "currency": row.currency,
        "memo": row.memo,
        "label_date": row.label_date.isoformat() if row.label_date else "",
        "due_date": row.due_date.isoformat() if row.due_date else "",
        "collect_until": instant_text(row.collect_until),
        **parties_shown(row),
        **{name: _amount(getattr(row, f"{name}_minor"), row.currency) for name in amounts},
    }


def parties_shown(row: Invoice) -> dict[str, str]:
    """Seller and buyer, empty where a draft has none yet."""
    seller, buyer = row.seller or {}, row.buyer or {}
    return {
        "seller": _party(seller),
        "seller_country": seller.get("country") or "",
        "seller_tax": ", ".join(f"{one['kind']} {one['number']}" for one in seller.get("tax_ids", [])),
        "buyer": _party(buyer),
        "buyer_country": buyer.get("country") or "",
        "buyer_tax": buyer.get("tax_number") or "",
    }


async def papers_shown(
    uow: UnitOfWork, of: Invoice, notes: Sequence[NoteDetail], *, staff: bool = False
) -> tuple[dict[str, Any], set[str]]:
    """How far the files of the invoice are, empty for what has none, and which of its notes have theirs."""
    if of.number is None:
        return {"paper": "", "has_ubl": False, "paper_error": ""}, set()
    paper = await papers.invoice_paper(uow, of.id, staff=staff)
    made = await papers.made_of(uow, [note.id for note in notes])
    shown = {"paper": paper.state, "has_ubl": not paper.missing, "paper_error": paper.error if staff else ""}
    return shown, made


def _party(said: dict[str, Any]) -> str:
    return "\n".join(part for part in (said.get("name"), said.get("address")) if part)


def taxes_shown(row: Invoice) -> list[dict[str, Any]]:
    return [
        {
            "id": str(place),
            "name": one["name"],
            "category": one["category"],
            "rate": _percent(one["rate"]),
            "currency": row.currency,
            "base": _amount(one["base_minor"], row.currency),
            "tax": _amount(one["tax_minor"], row.currency),
        }
        for place, one in enumerate(row.taxes or [])
    ]


def line_shown(row: InvoiceLine, currency: str, *, summed: bool = True) -> dict[str, Any]:
    """Net and tax are empty until the document is `summed`."""
    return {
        "id": row.id,
        "description": row.description,
        "quantity": decimal_text(row.quantity),
        "currency": currency,
        "amount": _amount(row.amount_minor, currency),
        "discount": _amount(row.discount_minor, currency) if row.discount_minor else "",
        "net": _amount(row.net_minor, currency) if summed else "",
        "tax": _amount(row.tax_minor, currency) if summed else "",
        "gross": _amount(row.gross_minor, currency),
        "period_start": instant_text(row.period_start),
        "period_end": instant_text(row.period_end),
    }


def note_shown(note: NoteDetail, made: Collection[str] = ()) -> dict[str, Any]:
    """`made` are the documents that have their files."""
    return {
        "has_files": note.id in made,
        "id": note.id,
        "number": note.number,
        "label_date": note.label_date.isoformat(),
        "reason": note.reason,
        "currency": note.currency,
        "net": _amount(note.net_minor, note.currency),
        "tax": _amount(note.tax_minor, note.currency),
        "total": _amount(note.total_minor, note.currency),
    }


def credit_shown(found: NotePreview) -> dict[str, Any]:
    """Sums of what a note would take back; `said` is the total, for a sentence."""
    names = ("net", "tax", "total", "offset")
    return {
        "currency": found.currency,
        "said": Money(found.total_minor, found.currency).said(),
        "kept": _amount(found.total_minor - found.offset_minor, found.currency),
        **{name: _amount(getattr(found, f"{name}_minor"), found.currency) for name in names},
    }


def credit_lines_shown(found: NotePreview) -> list[dict[str, Any]]:
    return [
        {
            "id": line.line_id,
            "description": line.description,
            "currency": found.currency,
            **{
                name: _amount(getattr(line, f"{name}_minor"), found.currency)
                for name in ("left", "net", "tax")
            },
            "left_said": Money(line.left_minor, found.currency).said(),
        }
        for line in found.lines
    ]


def foreseen_shown(found: Foreseen) -> dict[str, Any]:
    """Sums of a draft as they would be."""
    row = found.invoice
    names = ("net", "tax", "total", "paid", "due")
    return {
        "currency": row.currency,
        **{name: _amount(getattr(row, f"{name}_minor"), row.currency) for name in names},
    }


def wallet_shown(found: WalletPays) -> dict[str, str]:
    """`pays` and `due` are amounts with their currency, for a sentence."""
    return {
        "pays": Money(found.minor, found.currency).said(),
        "due": Money(found.due_minor, found.currency).said() if found.due_minor else "",
    }


def use_shown(row: CreditUseRow, currency: str) -> dict[str, Any]:
    """`source` is the number of the document that the credit came from, empty where it was a payment."""
    return {
        "id": f"{row.source_id}.{row.invoice_id}",
        "source": row.source_number or "",
        "invoice": row.invoice_number,
        "currency": currency,
        "amount": _amount(row.minor, currency),
        "created_at": instant_text(row.created_at),
    }


def explanation_shown(told: Explanation) -> dict[str, Any]:
    """Facts of the explanation beside its steps."""
    return {
        "id": told.line_id,
        "description": told.description,
        "currency": told.currency,
        "period_start": instant_text(told.period_start),
        "period_end": instant_text(told.period_end),
        "tax_rounding": told.tax_rounding,
        "policy": told.policy,
        "reason": told.reason,
        "amount": _amount(told.amount_minor, told.currency),
        "billed_before": _amount(told.billed_before_minor, told.currency) if told.billed_before_minor else "",
        "net": _amount(told.net_minor, told.currency),
        "tax": _amount(told.tax_minor, told.currency),
        "gross": _amount(told.gross_minor, told.currency),
        "agrees": told.agrees,
    }


def steps_shown(told: Explanation) -> list[dict[str, Any]]:
    """What leads to the gross amount: the charge, what earlier documents billed of it, coupons, tax at each rate."""
    steps = [{"kind": "charge", "name": one.name, **formula_shown(one)} for one in told.steps]
    if told.billed_before_minor:
        before = _amount(told.billed_before_minor, told.currency)
        steps.append({"kind": "before", "name": "", "formula": f"− {before}"})
    steps += [
        {
            "kind": "coupon",
            "name": one.coupon,
            "formula": f"− {_amount(one.minor, told.currency)}",
        }
        for one in told.discounts
    ]
    steps += [_tax_step(one, told.currency) for one in told.taxes]
    return [{"id": str(place), "unit": "", "comes_to": "", **step} for place, step in enumerate(steps)]


def formula_shown(one: Step) -> dict[str, str]:
    """What a part of a period is measured in stands behind the formula, and before what that comes to."""
    return {"formula": one.formula, "unit": one.unit, "comes_to": f"= {one.amount}"}


def _tax_step(one: TaxStep, currency: str) -> dict[str, Any]:
    """What is not the value of the formula itself stands behind an arrow."""
    tax = _amount(one.tax_minor, currency)
    formula = tax
    if one.formula:
        formula = f"{one.formula} = {one.exact}" + (f" → {tax}" if one.exact != tax else "")
    return {
        "kind": f"tax_{one.how}",
        "name": f"{one.name} {one.jurisdiction}",
        "formula": formula,
    }


def after_of(text: str) -> int:
    """The position behind which a page of lines begins; what says none begins at the beginning."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0


def _amount(minor: int, currency: str) -> str:
    return decimal_text(Money(minor, currency).amount)


def _percent(rate: str | None) -> str:
    return "" if rate is None else f"{decimal_text(Decimal(rate) * 100)} %"
