"""Invoices to look at: one's own, and all for staff. What staff does to them is in staff_invoices.py."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import date
from functools import partial
from typing import Annotated, Any

from fastapi import Request
from pydantic import AwareDatetime, Field

from matrix_app.api.deps import AnyCaller, Caller, Member, staff_work
from matrix_app.api.v1.brands import BrandSaid
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.shape import (
    PAGE_ROWS,
    Cursor,
    Exact,
    Limit,
    Page,
    Shown,
    cursor_for,
    position_in,
    resource,
)
from models.billing import Invoice, InvoiceLine, InvoiceState, LineOrigin
from services.billing import due_dates, queries
from services.billing.explaining import TaxedHow
from services.billing.queries import NoteDetail
from services.core.permissions import Capability
from services.core.work import UnitOfWork, unit_of_work

router = resource("invoices")

UNIT = (
    "What a part of a period is measured in: `seconds`, `minutes`, `days`, `days_of_30` a month; else empty"
)
Minor = Annotated[int, Field(description="In minor units of the currency")]
_LINES, _NOTES = "invoice.lines", "invoice.credit_notes"  # what cursors are bound to


Overdue = Field(
    description="Something is due that is not contested, and the day after its due date has begun"
)
DaysOverdue = Field(description="Since its due date, where it was issued; null for one that is not overdue")


class InvoiceListed(Shown):
    """Sums of a draft are 0 until it is finalised."""

    id: str
    organization_id: str
    organization_name: str
    legal_entity: str = Field(description="Code of who issues it")
    brand_id: str
    brand: str = Field(description="Code of the brand that it is issued under")
    number: str | None = Field(description="Null for a draft, and for one that was given up")
    state: InvoiceState
    currency: str
    total_minor: Minor
    credited_minor: int = Field(description="What credit notes took back of it")
    due_minor: Minor
    label_date: date | None = Field(description="The day that stands on it, in the issuer's timezone")
    due_date: date | None
    overdue: bool = Overdue
    days_overdue: int | None = DaysOverdue
    lines: int
    memo: str
    created_at: AwareDatetime
    finalized_at: AwareDatetime | None


class TaxIdShown(Shown):
    kind: str
    number: str


class SellerShown(Shown):
    """As it was when the document was issued."""

    code: str
    name: str
    address: str
    country: str
    tax_ids: list[TaxIdShown]
    brand: BrandSaid | None = Field(None, description="Null on documents from before brands had names")


class BuyerShown(Shown):
    """As it was when the document was issued."""

    name: str
    address: str
    country: str
    language: str
    tax_number: str | None


class TaxTotalShown(Shown):
    """Sums by category (EN 16931) and rate."""

    category: str
    name: str
    rate: str | None = Field(description="0.19 is 19 %; null where no tax is charged")
    base_minor: Minor
    tax_minor: Minor


class CreditUseShown(Shown):
    """What of a credit paid an invoice."""

    source_id: str = Field(
        description="The invoice below zero, credit note, payment or dispute that it came from"
    )
    source_number: str | None = Field(description="Of a document")
    invoice_id: str = Field(description="What it paid")
    invoice_number: str
    minor: Minor
    created_at: AwareDatetime


class InvoiceShown(Shown):
    """net + tax = total; due = total - what was offset by credit notes - paid - written off."""

    id: str
    organization_id: str
    legal_entity_id: str
    brand_id: str
    number: str | None
    state: InvoiceState
    currency: str
    memo: str
    lines: int
    label_date: date | None
    due_date: date | None
    overdue: bool = Overdue
    days_overdue: int | None = DaysOverdue
    seller: SellerShown | None = Field(description="Null for a draft")
    buyer: BuyerShown | None = Field(description="Null for a draft")
    taxes: list[TaxTotalShown]
    charged_minor: int = Field(description="Of all lines, before discounts and tax")
    discount_minor: Minor
    net_minor: Minor
    tax_minor: Minor
    total_minor: Minor
    credited_minor: int = Field(description="What credit notes took back of it")
    offset_minor: int = Field(description="What of that came off what was due")
    paid_minor: Minor
    written_off_minor: Minor
    due_minor: Minor
    credit_uses: list[CreditUseShown] = Field(
        description="By which credits it was paid, and what its own credits and those of its notes paid: the first 100"
    )
    created_at: AwareDatetime
    collect_until: AwareDatetime = Field(description="Until then a draft waits for late usage")
    finalized_at: AwareDatetime | None
    paid_at: AwareDatetime | None
    voided_at: AwareDatetime | None
    uncollectible_at: AwareDatetime | None


class InvoiceLineShown(Shown):
    """amount - billed before - discount is the net, or with an inclusive price the gross."""

    id: str
    position: int
    origin: LineOrigin
    description: str
    quantity: Exact
    amount_minor: int = Field(description="Of the whole line, rounded once")
    billed_before_minor: int = Field(description="What earlier documents billed of it")
    discount_minor: Minor
    inclusive: bool = Field(description="The price includes the tax")
    net_minor: Minor
    tax_minor: Minor
    gross_minor: Minor
    period_start: AwareDatetime | None
    period_end: AwareDatetime | None = Field(description="Left out of the period")


class StepShown(Shown):
    name: str
    formula: str = Field(description="Of exact numbers in major units", examples=["3 × 33.335"])
    amount: str = Field(description="Before rounding; a fraction where decimals do not end")
    unit: str = Field(description=UNIT)


class DiscountShown(Shown):
    coupon: str
    minor: Minor


class TaxStepShown(Shown):
    name: str
    jurisdiction: str
    rate: str = Field(description="0.19 is 19 %")
    source: str
    edition: str
    base_minor: Minor
    tax_minor: Minor
    formula: str = Field(description="Empty where the tax was given", examples=["15.03 × 0.19"])
    exact: str = Field(description="Its value in major units, before rounding")
    how: TaxedHow = Field(
        description="`rounded` by itself, its `share` of what is rounded once for the document, or `given` by the line"
        " that it credits"
    )


class ExplanationShown(Shown):
    """The line worked out again from what it keeps; nothing of it is read from the document's amounts."""

    line_id: str
    description: str
    currency: str
    made_by: str
    inputs: dict[str, Any] = Field(description="What the line was made of, and keeps")
    steps: list[StepShown]
    policy: str = Field(description="By which parts of a period are measured; empty where none is")
    rounding: str = Field(description="Of the amount, once")
    tax_rounding: str = Field(description="`line` or `document`; empty for a draft")
    period_start: AwareDatetime | None
    period_end: AwareDatetime | None
    amount_minor: Minor
    billed_before_minor: Minor
    discounts: list[DiscountShown]
    net_minor: Minor
    tax_minor: Minor
    gross_minor: Minor
    category: str
    reason: str
    taxes: list[TaxStepShown]
    agrees: bool = Field(description="Whether these are the amounts on the document, to the last minor unit")


class NoteLineShown(Shown):
    line_id: str
    net_minor: Minor
    tax_minor: Minor


class CreditNoteShown(Shown):
    """net + tax = total; what did not come off what was due became a credit of the customer, which pays open invoices
    first."""

    id: str
    invoice_id: str
    number: str
    label_date: date
    currency: str
    reason: str
    net_minor: Minor
    tax_minor: Minor
    total_minor: Minor
    offset_minor: int = Field(description="What of it came off what was due")
    created_at: AwareDatetime
    lines: list[NoteLineShown]


async def shown(uow: UnitOfWork, row: Invoice) -> InvoiceShown:
    days = await due_dates.days_overdue(uow, row)
    late = {"overdue": days is not None, "days_overdue": days}
    uses = {"credit_uses": await queries.credit_uses(uow, row)}
    return InvoiceShown.model_validate(row.model_dump() | {"taxes": row.taxes or []} | late | uses)


def line_shown(row: InvoiceLine) -> InvoiceLineShown:
    return InvoiceLineShown.model_validate(row)


def note_shown(row: NoteDetail) -> CreditNoteShown:
    return CreditNoteShown.model_validate(row)


class _Own:
    """What a client may read: final documents of its own organisation."""

    staff = False

    @staticmethod
    def work(who: Caller) -> AbstractAsyncContextManager[UnitOfWork]:
        return unit_of_work(who.actor)


class _All:
    """What staff may read: everybody's, drafts too."""

    staff = True

    @staticmethod
    def work(who: Caller) -> AbstractAsyncContextManager[UnitOfWork]:
        return staff_work(who, Capability.STAFF_INVOICES_READ)


_Sight = type[_Own] | type[_All]


async def _one(who: Caller, sight: _Sight, invoice_id: str) -> InvoiceShown:
    async with sight.work(who) as uow:
        return await shown(uow, await queries.invoice(uow, invoice_id, staff=sight.staff))


async def _lines(
    who: Caller, sight: _Sight, invoice_id: str, cursor: str | None, limit: int
) -> Page[InvoiceLineShown]:
    bound = {"owner": who.actor.organization_id, "invoice": invoice_id}
    place = position_in(_LINES, bound, cursor)
    async with sight.work(who) as uow:
        of = await queries.invoice(uow, invoice_id, staff=sight.staff)
        found = await queries.lines(uow, of, after=int(place[0]) if place else 0, limit=limit + 1)
    following = cursor_for(_LINES, bound, [str(found[limit - 1].position)]) if len(found) > limit else None
    return Page(data=[line_shown(row) for row in found[:limit]], next_cursor=following)


async def _explained(who: Caller, sight: _Sight, invoice_id: str, line_id: str) -> ExplanationShown:
    async with sight.work(who) as uow:
        of = await queries.invoice(uow, invoice_id, staff=sight.staff)
        return ExplanationShown.model_validate(await queries.explain(uow, of, line_id))


async def _notes(
    who: Caller, sight: _Sight, invoice_id: str, cursor: str | None, limit: int
) -> Page[CreditNoteShown]:
    bound = {"owner": who.actor.organization_id, "invoice": invoice_id}
    place = position_in(_NOTES, bound, cursor)
    async with sight.work(who) as uow:
        of = await queries.invoice(uow, invoice_id, staff=sight.staff)
        found = await queries.notes(uow, of, after=place[0] if place else "", limit=limit + 1)
    following = cursor_for(_NOTES, bound, [found[limit - 1].id]) if len(found) > limit else None
    return Page(data=[note_shown(row) for row in found[:limit]], next_cursor=following)


@router.get("/invoices", **listed(queries.INVOICES, InvoiceListed))
async def list_invoices(request: Request, who: Member, asked: Asked) -> Answer:
    """Invoices of the organisation, the latest first."""
    return await answer(request, queries.INVOICES, InvoiceListed, asked, lambda: unit_of_work(who.actor))


@router.get("/invoices/{invoice_id}")
async def get_invoice(who: Member, invoice_id: str) -> InvoiceShown:
    """One invoice with its parties, sums and tax."""
    return await _one(who, _Own, invoice_id)


@router.get("/invoices/{invoice_id}/lines")
async def list_invoice_lines(
    who: Member, invoice_id: str, cursor: Cursor = None, limit: Limit = PAGE_ROWS
) -> Page[InvoiceLineShown]:
    """Lines of an invoice in their order."""
    return await _lines(who, _Own, invoice_id, cursor, limit)


@router.get("/invoices/{invoice_id}/lines/{line_id}/explain")
async def explain_invoice_line(who: Member, invoice_id: str, line_id: str) -> ExplanationShown:
    """Why a line asks for what it does: inputs, steps, rounding, discounts and tax, worked out again."""
    return await _explained(who, _Own, invoice_id, line_id)


@router.get("/invoices/{invoice_id}/credit-notes")
async def list_credit_notes(
    who: Member, invoice_id: str, cursor: Cursor = None, limit: Limit = PAGE_ROWS
) -> Page[CreditNoteShown]:
    """Credit notes of an invoice, the oldest first."""
    return await _notes(who, _Own, invoice_id, cursor, limit)


@router.get("/staff/invoices", tags=["staff"], **listed(queries.STAFF_INVOICES, InvoiceListed))
async def list_all_invoices(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """Invoices of all organisations, drafts too, the latest first."""
    work = partial(staff_work, who, Capability.STAFF_INVOICES_READ)
    return await answer(request, queries.STAFF_INVOICES, InvoiceListed, asked, work)


@router.get("/staff/invoices/{invoice_id}", tags=["staff"])
async def get_any_invoice(who: AnyCaller, invoice_id: str) -> InvoiceShown:
    """One invoice of any organisation."""
    return await _one(who, _All, invoice_id)


@router.get("/staff/invoices/{invoice_id}/lines", tags=["staff"])
async def list_any_invoice_lines(
    who: AnyCaller, invoice_id: str, cursor: Cursor = None, limit: Limit = PAGE_ROWS
) -> Page[InvoiceLineShown]:
    """Lines of any invoice in their order."""
    return await _lines(who, _All, invoice_id, cursor, limit)


@router.get("/staff/invoices/{invoice_id}/lines/{line_id}/explain", tags=["staff"])
async def explain_any_invoice_line(who: AnyCaller, invoice_id: str, line_id: str) -> ExplanationShown:
    """Why a line of any invoice asks for what it does."""
    return await _explained(who, _All, invoice_id, line_id)


@router.get("/staff/invoices/{invoice_id}/credit-notes", tags=["staff"])
async def list_any_credit_notes(
    who: AnyCaller, invoice_id: str, cursor: Cursor = None, limit: Limit = PAGE_ROWS
) -> Page[CreditNoteShown]:
    """Credit notes of any invoice, the oldest first."""
    return await _notes(who, _All, invoice_id, cursor, limit)
