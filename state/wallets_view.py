"""Rows of wallets and budgets as pages show them."""

from __future__ import annotations

from typing import Any

from models.budgets import BudgetMeasure
from models.money import Money
from services.budgets.queries import BudgetRow
from services.wallets.queries import LotRow, WalletRow
from state.format import decimal_text, instant_text

LOT_FILTERS = ("source", "state", "currency")
RULE = ("threshold_minor", "refill_minor", "ceiling_minor")
BUDGET_FILTERS = ("state", "measure", "period")


def wallet_shown(row: WalletRow) -> dict[str, Any]:
    minors = ("left_minor", "inbound_minor", "outbound_minor", "breakage_minor")
    return {
        "id": row.id,
        "organization_name": row.organization_name,
        "currency": row.currency,
        **{name: _amount(getattr(row, name), row.currency) for name in minors},
        **{
            name: "" if getattr(row, name) is None else _amount(getattr(row, name), row.currency)
            for name in RULE
        },
        "held": decimal_text(row.held),
        "uncovered": decimal_text(row.uncovered),
        "created_at": instant_text(row.created_at),
        "version": row.version,
    }


def no_wallet(currency: str) -> dict[str, Any]:
    """What a form shows of a wallet that nothing came into yet, so that it is not there."""
    return {"id": "", "currency": currency, "version": None, **dict.fromkeys(RULE, "")}


def lot_shown(row: LotRow) -> dict[str, Any]:
    minors = ("minor", "used_minor", "expired_minor", "left_minor")
    return {
        "id": row.id,
        "currency": row.currency,
        "source": row.source,
        "state": row.state,
        "priority": row.priority,
        **{name: _amount(getattr(row, name), row.currency) for name in minors},
        "expires_at": instant_text(row.expires_at),
        "note": row.note,
        "created_at": instant_text(row.created_at),
    }


def budget_shown(row: BudgetRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "about": " · ".join(one for one in (row.key_name, row.model or "") if one),
        "measure": row.measure,
        "period": row.period,
        "limit_amount": decimal_text(row.limit_amount),
        "spent": decimal_text(row.spent),
        "currency": row.currency if row.measure == BudgetMeasure.COST else "",
        "used_percent": row.used_percent,
        "action": row.action,
        "requests_per_minute": row.requests_per_minute or "",
        "state": row.state,
        "limit": decimal_text(row.limit_amount),
        "thresholds": ", ".join(map(str, row.thresholds)),
        "version": row.version,
    }


def _amount(minor: int, currency: str) -> str:
    return decimal_text(Money(minor, currency).amount)
