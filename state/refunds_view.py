"""Refunds as pages show them: plain rows."""

from __future__ import annotations

from typing import Any

from models.money import Money
from services.refunds.queries import Line, RefundRow, StaffRefundRow
from services.refunds.refunds import Preview
from state.format import decimal_text, instant_text

FILTERS = ("state", "destination", "created_at[gte]", "created_at[lt]")


def row_shown(row: RefundRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "payment_id": row.payment_id,
        "name": row.invoice_number or row.payment_id,
        "destination": row.destination,
        "state": row.state,
        "currency": row.currency,
        "amount": _amount(row.minor, row.currency),
        "reason": row.reason,
        "credit_note": row.credit_note_number or "",
        "created_at": instant_text(row.created_at),
    }


def staff_row_shown(row: StaffRefundRow, payments: str, *, who: str) -> dict[str, Any]:
    """As a row that leads to its payment, below `payments`. Whoever asked for it, `who`, does not approve it."""
    return row_shown(row) | {
        "href": f"{payments}/{row.payment_id}",
        "organization": row.organization_name,
        "organization_id": row.organization_id,
        "by_transfer": row.by_transfer,
        "is_mine": row.requested_by == who,
        "asked_by": row.asked_by,
        "approver": row.approver or "",
        "why": row.refusal or row.failure or row.reference,
    }


def line_shown(line: Line) -> dict[str, str]:
    return {
        "id": line.id,
        "description": line.description,
        "currency": line.currency,
        "left": Money(line.minor, line.currency).said(),
    }


def preview_shown(seen: Preview) -> dict[str, Any]:
    code = seen.currency

    def said(minor: int) -> str:
        return Money(minor, code).said()

    return {
        "amount": said(seen.minor),
        "owed": said(seen.owed_minor),
        "credited": said(seen.credited_minor),
        "tax": said(seen.tax_minor),
        "waits": seen.needs_approval,
    }


def _amount(minor: int, currency: str) -> str:
    return decimal_text(Money(minor, currency).amount)
