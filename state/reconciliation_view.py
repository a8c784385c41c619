"""Cases, payouts, movements and bank lines as pages show them: plain rows."""

from __future__ import annotations

from typing import Any

from models.money import Money, figure_text
from services.reconciliation.payout_queries import ClearingRow, MovementRow, PayoutRow
from services.reconciliation.proposals import ProposedEntry
from services.reconciliation.queries import CaseRow
from services.reconciliation.statement_queries import LineRow, StatementRow
from state.format import decimal_text, instant_text

CASES, PAYOUTS, STATEMENTS = "/governance/cases", "/governance/payouts", "/governance/bank-statements"
JOURNALS = "/governance/ledger/journals"
_HOMES = {"pay": "/governance/payments", "dsp": "/governance/disputes"}


def case_shown(row: CaseRow) -> dict[str, Any]:
    proposed = row.proposed
    moves = proposed.amount if proposed is not None else None
    return {
        "id": row.id,
        "href": f"{CASES}/{row.id}",
        "kind": row.kind,
        "cause": row.cause,
        "subject": row.subject,
        "detail": row.detail,
        "organization": row.organization_name,
        "currency": row.currency or "",
        "amount": _amount(row.minor, row.currency),
        "state": row.state,
        "note": row.note,
        "journal_href": f"{JOURNALS}/{row.journal_id}" if row.journal_id else "",
        "act": proposed.act.value if proposed is not None else "",
        "moves": figure_text(moves.amount, moves.currency) if moves is not None else "",
        "number": str((row.proposal or {}).get("number", "")),
        "about_href": _about(row),
        "created_at": instant_text(row.created_at),
        "resolved_at": instant_text(row.resolved_at),
        "version": row.version,
    }


def _about(row: CaseRow) -> str:
    """The page of what a case is about, where there is one."""
    told = str((row.proposal or {}).get("payment_id", "")) or row.subject
    home = _HOMES.get(told.partition("_")[0])
    return f"{home}/{told.partition(':')[0]}" if home else ""


def entry_shown(number: int, one: ProposedEntry) -> dict[str, Any]:
    return {
        "id": str(number),
        "purpose": one.purpose,
        "currency": one.currency,
        "debit": _amount(one.debit_minor or None, one.currency),
        "credit": _amount(one.credit_minor or None, one.currency),
    }


def clearing_shown(row: ClearingRow) -> dict[str, Any]:
    return {
        "id": f"{row.provider_account_id}.{row.currency}",
        "provider_account_id": row.provider_account_id,
        "account": row.account,
        "currency": row.currency,
        "provider": _amount(row.provider_minor, row.currency),
        "books": _amount(row.books_minor, row.currency),
        "difference": _amount(row.difference_minor, row.currency),
        "explained": _amount(row.explained_minor, row.currency),
        "open_cases": row.open_cases,
        "read_until": instant_text(row.read_until),
        "reason": row.reason or "",
    }


def payout_shown(row: PayoutRow) -> dict[str, Any]:
    sums = (
        "minor",
        "charges_minor",
        "fees_minor",
        "refunds_minor",
        "disputes_minor",
        "other_minor",
        "net_minor",
    )
    return {
        "id": row.id,
        "href": f"{PAYOUTS}/{row.id}",
        "name": row.provider_ref,
        "account": row.account,
        "state": row.state,
        "traced": row.traced,
        "currency": row.currency,
        "movements": row.movements,
        **{name.removesuffix("_minor"): _amount(getattr(row, name), row.currency) for name in sums},
        "amount": _amount(row.minor, row.currency),
        "booked": _amount(row.booked_minor, row.currency),
        "difference": _amount(row.difference_minor, row.currency),
        "failure": row.failure,
        "happened_at": instant_text(row.happened_at),
        "arrives_at": instant_text(row.arrives_at),
        "arrived": row.bank_line_id is not None,
    }


def movement_shown(row: MovementRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.provider_ref,
        "kind": row.kind,
        "currency": row.currency,
        "gross": _amount(row.gross_minor, row.currency),
        "fee": _amount(row.fee_minor, row.currency),
        "net": _amount(row.net_minor, row.currency),
        "match": row.match,
        "href": f"{JOURNALS}/{row.journal_id}" if row.journal_id else "",
        "happened_at": instant_text(row.happened_at),
    }


def statement_shown(row: StatementRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "href": f"{STATEMENTS}/{row.id}",
        "name": row.name,
        "format": row.format,
        "lines": row.lines,
        "new_lines": row.new_lines,
        "matched": row.matched,
        "open": row.open,
        "imported_at": instant_text(row.imported_at),
    }


def line_shown(row: LineRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.bank_ref,
        "booked_on": row.booked_on,
        "currency": row.currency,
        "amount": _amount(row.minor, row.currency),
        "counterparty": row.counterparty,
        "remittance": row.remittance,
        "match": row.match,
        "href": f"{JOURNALS}/{row.journal_id}" if row.journal_id else "",
    }


def _amount(minor: int | None, currency: str | None) -> str:
    return "" if minor is None or currency is None else decimal_text(Money(minor, currency).amount)
