"""Rows of wallets and budgets as pages show them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from models.budgets import BudgetMeasure
from models.money import Money
from models.wallets import DebitKind
from services.budgets.queries import BudgetRow
from services.wallets.queries import DebitRow, LotRow, TopUpRow, UseRow, WalletRow
from state import addresses
from state.format import decimal_text, instant_text

LOT_FILTERS = ("source", "state", "currency")
DEBIT_FILTERS = ("kind", "created_at[gte]", "created_at[lt]")
USE_FILTERS = ("lot_id", "debit_id", *DEBIT_FILTERS)
TOP_UP_FILTERS = ("state",)
RULE = ("threshold_minor", "refill_minor", "ceiling_minor")
BUDGET_FILTERS = ("state", "measure", "period")


@dataclass(frozen=True, slots=True)
class Places:
    """Where the pages of invoices and of requests are, which wallets pay for; empty where there is none."""

    invoices: str
    requests: str = ""


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


def lot_shown(row: LotRow, uses: str) -> dict[str, Any]:
    """`uses` is the page that says what was taken of which lot."""
    minors = ("minor", "used_minor", "expired_minor", "left_minor")
    return {
        "id": row.id,
        "href": addresses.with_query(uses, {"lot_id": row.id}) if row.used_minor else "",
        "organization_name": row.organization_name,
        "currency": row.currency,
        "source": row.source,
        "state": row.state,
        "priority": row.priority,
        **{name: _amount(getattr(row, name), row.currency) for name in minors},
        "expires_at": instant_text(row.expires_at),
        "note": row.note,
        "created_at": instant_text(row.created_at),
    }


def debit_shown(row: DebitRow, uses: str, places: Places) -> dict[str, Any]:
    return _taken(row, places) | {
        "id": row.id,
        "href": addresses.with_query(uses, {"debit_id": row.id}),
        "calls": row.calls or 0,
    }


def use_shown(row: UseRow, places: Places) -> dict[str, Any]:
    """What a lot paid for; `lot` leads to that lot among all."""
    return _taken(row, places) | {"id": row.id, "source": row.source, "lot_id": row.lot_id, "calls": 0}


def _taken(row: DebitRow | UseRow, places: Places) -> dict[str, Any]:
    homes = {DebitKind.INVOICE.value: places.invoices, DebitKind.USAGE.value: places.requests}
    home = homes.get(row.kind, "")
    return {
        "organization_name": row.organization_name,
        "currency": row.currency,
        "kind": row.kind,
        "cause": row.invoice_number or row.cause_id,
        "cause_href": f"{home}/{row.cause_id}" if home else "",
        "minor": _amount(row.minor, row.currency),
        "created_at": instant_text(row.created_at),
        "given_back_at": instant_text(row.given_back_at),
    }


def top_up_shown(row: TopUpRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "organization_id": row.organization_id,
        "organization_name": row.organization_name,
        "currency": row.currency,
        "minor": _amount(row.minor, row.currency),
        "said": Money(row.minor, row.currency).said(),
        "state": row.state,
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
