"""Reads of invoices, credit notes and those who issue them: of one's own organisation, and of all for staff."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from models.billing import BillingProfile, CreditNote, CreditNoteLine, Invoice, InvoiceLine, InvoiceState
from services.audit.reads import note_read
from services.billing import due_dates, explaining, policies
from services.billing.due_dates import Lateness
from services.billing.explaining import Explanation
from services.core.errors import not_found
from services.core.listing import Column, Kind, Listing, Operator
from services.core.permissions import Capability
from services.core.work import UnitOfWork

_EXACTLY = (Operator.EQ, Operator.IN)


@dataclass(frozen=True, slots=True)
class InvoiceRow:
    """Amounts in minor units. A draft has neither number nor dates, and its sums are 0 until it is finalised. When one
    is overdue services/billing/due_dates.py says."""

    id: str
    organization_id: str
    organization_name: str
    legal_entity: str
    brand_id: str
    brand: str
    number: str | None
    state: str
    currency: str
    total_minor: int
    credited_minor: int
    due_minor: int
    label_date: str | None
    due_date: str | None
    overdue: bool
    days_overdue: int | None
    lines: int
    memo: str
    created_at: datetime
    finalized_at: datetime | None


def _amount(name: str) -> Column:
    return Column(name, f"i.{name}", Kind.INTEGER, currency="currency")


def _invoices(
    name: str, needs: Capability, late: Lateness, where: str, *whose: Operator
) -> Listing[InvoiceRow]:
    """`whose` is what staff narrows all of them down by: to an organisation, or to a brand."""
    return Listing(
        name,
        row=InvoiceRow,
        needs=needs,
        source="invoice i",
        alias="i",
        joins="join organization o on o.id = i.organization_id join legal_entity e on e.id = i.legal_entity_id"
        " join brand b on b.id = i.brand_id",
        where=where,
        columns=(
            Column("id", "i.id", Kind.ID, filterable=True),
            Column("organization_id", "i.organization_id", Kind.ID, operators=whose),
            Column("organization_name", "o.name", joined=True),
            Column("legal_entity", "e.code", joined=True, text="Code of who issues it"),
            Column("brand_id", "i.brand_id", Kind.ID, operators=whose),
            Column("brand", "b.code", joined=True, text="Code of the brand that it is issued under"),
            Column("number", "i.number", nullable=True, operators=_EXACTLY),
            Column("state", "i.state", Kind.ENUM, values=tuple(InvoiceState), filterable=True),
            Column("currency", "i.currency", operators=_EXACTLY),
            _amount("total_minor"),
            _amount("credited_minor"),
            _amount("due_minor"),
            Column("label_date", "cast(i.label_date as text)", nullable=True),
            Column("due_date", "cast(i.due_date as text)", nullable=True),
            *late.columns(),
            Column("lines", "i.lines", Kind.INTEGER),
            Column("memo", "i.memo"),
            Column(
                "created_at", "i.created_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True
            ),
            Column("finalized_at", "i.finalized_at", Kind.INSTANT, nullable=True),
        ),
        sort="-created_at",
    )


# A draft is nobody's business but staff's: what it says is not decided yet.
INVOICES = _invoices(
    "invoices", Capability.INVOICES_READ, due_dates.OWN, "i.organization_id = :organization_id and i.state <> 'draft'"
    " and i.number is not null",
)  # fmt: skip
STAFF_INVOICES = _invoices(
    "staff.invoices", Capability.STAFF_INVOICES_READ, due_dates.EVERYBODY, "true", *_EXACTLY
)


@dataclass(frozen=True, slots=True)
class EntityRow:
    """A legal entity as staff sees it."""

    id: str
    code: str
    name: str
    address: str
    country: str
    currency: str
    timezone: str
    tax_ids: list[dict[str, str]]
    registrations: list[str]
    reverse_charge_in: list[str]
    brand: str
    invoice_pattern: str
    invoice_reset: str
    note_pattern: str
    note_reset: str
    tax_rounding: str
    zero_documents: str
    grace_hours: int
    payment_days: int
    trusts_unanswered: bool
    is_test: bool
    is_usual: bool
    created_at: datetime
    version: int


ENTITIES: Listing[EntityRow] = Listing(
    "staff.legal_entities",
    row=EntityRow,
    needs=Capability.STAFF_INVOICES_READ,
    source="legal_entity e join brand b on b.legal_entity_id = e.id and b.is_default",
    columns=(
        Column("id", "e.id", Kind.ID, filterable=True),
        Column("code", "e.code", sortable=True, operators=_EXACTLY),
        *(Column(name, f"e.{name}") for name in ("name", "address", "country", "currency", "timezone")),
        *(
            Column(name, f"e.{name}", Kind.OBJECT if name == "tax_ids" else Kind.LIST)
            for name in ("tax_ids", "registrations", "reverse_charge_in")
        ),
        *(
            Column(name, f"e.{name}")
            for name in ("invoice_pattern", "invoice_reset", "note_pattern", "note_reset")
        ),
        Column("brand", "b.code", text="Code of its default brand"),
        *(Column(name, f"e.{name}") for name in ("tax_rounding", "zero_documents")),
        *(Column(name, f"e.{name}", Kind.INTEGER) for name in ("grace_hours", "payment_days")),
        Column("trusts_unanswered", "e.trusts_unanswered", Kind.FLAG),
        Column("is_test", "e.is_test", Kind.FLAG, filterable=True),
        Column("is_usual", "e.is_usual", Kind.FLAG),
        Column("created_at", "e.created_at", Kind.INSTANT),
        Column("version", "e.version", Kind.INTEGER),
    ),
    sort="code",
)


@dataclass(frozen=True, slots=True)
class TaxRateRow:
    """`rate` is a decimal as text: 0.19 is 19 %."""

    id: str
    jurisdiction: str
    name: str
    rate: str
    source: str
    edition: str
    valid_from: str
    valid_until: str | None
    created_at: datetime


TAX_RATES: Listing[TaxRateRow] = Listing(
    "staff.tax_rates",
    row=TaxRateRow,
    needs=Capability.STAFF_INVOICES_READ,
    source="tax_rate r",
    columns=(
        Column("id", "r.id", Kind.ID, filterable=True),
        Column("jurisdiction", "r.jurisdiction", sortable=True, operators=_EXACTLY),
        Column("name", "r.name", operators=_EXACTLY),
        Column("rate", "cast(trim_scale(r.rate) as text)"),
        Column("source", "r.source"),
        Column("edition", "r.edition"),
        Column("valid_from", "cast(r.valid_from as text)"),
        Column("valid_until", "cast(r.valid_until as text)", nullable=True),
        Column("created_at", "r.created_at", Kind.INSTANT),
    ),
    sort="jurisdiction",
)


# -- one document

CREDIT_USES_MAX = 100
_CREDIT_USES = """
with used as (
  select u.*, c.source_id from credit_use u join customer_credit c on c.id = u.credit_id where u.invoice_id = :id
  union
  select u.*, c.source_id from customer_credit c join credit_use u on u.credit_id = c.id
  where c.organization_id = :organization_id
    and c.source_id in (select :id union all select id from credit_note where invoice_id = :id)
)
select u.source_id, coalesce(s.number, n.number) as source_number, u.invoice_id, i.number as invoice_number, u.minor,
  u.created_at
from used u join invoice i on i.id = u.invoice_id
left join invoice s on s.id = u.source_id left join credit_note n on n.id = u.source_id
where u.given_back_at is null order by u.created_at, u.id limit :most
"""


@dataclass(frozen=True, slots=True)
class NoteLine:
    line_id: str
    net_minor: int
    tax_minor: int


@dataclass(frozen=True, slots=True)
class NoteDetail:
    """A credit note with what it takes back of each line."""

    id: str
    invoice_id: str
    number: str
    label_date: date
    currency: str
    reason: str
    net_minor: int
    tax_minor: int
    total_minor: int
    offset_minor: int
    created_at: datetime
    lines: tuple[NoteLine, ...]


async def invoice(uow: UnitOfWork, invoice_id: str, *, staff: bool = False) -> Invoice:
    """An invoice of the organisation that the work is bound to; of any, for staff across tenants. A client sees no
    draft. Raises Forbidden and NotFound."""
    needs = Capability.STAFF_INVOICES_READ if staff else Capability.INVOICES_READ
    if not staff:
        row = await policies.invoice_for(uow, invoice_id, needs, lock=False)
        if row.number is None:
            raise not_found("invoice", invoice_id)
        return row
    row = await policies.any_invoice(uow, invoice_id)
    await note_read(uow, "invoice", organization_id=row.organization_id, row_id=row.id)
    return row


async def lines(uow: UnitOfWork, of: Invoice, *, after: int = 0, limit: int = 50) -> list[InvoiceLine]:
    """Lines of an invoice that was found by `invoice`, from the position `after` on, at most `limit`."""
    found = await uow.execute(
        "select * from invoice_line where invoice_id = :id and position > :after order by position limit :limit",
        id=of.id,
        after=after,
        limit=limit,
    )
    return [InvoiceLine(**row) for row in found.mappings()]


async def explain(uow: UnitOfWork, of: Invoice, line_id: str) -> Explanation:
    """One line of an invoice that was found by `invoice`, worked out again. Raises NotFound."""
    return await explaining.explain(uow, of, await policies.line_for(uow, of, line_id))


async def notes(uow: UnitOfWork, of: Invoice, *, after: str = "", limit: int = 50) -> list[NoteDetail]:
    """Credit notes of an invoice that was found by `invoice`, the oldest first."""
    found = await uow.execute(
        "select * from credit_note where invoice_id = :id and id > :after order by id limit :limit",
        id=of.id,
        after=after,
        limit=limit,
    )
    return await _with_lines(uow, [CreditNote(**row) for row in found.mappings()])


@dataclass(frozen=True, slots=True)
class CreditUseRow:
    """What of a credit paid an invoice. It came from a document with a number, or from a payment, which has none."""

    source_id: str
    source_number: str | None
    invoice_id: str
    invoice_number: str
    minor: int
    created_at: datetime


async def credit_uses(uow: UnitOfWork, of: Invoice) -> list[CreditUseRow]:
    """By which credits an invoice that was found by `invoice` was paid, and what those paid that it and its notes made:
    the first CREDIT_USES_MAX, the oldest first."""
    found = await uow.execute(
        _CREDIT_USES, id=of.id, organization_id=of.organization_id, most=CREDIT_USES_MAX
    )
    return [CreditUseRow(**row) for row in found.mappings()]


async def note(uow: UnitOfWork, row: CreditNote) -> NoteDetail:
    (shown,) = await _with_lines(uow, [row])
    return shown


async def _with_lines(uow: UnitOfWork, rows: Sequence[CreditNote]) -> list[NoteDetail]:
    found = await uow.execute(
        "select credit_note_id, invoice_line_id, net_minor, tax_minor from credit_note_line"
        " where credit_note_id = any(:ids) order by id",
        ids=[row.id for row in rows],
    )
    by_note: dict[str, list[NoteLine]] = {row.id: [] for row in rows}
    for line in found:
        by_note[line.credit_note_id].append(NoteLine(line.invoice_line_id, line.net_minor, line.tax_minor))
    return [
        NoteDetail(
            **row.model_dump(include={f for f in NoteDetail.__slots__ if f != "lines"}),
            lines=tuple(by_note[row.id]),
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class NoteDocument:
    """A credit note with all that it says: its invoice, and what it takes back of which lines."""

    note: CreditNote
    invoice: Invoice
    lines: list[InvoiceLine]
    taken: list[CreditNoteLine]


async def note_document(uow: UnitOfWork, note_id: str) -> NoteDocument:
    """A credit note of any organisation, for work across tenants. Raises Forbidden and NotFound."""
    note = await policies.note_for(uow, note_id, Capability.STAFF_INVOICES_READ)
    taken = await uow.execute(
        "select * from credit_note_line where credit_note_id = :id order by id", id=note.id
    )
    parts = [CreditNoteLine(**row) for row in taken.mappings()]
    lines = await uow.execute(
        "select * from invoice_line where id = any(:ids) order by position",
        ids=[one.invoice_line_id for one in parts],
    )
    found = [InvoiceLine(**row) for row in lines.mappings()]
    places = {line.id: line.position for line in found}
    parts.sort(key=lambda one: places[one.invoice_line_id])
    return NoteDocument(note, await policies.any_invoice(uow, note.invoice_id), found, parts)


async def require_note(uow: UnitOfWork, note_id: str, *, staff: bool = False) -> CreditNote:
    """A credit note of the organisation that the work is bound to; of any, for staff across tenants. Raises Forbidden
    and NotFound."""
    needs = Capability.STAFF_INVOICES_READ if staff else Capability.INVOICES_READ
    row = await policies.note_for(uow, note_id, needs)
    if staff:
        await note_read(uow, "credit_note", organization_id=row.organization_id, row_id=row.id)
    return row


async def numbers_of(uow: UnitOfWork, invoice_ids: Sequence[str]) -> dict[str, str]:
    """By id, of those that have a number and that whoever asks was let to."""
    if not invoice_ids:
        return {}
    found = await uow.execute(
        "select id, number from invoice where id = any(:ids) and number is not null", ids=list(invoice_ids)
    )
    return {row.id: row.number for row in found}


async def organization_of(uow: UnitOfWork, invoice_id: str) -> str:
    """Whose invoice it is, for staff who then work within that organisation. Raises Forbidden and NotFound."""
    return (await policies.any_invoice(uow, invoice_id)).organization_id


async def profile(uow: UnitOfWork, *, needs: Capability = Capability.STAFF_INVOICES_READ) -> BillingProfile:
    """The billing profile of the organisation that the work is bound to; that staff looked at it is noted. Raises
    Forbidden and NotFound."""
    uow.actor.require(needs)
    row = await policies.profile_of(uow)
    if row is None:
        raise not_found("billing profile", uow.organization_id)
    if needs is Capability.STAFF_INVOICES_READ:
        await note_read(uow, "billing_profile", organization_id=row.organization_id)
    return row
