"""Disputes and contests as pages show them: plain rows."""

from __future__ import annotations

from typing import Any

from models.money import Money
from services.disputes.evidence_files import EvidenceRow
from services.disputes.queries import ContestRow, DisputeRow, Step
from state.format import decimal_text, instant_text

DAYS = ("created_at[gte]", "created_at[lt]")  # by which lists of them are narrowed


def dispute_shown(row: DisputeRow, home: str) -> dict[str, Any]:
    return {
        "id": row.id,
        "href": f"{home}/{row.id}",
        "name": row.invoice_number or row.payment_id,
        "number": row.invoice_number or "",
        "payment_id": row.payment_id,
        "invoice_id": row.invoice_id or "",
        "organization": row.organization_name,
        "organization_id": row.organization_id,
        "account": row.account,
        "state": row.state,
        "asks": row.asks and row.conceded_at is None and row.answering_at is None,
        "reason": row.reason,
        "currency": row.currency,
        "amount": _amount(row.minor, row.currency),
        "fee": _amount(row.fee_minor, row.fee_currency),
        "fee_currency": row.fee_currency,
        "owed": _amount(0 if row.returned_at else row.taken_invoice_minor, row.currency),
        "due_at": instant_text(row.due_at),
        "opened_at": instant_text(row.opened_at),
        "submitted_at": instant_text(row.submitted_at),
        "answering_at": instant_text(row.answering_at),
        "conceded_at": instant_text(row.conceded_at),
        "ended_at": instant_text(row.ended_at),
    }


def file_shown(row: EvidenceRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "shows": field_words(row.field),
        "kind": row.content_type,
        "size": row.size_bytes,
        "added_by": row.added_by,
        "created_at": instant_text(row.created_at),
    }


def field_words(field: str) -> str:
    """A provider's word as people write it."""
    return field.replace("_", " ").capitalize()


def step_shown(step: Step) -> dict[str, Any]:
    return {"type": step.type, "at": instant_text(step.at)}


def contest_shown(row: ContestRow, invoices: str) -> dict[str, Any]:
    """As a row that leads to its invoice, below `invoices`."""
    return {
        "id": row.id,
        "href": f"{invoices}/{row.invoice_id}",
        "name": row.invoice_number or row.invoice_id,
        "organization": row.organization_name,
        "organization_id": row.organization_id,
        "line": row.line or "",
        "state": row.state,
        "currency": row.currency,
        "amount": _amount(row.minor, row.currency),
        "credited": _amount(row.credited_minor, row.currency),
        "reason": row.reason,
        "answer": row.answer,
        "due_at": instant_text(row.due_at),
        "created_at": instant_text(row.created_at),
    }


def _amount(minor: int, currency: str) -> str:
    return decimal_text(Money(minor, currency).amount)
