"""Payments that failed, as they are written down; nobody was asked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from models.billing import Invoice
from models.payments import Payment
from services.core.crossing import Reason, crossing
from services.core.ids import new_id
from tests.integration.billing.shop import Shop

DAY = timedelta(days=1)


async def fail(shop: Shop, invoice: Invoice, code: str, *, days_ago: int = 10, **more: Any) -> None:
    """One of `invoice` that failed for `code`, so long ago."""
    payment = {
        "initiator": "schedule", "provider": "bank", "key": new_id("pay"), "message": "", "decline_hard": False,
    } | more  # fmt: skip
    async with crossing(Reason.DEMO) as uow:
        uow.add(
            Payment(
                id=new_id("pay"),
                organization_id=invoice.organization_id,
                invoice_id=invoice.id,
                state="failed",
                currency=invoice.currency,
                minor=invoice.due_minor,
                decline_code=code,
                created_at=uow.wall_now - days_ago * DAY,
                asked_at=uow.wall_now - days_ago * DAY,
                ended_at=uow.wall_now - days_ago * DAY,
                **payment,
            )
        )
