"""How the invoices of a subscription are paid: charged by themselves, or sent with days to pay them in."""

from __future__ import annotations

from models.subscriptions import Collection, Subscription
from services.core.errors import Invalid

PAYMENT_DAYS_MAX = 365


def set_terms(row: Subscription, collection: Collection, payment_days: int | None) -> bool:
    """Whether anything is another than before. Raises Invalid."""
    if payment_days is not None and collection is Collection.CHARGE:
        raise Invalid(
            "Days to pay in are for invoices that are sent.",
            field="payment_days",
            next_step="Leave them out, or have the invoices be sent.",
        )
    if payment_days is not None and not 0 <= payment_days <= PAYMENT_DAYS_MAX:
        raise Invalid(f"An invoice is due within {PAYMENT_DAYS_MAX} days.", field="payment_days")
    before = (row.collection, row.payment_days)
    row.collection, row.payment_days = collection.value, payment_days
    return before != (row.collection, row.payment_days)
