"""What staff does with invoices: drafts, lines, finalising, voiding, credit notes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Response
from pydantic import BaseModel, BeforeValidator, Field

from matrix_app.api.deps import AnyCaller, Caller, staff_work
from matrix_app.api.v1.invoices import (
    CreditNoteShown,
    InvoiceLineShown,
    InvoiceShown,
    Minor,
    TaxTotalShown,
    line_shown,
    note_shown,
    shown,
)
from matrix_app.api.v1.repeat import RepeatOnce
from matrix_app.api.v1.route import failures
from matrix_app.api.v1.shape import Body, Exact, Instant, Shown, resource
from models.billing import Invoice
from services.billing import (
    customer_credits,
    finalizing,
    invoices,
    notes,
    policies,
    queries,
)
from services.billing.new_lines import NewLine, manual_line
from services.billing.notes import Asked as AskedBack
from services.core.crossing import Reason, crossing
from services.core.errors import Invalid
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork

router = resource("staff", prefix="/staff")

READ, WRITE = Capability.STAFF_INVOICES_READ, Capability.STAFF_INVOICES_WRITE
LINES_AT_ONCE_MAX = 1_000
Key = Annotated[str | None, Field(description="The same key is the same act, for good; made up if left out")]


# A form sends a field that nobody filled in as an empty text.
OrEmpty = Annotated[Exact | None, BeforeValidator(lambda given: None if given == "" else given)]


class NewInvoice(Body):
    organization_id: str
    currency: str = Field("", description="The legal entity's if left out")
    memo: str = ""
    legal_entity_id: str | None = Field(None, description="The profile's, else the usual one, if left out")
    brand_id: Annotated[str | None, BeforeValidator(lambda given: given or None)] = Field(
        None, description="Which says the legal entity, too; the profile's, else the default one, if left out"
    )
    key: Key = None


class NewInvoiceLine(Body):
    description: str
    quantity: Exact = Field(description="Not negative: take back by a credit note", examples=["1"])
    unit_amount: Exact = Field(description="In major units, at most 12 places", examples=["120.00"])
    inclusive: bool = Field(False, description="The price includes the tax")
    period_start: Instant | None = Field(None, description="With its end: the time in which it is earned")
    period_end: Instant | None = None
    key: Key = None


class NewInvoiceLines(Body):
    lines: list[NewInvoiceLine] = Field(min_length=1, max_length=LINES_AT_ONCE_MAX)


class InvoiceLinesShown(Shown):
    data: list[InvoiceLineShown]


class Nothing(Body):
    """Nothing has to be said."""


class WhyVoid(Body):
    reason: str


class CreditAsked(Body):
    """An amount of all lines, or amounts by line (null: what is left of it), or with neither all that is left."""

    amount: OrEmpty = Field(None, description="Gross, in major units", examples=["10.00"])
    by_line: dict[str, Exact | None] | None = Field(None, max_length=LINES_AT_ONCE_MAX)


class NewCreditNote(CreditAsked):
    reason: str
    key: Key = None


class CreditLinePreview(Shown):
    line_id: str
    description: str
    left_minor: int = Field(description="What can be taken back of it, tax included, in minor units")
    net_minor: Minor
    tax_minor: Minor


class CreditPreview(Shown):
    """Nothing was done. net + tax = total."""

    currency: str
    lines: list[CreditLinePreview]
    net_minor: Minor
    tax_minor: Minor
    total_minor: Minor
    offset_minor: int = Field(description="What comes off what is due")


class FinalLinePreview(Shown):
    id: str
    description: str
    discount_minor: Minor
    net_minor: Minor
    tax_minor: Minor
    gross_minor: Minor


class FinalPreview(Shown):
    """The draft as the document that it would be now. Nothing was done."""

    currency: str
    lines: list[FinalLinePreview]
    taxes: list[TaxTotalShown]
    net_minor: Minor
    tax_minor: Minor
    total_minor: Minor
    paid_minor: int = Field(description="What credits and the wallet pay at once")
    due_minor: Minor


@asynccontextmanager
async def within(who: Caller, organization_id: str, needs: Capability = WRITE) -> AsyncIterator[UnitOfWork]:
    """Staff at work in somebody's organisation, by its clock. Raises Forbidden before it is opened, and NotFound."""
    who.actor.require(needs)
    actor = replace(who.actor, organization_id=organization_id)
    async with crossing(Reason.STAFF, actor=actor, target=organization_id) as uow:
        await policies.organization_of(uow)
        yield uow


@asynccontextmanager
async def at(who: Caller, invoice_id: str) -> AsyncIterator[UnitOfWork]:
    """Staff at work on an invoice, in its organisation."""
    async with staff_work(who, WRITE) as uow:
        organization_id = await queries.organization_of(uow, invoice_id)
    async with within(who, organization_id) as uow:
        yield uow


def _to(act: Callable[[UnitOfWork], Awaitable[Invoice]]) -> Callable[[UnitOfWork], Awaitable[BaseModel]]:
    async def acted(uow: UnitOfWork) -> InvoiceShown:
        return await shown(uow, await act(uow))

    return acted


@router.post("/invoices", status_code=201, response_model=InvoiceShown, responses=failures(404))
async def create_invoice(who: AnyCaller, body: NewInvoice, repeat: RepeatOnce) -> Response:
    """Begin a draft for an organisation."""

    async def create(uow: UnitOfWork) -> Invoice:
        given = body.model_dump(exclude={"organization_id", "key"})
        return await invoices.create_draft(uow, key=body.key or new_id("inv"), **given)

    return await repeat.once(within(who, body.organization_id), _to(create), owner=who.actor.id)


@router.post("/invoices/{invoice_id}/lines", status_code=201, response_model=InvoiceLineShown)
async def add_invoice_line(
    who: AnyCaller, invoice_id: str, body: NewInvoiceLine, repeat: RepeatOnce
) -> Response:
    """Add a line to a draft."""

    async def add(uow: UnitOfWork) -> InvoiceLineShown:
        (row,) = await _added(uow, invoice_id, [body])
        return row

    return await repeat.once(at(who, invoice_id), add, owner=who.actor.id)


@router.post("/invoices/{invoice_id}/lines/batch", status_code=201, response_model=InvoiceLinesShown)
async def add_invoice_lines(
    who: AnyCaller, invoice_id: str, body: NewInvoiceLines, repeat: RepeatOnce
) -> Response:
    """Add many lines to a draft: all of them, or none."""

    async def add(uow: UnitOfWork) -> InvoiceLinesShown:
        return InvoiceLinesShown(data=await _added(uow, invoice_id, body.lines))

    return await repeat.once(at(who, invoice_id), add, owner=who.actor.id)


async def _added(uow: UnitOfWork, invoice_id: str, given: Sequence[NewInvoiceLine]) -> list[InvoiceLineShown]:
    currency = (await policies.invoice_for(uow, invoice_id, WRITE)).currency
    rows = await invoices.add_lines(uow, invoice_id, [_line(one, currency) for one in given])
    return [line_shown(row) for row in rows]


def _line(given: NewInvoiceLine, currency: str) -> NewLine:
    period = None
    if given.period_start is not None or given.period_end is not None:
        if given.period_start is None or given.period_end is None:
            raise Invalid("A service period has a start and an end.", field="period_end")
        period = (given.period_start, given.period_end)
    more: dict[str, Any] = {"key": given.key or "", "period": period, "inclusive": given.inclusive}
    return manual_line(given.description, given.quantity, given.unit_amount, currency, **more)


@router.delete("/invoices/{invoice_id}/lines/{line_id}")
async def remove_invoice_line(who: AnyCaller, invoice_id: str, line_id: str) -> InvoiceShown:
    """Take a line off a draft."""
    async with at(who, invoice_id) as uow:
        await invoices.remove_line(uow, invoice_id, line_id)
        return await shown(uow, await policies.invoice_for(uow, invoice_id, WRITE))


@router.post("/invoices/{invoice_id}/finalize", response_model=InvoiceShown)
async def finalize_invoice(who: AnyCaller, invoice_id: str, body: Nothing, repeat: RepeatOnce) -> Response:
    """Number a draft, fix all it says and book it. Credits of the customer pay at once."""
    act = _to(lambda uow: finalizing.finalize(uow, invoice_id))
    return await repeat.once(at(who, invoice_id), act, owner=who.actor.id, status=200)


@router.post("/invoices/{invoice_id}/finalize/preview", responses=failures(404, 409))
async def preview_finalizing(who: AnyCaller, invoice_id: str, body: Nothing) -> FinalPreview:
    """What finalising a draft comes to: its tax by rate, and what credits pay of it."""
    async with at(who, invoice_id) as uow:
        found = await finalizing.foresee(uow, invoice_id)
    named = {name: getattr(found.invoice, name) for name in FinalPreview.model_fields if name != "lines"}
    return FinalPreview.model_validate({**named, "lines": found.lines, "taxes": found.invoice.taxes or []})


@router.post("/invoices/{invoice_id}/void", response_model=InvoiceShown)
async def void_invoice(who: AnyCaller, invoice_id: str, body: WhyVoid, repeat: RepeatOnce) -> Response:
    """Undo an invoice; its number stays taken. A draft is given up."""
    act = _to(lambda uow: invoices.void(uow, invoice_id, reason=body.reason))
    return await repeat.once(at(who, invoice_id), act, owner=who.actor.id, status=200)


@router.post("/invoices/{invoice_id}/uncollectible", response_model=InvoiceShown)
async def give_up_invoice(who: AnyCaller, invoice_id: str, body: Nothing, repeat: RepeatOnce) -> Response:
    """Give up what is due, and write it off."""
    act = _to(lambda uow: invoices.mark_uncollectible(uow, invoice_id))
    return await repeat.once(at(who, invoice_id), act, owner=who.actor.id, status=200)


@router.post("/invoices/{invoice_id}/pay-by-credits", response_model=InvoiceShown)
async def pay_invoice_by_credits(
    who: AnyCaller, invoice_id: str, body: Nothing, repeat: RepeatOnce
) -> Response:
    """Use the customer's credits for what is due."""
    act = _to(lambda uow: customer_credits.pay_by_credits(uow, invoice_id))
    return await repeat.once(at(who, invoice_id), act, owner=who.actor.id, status=200)


@router.post("/invoices/{invoice_id}/credit-notes", status_code=201, response_model=CreditNoteShown)
async def issue_credit_note(
    who: AnyCaller, invoice_id: str, body: NewCreditNote, repeat: RepeatOnce
) -> Response:
    """Take back an invoice in full, by line or by amount; never more than is left."""

    async def issue(uow: UnitOfWork) -> CreditNoteShown:
        asked, key = await _asked_back(uow, invoice_id, body), body.key or new_id("crn")
        note = await notes.issue(uow, invoice_id, key=key, reason=body.reason, asked=asked)
        return note_shown(await queries.note(uow, note))

    return await repeat.once(at(who, invoice_id), issue, owner=who.actor.id)


@router.post("/invoices/{invoice_id}/credit-notes/preview", responses=failures(404, 409))
async def preview_credit_note(who: AnyCaller, invoice_id: str, body: CreditAsked) -> CreditPreview:
    """What a credit note would take back, line by line; with nothing asked all that is left."""
    async with at(who, invoice_id) as uow:
        found = await notes.preview(uow, invoice_id, await _asked_back(uow, invoice_id, body))
    return CreditPreview.model_validate(found)


async def _asked_back(uow: UnitOfWork, invoice_id: str, body: CreditAsked) -> AskedBack:
    currency = (await policies.invoice_for(uow, invoice_id, WRITE)).currency
    by_line: dict[str, int | None] | None = None
    if body.by_line is not None:
        by_line = {
            line_id: None if part is None else notes.minor_of(part, currency, f"by_line.{line_id}")
            for line_id, part in body.by_line.items()
        }
    return AskedBack(
        None if body.amount is None else notes.minor_of(body.amount, currency, "amount"), by_line
    )
