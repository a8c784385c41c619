"""What was given back to one's own organisation."""

from __future__ import annotations

from fastapi import Request
from pydantic import AwareDatetime, Field

from matrix_app.api.deps import Member
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.payments import Minor
from matrix_app.api.v1.shape import Shown, resource
from models.refunds import RefundState, RefundTo
from services.core.work import unit_of_work
from services.refunds import queries as refund_queries

router = resource("payments", prefix="/refunds")


class RefundShown(Shown):
    """What is given back of one payment, once."""

    id: str
    payment_id: str
    invoice_id: str | None = Field(description="Null for money on account")
    invoice_number: str | None
    credit_note_id: str | None = Field(
        description="What was credited for it; null where all of it was owed already"
    )
    credit_note_number: str | None
    destination: RefundTo = Field(
        description="`source`: where the money came from; `credit`: kept for the next invoice"
    )
    state: RefundState
    currency: str
    minor: Minor
    reason: str
    created_at: AwareDatetime
    succeeded_at: AwareDatetime | None


@router.get("", **listed(refund_queries.REFUNDS, RefundShown))
async def list_refunds(request: Request, who: Member, asked: Asked) -> Answer:
    """What was given back, or is on its way, the newest first."""
    return await answer(request, refund_queries.REFUNDS, RefundShown, asked, lambda: unit_of_work(who.actor))


@router.get("/{refund_id}")
async def get_refund(who: Member, refund_id: str) -> RefundShown:
    """One refund."""
    async with unit_of_work(who.actor) as uow:
        return RefundShown.model_validate(await refund_queries.refund(uow, refund_id))
