"""Credit notes and credits of customers to look at: one's own, and all for staff."""

from __future__ import annotations

from datetime import date
from functools import partial

from fastapi import Request
from pydantic import AwareDatetime, Field

from matrix_app.api.deps import AnyCaller, Member, staff_work
from matrix_app.api.v1.invoices import Minor
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.shape import Shown, resource
from services.billing import credit_queries
from services.core.permissions import Capability
from services.core.work import unit_of_work

router = resource("invoices")


class CreditNoteListed(Shown):
    """A credit note, with its number; it is never changed."""

    id: str
    organization_id: str
    organization_name: str
    number: str
    invoice_id: str
    invoice_number: str
    currency: str
    total_minor: Minor
    offset_minor: int = Field(description="What came off what was due; the rest became a credit")
    label_date: date = Field(description="The day that stands on it, in the issuer's timezone")
    reason: str
    created_at: AwareDatetime


class CreditListed(Shown):
    """What the customer was owed, and what is left to pay what comes."""

    id: str
    organization_id: str
    organization_name: str
    source: str = Field(description="What it came of: `credit_note`, `invoice`, `payment` or `other`")
    source_id: str
    source_number: str | None = Field(description="Of a document; null for a payment")
    invoice_id: str | None = Field(description="The invoice it came of, or that its note takes back from")
    currency: str
    minor: Minor
    left_minor: int = Field(description="What still pays what comes")
    created_at: AwareDatetime


@router.get("/credit-notes", **listed(credit_queries.NOTES, CreditNoteListed))
async def list_own_credit_notes(request: Request, who: Member, asked: Asked) -> Answer:
    """Credit notes of the organisation, the latest first."""
    return await answer(
        request, credit_queries.NOTES, CreditNoteListed, asked, lambda: unit_of_work(who.actor)
    )


@router.get("/credits", **listed(credit_queries.CREDITS, CreditListed))
async def list_credits(request: Request, who: Member, asked: Asked) -> Answer:
    """Credits of the organisation, the latest first. `left_minor[gt]=0` are those that still pay."""
    return await answer(request, credit_queries.CREDITS, CreditListed, asked, lambda: unit_of_work(who.actor))


@router.get("/staff/credit-notes", tags=["staff"], **listed(credit_queries.STAFF_NOTES, CreditNoteListed))
async def list_all_credit_notes(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """Credit notes of all organisations, the latest first."""
    work = partial(staff_work, who, Capability.STAFF_INVOICES_READ)
    return await answer(request, credit_queries.STAFF_NOTES, CreditNoteListed, asked, work)


@router.get("/staff/credits", tags=["staff"], **listed(credit_queries.STAFF_CREDITS, CreditListed))
async def list_all_credits(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """Credits of all customers, the latest first."""
    work = partial(staff_work, who, Capability.STAFF_INVOICES_READ)
    return await answer(request, credit_queries.STAFF_CREDITS, CreditListed, asked, work)
