"""Lists of credit notes, and of credits that a customer has: of one's own organisation, and of all for staff."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.core.listing import Column, Kind, Listing, Operator
from services.core.permissions import Capability

_EXACTLY = (Operator.EQ, Operator.IN)
_OWN = "t.organization_id = :organization_id"
SOURCES = ("credit_note", "invoice", "payment", "other")


@dataclass(frozen=True, slots=True)
class NoteRow:
    """A credit note. Amounts in minor units; `offset_minor` came off what was due, the rest became a credit."""

    id: str
    organization_id: str
    organization_name: str
    number: str
    invoice_id: str
    invoice_number: str
    currency: str
    total_minor: int
    offset_minor: int
    label_date: str
    reason: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CreditRow:
    """What a customer was owed, and what is left of it, in minor units. `source_number` is that of the document that it
    came of; a payment has none. `invoice_id` is that document's, of a note the one that it takes back from."""

    id: str
    organization_id: str
    organization_name: str
    source: str  # of SOURCES
    source_id: str
    source_number: str | None
    invoice_id: str | None
    currency: str
    minor: int
    left_minor: int
    created_at: datetime


def _notes(name: str, needs: Capability, where: str, *organization: Operator) -> Listing[NoteRow]:
    return Listing(
        name,
        row=NoteRow,
        needs=needs,
        source="credit_note t",
        alias="t",
        joins="join organization o on o.id = t.organization_id join invoice i on i.id = t.invoice_id",
        where=where,
        columns=(
            Column("id", "t.id", Kind.ID, filterable=True),
            Column("organization_id", "t.organization_id", Kind.ID, operators=organization),
            Column("organization_name", "o.name", joined=True),
            Column("number", "t.number", operators=_EXACTLY),
            Column("invoice_id", "t.invoice_id", Kind.ID, operators=_EXACTLY),
            Column("invoice_number", "i.number", joined=True),
            Column("currency", "t.currency", operators=_EXACTLY),
            Column("total_minor", "t.total_minor", Kind.INTEGER, currency="currency"),
            Column("offset_minor", "t.offset_minor", Kind.INTEGER, currency="currency"),
            Column("label_date", "cast(t.label_date as text)"),
            Column("reason", "t.reason"),
            Column(
                "created_at", "t.created_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True
            ),
        ),
        sort="-created_at",
    )


def _credits(name: str, needs: Capability, where: str, *organization: Operator) -> Listing[CreditRow]:
    return Listing(
        name,
        row=CreditRow,
        needs=needs,
        source="customer_credit t",
        alias="t",
        joins=(
            "join organization o on o.id = t.organization_id left join credit_note n on n.id = t.source_id"
            " left join invoice i on i.id = t.source_id"
        ),
        where=where,
        columns=(
            Column("id", "t.id", Kind.ID, filterable=True),
            Column("organization_id", "t.organization_id", Kind.ID, operators=organization),
            Column("organization_name", "o.name", joined=True),
            Column(
                "source",
                "case when n.id is not null then 'credit_note' when i.id is not null then 'invoice'"
                " when starts_with(t.source_id, 'pay_') then 'payment' else 'other' end",
                Kind.ENUM,
                values=SOURCES,
                joined=True,
            ),
            Column("source_id", "t.source_id", Kind.ID, operators=_EXACTLY),
            Column("source_number", "coalesce(n.number, i.number)", nullable=True, joined=True),
            Column("invoice_id", "coalesce(n.invoice_id, i.id)", nullable=True, joined=True),
            Column("currency", "t.currency", operators=_EXACTLY),
            Column("minor", "t.minor", Kind.INTEGER, currency="currency"),
            Column(
                "left_minor",
                "t.left_minor",
                Kind.INTEGER,
                operators=(Operator.EQ, Operator.GT),
                currency="currency",
                text="What still pays what comes",
            ),
            Column(
                "created_at", "t.created_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True
            ),
        ),
        sort="-created_at",
    )


NOTES = _notes("credit_notes", Capability.INVOICES_READ, _OWN)
STAFF_NOTES = _notes("staff.credit_notes", Capability.STAFF_INVOICES_READ, "true", *_EXACTLY)
CREDITS = _credits("credits", Capability.INVOICES_READ, _OWN)
STAFF_CREDITS = _credits("staff.credits", Capability.STAFF_INVOICES_READ, "true", *_EXACTLY)
