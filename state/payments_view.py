"""Payments as pages show them: plain rows."""

from __future__ import annotations

from typing import Any

from models.crypto import TransferState
from models.money import Money
from services.crypto.requests import Asked, Came, picture
from services.payments import brands
from services.payments.queries import MethodRow, PaymentDetail, PaymentRow, Way
from state.format import decimal_text, instant_text

FILTERS = ("state", "created_at[gte]", "created_at[lt]")


def row_shown(row: PaymentRow, home: str) -> dict[str, Any]:
    return {
        "id": row.id,
        "href": f"{home}/{row.id}",
        "organization": row.organization_name,
        "organization_id": row.organization_id,
        "invoice_id": row.invoice_id or "",
        "number": row.invoice_number or "",
        "top_up_id": row.top_up_id or "",
        "name": row.invoice_number or row.id,  # money on account is for no invoice
        "provider": row.provider,
        "account": row.account or "",
        "method": brands.named_card(row.method or ""),
        "state": row.state,
        "currency": row.currency,
        "amount": _amount(row.minor, row.currency),
        "applied": _amount(row.applied_minor, row.currency),
        "over": _amount(
            row.minor - row.applied_minor if row.succeeded_at and not row.top_up_id else 0, row.currency
        ),
        "refunded": _amount(row.refunded_minor, row.currency),
        "message": row.message,
        "decline_code": row.decline_code or "",
        "reference": row.reference,
        "created_at": instant_text(row.created_at),
        "succeeded_at": instant_text(row.succeeded_at),
    }


def payment_shown(found: PaymentDetail, home: str) -> dict[str, Any]:
    return row_shown(found.payment, home) | {"action_url": found.action_url or ""}


def way_shown(way: Way) -> dict[str, Any]:
    return {"id": way.id, "label": way.name}


def method_label(row: MethodRow) -> str:
    """What its owner calls it, else what it is: Visa •••• 4242."""
    return row.name or method_told(row)


def method_told(row: MethodRow) -> str:
    return " ".join(
        part
        for part in (brands.named(row.brand) or row.kind, f"•••• {row.last4}" if row.last4 else "")
        if part
    )


_ON_ITS_WAY = (TransferState.SEEN, TransferState.CONFIRMED)


def _amount(minor: int, currency: str) -> str:
    return decimal_text(Money(minor, currency).amount)


def on_chain_shown(asked: Asked) -> dict[str, Any]:
    """`depth` is that of what counts last."""
    return {
        "depth": min((one.confirmations for one in asked.came if one.state in _ON_ITS_WAY), default=0),
        "address": asked.address,
        "amount": asked.amount,
        "missing": asked.missing,
        "asset": asked.asset,
        "named": f"{asked.amount} {asked.asset}",
        "received": f"{asked.received} {asked.asset}",
        "price": asked.price,
        "currency": asked.currency,
        "chain": str(asked.chain_id),
        "contract": asked.contract or "",
        "needed": asked.confirmations_needed,
        "expires_at": instant_text(asked.expires_at),
        "uri": asked.uri,
        "test_wallet": asked.test_wallet or "",
        "picture": picture(asked.uri),
    }


def came_shown(one: Came, asked: Asked) -> dict[str, Any]:
    return {
        "id": one.tx_hash,
        "amount": f"{one.amount} {asked.asset}",
        "state": one.state,
        "confirmations": f"{one.confirmations}/{asked.confirmations_needed}",
        "at": instant_text(one.block_at),
    }
