"""Credit notes: what is taken back of an invoice, in full, by line or by amount, never more than is left.

A note is issued whole. What it takes back comes off what is due first, then off other open invoices; the rest is a
credit of the customer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from models.billing import CreditNote, CreditNoteLine, Invoice, InvoiceLine, InvoiceState, LineOrigin
from models.ledger import JournalKind, Purpose
from models.money import Money
from services.billing import credited_since, customer_credits, offsetting, policies, states
from services.billing.credit_notes import Piece, credit_all, credit_amount, credit_lines, left_of
from services.billing.events import CreditNoteIssued
from services.billing.finalizing import draw_numbers, lines_of
from services.billing.invoices import DESCRIPTION_CHARACTERS_MAX, KeyMeansOther, require_key
from services.billing.issuers import Issuer
from services.billing.numbering import Series, label_date
from services.catalog.charges import LINE_AMOUNT_MAX
from services.core.errors import Invalid
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.identity.rules import clean_text
from services.ledger import recognition
from services.ledger import service as ledger
from services.ledger.rules import INSTANT, Deferral, Draft, credit, debit


@dataclass(frozen=True, slots=True)
class Asked:
    """What a note is to take back: gross `amount` minor units of all, or of each line named (None: what is left of
    it); with neither, everything that is left."""

    amount: int | None = None
    lines: Mapping[str, int | None] | None = None


def minor_of(amount: Decimal, currency: str, field: str) -> int:
    """What somebody asks to be credited, in minor units, never rounded. Raises Invalid."""
    money = Money.of(amount, currency) if abs(amount) <= LINE_AMOUNT_MAX else None
    if money is None or money.amount != amount:
        raise Invalid(f"{amount:f} is no amount of {currency} that can be credited.", field=field)
    return money.minor


async def issue(
    uow: UnitOfWork, invoice_id: str, *, key: str, reason: str, asked: Asked, pays_open: bool = True
) -> CreditNote:
    """Issue a credit note with its number. The same key is the note that is there. Without `pays_open` the credit that
    it leaves is for the caller, who gives it back.

    Raises Forbidden, NotFound, InvoiceStateConflict for what is not final or gives nothing to credit, KeyMeansOther,
    and Invalid for a line that is not there and for more than is left of a line or of the invoice.
    """
    uow.actor.require(Capability.STAFF_INVOICES_WRITE)
    if pays_open:
        await offsetting.lock_with_owed(uow, invoice_id)
    invoice = await policies.invoice_for(uow, invoice_id, Capability.STAFF_INVOICES_WRITE)
    require_key(key)
    reason = clean_text(reason, field="reason", what="The reason", characters_max=DESCRIPTION_CHARACTERS_MAX)
    said: dict[str, Any] = {"amount": asked.amount, "lines": asked.lines and dict(asked.lines)}
    if (there := await _known(uow, invoice, key)) is not None:
        if (there.invoice_id, there.asked) != (invoice.id, said):
            raise KeyMeansOther(
                f"{key!r} is the key of another credit note.", next_step="Give another act another key."
            )
        return there
    states.require_creditable(InvoiceState(invoice.state))
    lines = await lines_of(uow, invoice)
    pieces = _taken(asked, await _left(uow, invoice, lines), invoice.currency)
    return await _issue(uow, invoice, lines, pieces, key=key, reason=reason, said=said, pays_open=pays_open)


@dataclass(frozen=True, slots=True)
class LinePreview:
    """Of a line: what is left of it, tax included, and what the note would take of that, in minor units."""

    line_id: str
    description: str
    left_minor: int
    net_minor: int
    tax_minor: int


@dataclass(frozen=True, slots=True)
class NotePreview:
    """What a note would take back, in minor units: net + tax = total. `offset_minor` comes off what is due, and the
    rest pays other open invoices or becomes a credit."""

    currency: str
    lines: tuple[LinePreview, ...]
    net_minor: int
    tax_minor: int
    total_minor: int
    offset_minor: int


async def preview(uow: UnitOfWork, invoice_id: str, asked: Asked) -> NotePreview:
    """What a note would take back now. Raises as `issue` does for what is asked."""
    invoice = await policies.invoice_for(uow, invoice_id, Capability.STAFF_INVOICES_WRITE)
    states.require_creditable(InvoiceState(invoice.state))
    lines, nothing = await lines_of(uow, invoice), Money(0, invoice.currency)
    left = await _left(uow, invoice, lines)
    taken = {piece.key: piece for piece in _taken(asked, left, invoice.currency)}
    by_id = {piece.key: piece for piece in left}
    rows = [
        LinePreview(
            line.id,
            line.description,
            by_id[line.id].gross.minor,
            taken[line.id].net.minor if line.id in taken else 0,
            taken[line.id].tax.minor if line.id in taken else 0,
        )
        for line in lines
    ]
    total = sum((piece.gross for piece in taken.values()), nothing)
    return NotePreview(
        invoice.currency,
        tuple(rows),
        sum(row.net_minor for row in rows),
        sum(row.tax_minor for row in rows),
        total.minor,
        min(total.minor, invoice.due_minor),
    )


async def worth(uow: UnitOfWork, invoice: Invoice, asked: Asked) -> Money:
    """What a note would take back now, tax included. For verbs that were allowed to credit the invoice.

    Raises as `issue` does for what is asked.
    """
    states.require_creditable(InvoiceState(invoice.state))
    left = await _left(uow, invoice, await lines_of(uow, invoice))
    return sum((piece.gross for piece in _taken(asked, left, invoice.currency)), Money(0, invoice.currency))


async def creditable(uow: UnitOfWork, invoice: Invoice) -> Money:
    """What notes may take back of an invoice still, tax included; nothing of one that cannot be credited."""
    nothing = Money(0, invoice.currency)
    if InvoiceState(invoice.state) not in states.CREDITABLE:
        return nothing
    left = await _left(uow, invoice, await lines_of(uow, invoice))
    return max(nothing, sum((piece.gross for piece in left), nothing))


async def left(uow: UnitOfWork, invoice: Invoice) -> dict[str, Money]:
    """What notes may take back of each line of a final invoice still, tax included."""
    return {piece.key: piece.gross for piece in await _left(uow, invoice, await lines_of(uow, invoice))}


async def _known(uow: UnitOfWork, invoice: Invoice, key: str) -> CreditNote | None:
    found = await uow.execute(
        "select * from credit_note where organization_id = :organization_id and key = :key",
        organization_id=invoice.organization_id,
        key=key,
    )
    row = found.mappings().one_or_none()
    return None if row is None else CreditNote(**row)


async def _left(uow: UnitOfWork, invoice: Invoice, lines: Sequence[InvoiceLine]) -> tuple[Piece, ...]:
    code = invoice.currency
    whole = [
        Piece(
            line.id, Money(line.net_minor, code), tuple(Money(part["tax"], code) for part in parts_of(line))
        )
        for line in lines
    ]
    found = await uow.execute(
        "select l.invoice_line_id, l.net_minor, l.tax_parts from credit_note n"
        " join credit_note_line l on l.credit_note_id = n.id where n.invoice_id = :id",
        id=invoice.id,
    )
    noted = [
        Piece(
            row.invoice_line_id,
            Money(row.net_minor, code),
            tuple(Money(minor, code) for minor in row.tax_parts),
        )
        for row in found
    ]
    since = [*await credited_since.of_time(uow, invoice)]
    if any(line.origin == LineOrigin.USAGE for line in lines):
        since += await credited_since.of_usage(uow, invoice)
    return left_of(whole, [noted, _credited(invoice, whole, since)])


def _credited(invoice: Invoice, whole: Sequence[Piece], since: Sequence[Any]) -> list[Piece]:
    """What lines of other documents took back of its lines."""
    by_key, code = {piece.key: piece for piece in whole}, invoice.currency
    made: list[Piece] = []
    for row in since:
        taxes = tuple(Money(0, code) for _ in by_key[row.line_id].taxes)
        if row.tax:  # over the rates as the line itself bears them
            taxes = Money(row.tax, code).split([tax.minor for tax in by_key[row.line_id].taxes])
        made.append(Piece(row.line_id, Money(row.net, code), taxes))
    return made


def parts_of(line: InvoiceLine) -> list[dict[str, Any]]:
    """The rates of a line of a final invoice, each with its tax."""
    return line.tax["parts"] if line.tax is not None else []


def _taken(asked: Asked, left: tuple[Piece, ...], code: str) -> tuple[Piece, ...]:
    if asked.amount is not None and asked.lines is not None:
        raise Invalid("A credit note is by amount or by line, not both.", field="amount")
    if asked.amount is not None:
        return credit_amount(left, Money(asked.amount, code))
    if asked.lines is not None:
        if not asked.lines:
            raise Invalid("Name the lines to be credited.", field="lines")
        by_line = {key: None if minor is None else Money(minor, code) for key, minor in asked.lines.items()}
        return credit_lines(left, by_line)
    return credit_all(left)


async def _issue(
    uow: UnitOfWork,
    invoice: Invoice,
    lines: Sequence[InvoiceLine],
    pieces: Sequence[Piece],
    *,
    key: str,
    reason: str,
    said: dict[str, Any],
    pays_open: bool,
) -> CreditNote:
    note_id, nothing = new_id("crn"), Money(0, invoice.currency)
    net = sum((piece.net for piece in pieces), nothing)
    tax = sum((piece.tax for piece in pieces), nothing)
    total = net + tax
    offset = min(total, Money(invoice.due_minor, invoice.currency))
    rows = [_line(invoice, note_id, piece) for piece in pieces]
    journal_id = await _book(uow, invoice, note_id, lines, rows, tax=tax, offset=offset, total=total)
    invoice.credited_minor += total.minor
    invoice.offset_minor += offset.minor
    invoice.due_minor -= offset.minor
    await customer_credits.settle(uow, invoice)
    if pays_open:
        await offsetting.keep(
            uow,
            organization_id=invoice.organization_id,
            source_id=note_id,
            amount=total - offset,
            of=invoice.subscription_id,
        )
    else:
        customer_credits.open_credit(uow, invoice.organization_id, note_id, total - offset)
    entity = await policies.entity_for(uow, invoice.legal_entity_id, Capability.STAFF_INVOICES_WRITE)
    brand = await policies.brand_for(uow, invoice.brand_id, Capability.STAFF_INVOICES_WRITE)
    on = label_date(uow.now, entity.timezone)
    (drawn,) = await draw_numbers(uow, Issuer(entity, brand), Series.CREDIT_NOTE, on)
    note = CreditNote(
        id=note_id,
        organization_id=invoice.organization_id,
        legal_entity_id=entity.id,
        invoice_id=invoice.id,
        key=key,
        asked=said,
        label_date=on,
        currency=invoice.currency,
        reason=reason,
        net_minor=net.minor,
        tax_minor=tax.minor,
        total_minor=total.minor,
        offset_minor=offset.minor,
        journal_id=journal_id,
        created_at=uow.now,
        **asdict(drawn),
    )
    uow.add(note)
    await uow.session.flush()
    uow.session.add_all(rows)
    await uow.session.flush()
    uow.record(
        CreditNoteIssued(
            aggregate_id=note.id,
            organization_id=note.organization_id,
            currency=note.currency,
            invoice_id=invoice.id,
            number=note.number,
            total_minor=note.total_minor,
        )
    )
    return note


def _line(invoice: Invoice, note_id: str, piece: Piece) -> CreditNoteLine:
    return CreditNoteLine(
        id=new_id("crnl"),
        organization_id=invoice.organization_id,
        credit_note_id=note_id,
        invoice_line_id=piece.key,
        net_minor=piece.net.minor,
        tax_minor=piece.tax.minor,
        tax_parts=[tax.minor for tax in piece.taxes],
    )


async def _book(
    uow: UnitOfWork,
    invoice: Invoice,
    note_id: str,
    lines: Sequence[InvoiceLine],
    rows: Sequence[CreditNoteLine],
    *,
    tax: Money,
    offset: Money,
    total: Money,
) -> str:
    """The journal of a note. Of a line that is for a time, what is earned by now is taken from revenue, and the rest
    from what is deferred, over the time that is left."""
    by_id, nothing = {line.id: line for line in lines}, Money(0, invoice.currency)
    organization = await policies.organization_of(uow)
    earned = deferred = nothing
    for row in rows:
        line, net = by_id[row.invoice_line_id], Money(row.net_minor, invoice.currency)
        if line.period_start is None or line.period_end is None:
            earned += net
            continue
        passed = net.times(share_passed(line.period_start, line.period_end, uow.now))
        earned, rest = earned + passed, net - passed
        deferred += rest
        if rest.minor:
            start = max(line.period_start, uow.now)
            await recognition.defer(
                uow,
                invoice.organization_id,
                Deferral(row.id, -rest, start, line.period_end, zone=organization.timezone),
            )
    posted = await ledger.post(
        uow,
        Draft(
            invoice.organization_id,
            key=f"credit_note:{note_id}",
            kind=JournalKind.CREDIT_NOTE,
            cause_id=invoice.id,
            entries=(
                debit(Purpose.REVENUE, earned),
                debit(Purpose.DEFERRED_REVENUE, deferred),
                debit(Purpose.TAX_OWED, tax),
                credit(Purpose.RECEIVABLE, offset),
                credit(Purpose.CUSTOMER_CREDIT, total - offset),
            ),
            at=uow.now,
        ),
    )
    return posted.id


def share_passed(start: datetime, end: datetime, now: datetime) -> Fraction:
    """How much of [start, end) lies before `now`: 0 to 1."""
    within = min(max(now, start), end) - start
    return Fraction(within // INSTANT, (end - start) // INSTANT)
