"""Credit notes and credits as pages show them: plain rows."""

from __future__ import annotations

from typing import Any

from models.money import Money
from services.billing.credit_queries import CreditRow, NoteRow
from state.format import decimal_text, instant_text

NOTE_FILTERS = ("number", "created_at[gte]", "created_at[lt]")
CREDIT_FILTERS = ("left_minor[gt]", "created_at[gte]", "created_at[lt]")


def note_shown(row: NoteRow, invoices: str) -> dict[str, Any]:
    """`invoices` is where the page of an invoice is."""
    return {
        "id": row.id,
        "organization": row.organization_name,
        "number": row.number,
        "invoice": row.invoice_number,
        "href": f"{invoices}/{row.invoice_id}",
        "label_date": row.label_date,
        "reason": row.reason,
        "currency": row.currency,
        "total": _amount(row.total_minor, row.currency),
        "offset": _amount(row.offset_minor, row.currency),
        "created_at": instant_text(row.created_at),
    }


def credit_shown(row: CreditRow, invoices: str, payments: str) -> dict[str, Any]:
    """What it came of leads to the invoice or the payment."""
    href = f"{invoices}/{row.invoice_id}" if row.invoice_id else ""
    return {
        "id": row.id,
        "organization": row.organization_name,
        "source": row.source,
        "number": row.source_number or row.source_id,
        "href": f"{payments}/{row.source_id}" if row.source == "payment" else href,
        "currency": row.currency,
        "minor": _amount(row.minor, row.currency),
        "left": _amount(row.left_minor, row.currency),
        "created_at": instant_text(row.created_at),
    }


def _amount(minor: int, currency: str) -> str:
    return decimal_text(Money(minor, currency).amount)
