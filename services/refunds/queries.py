"""Reads of refunds: those of one's own organisation that were begun, and all for staff."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from models.refunds import RefundState, RefundTo
from services.audit.reads import note_read
from services.core import listing_sql
from services.core.errors import not_found
from services.core.listing import Column, Kind, Listing, Operator
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.payments import policies
from services.payments.providers import registry

R = TypeVar("R", bound="RefundRow")

_EXACTLY = (Operator.EQ, Operator.IN)
_STATES = (RefundState.SENDING, RefundState.PROCESSING, RefundState.SUCCEEDED, RefundState.FAILED)
LINES_MAX = 200  # that a dialog offers to give back
OF_PAYMENT_MAX = 100  # that the page of a payment shows; the list has all


@dataclass(frozen=True, slots=True)
class RefundRow:
    """As the customer sees it. `invoice_number` is None for money on account."""

    id: str
    payment_id: str
    invoice_id: str | None
    invoice_number: str | None
    credit_note_id: str | None
    credit_note_number: str | None
    destination: str
    state: str
    currency: str
    minor: int
    reason: str
    created_at: datetime
    succeeded_at: datetime | None


@dataclass(frozen=True, slots=True)
class StaffRefundRow(RefundRow):
    """`asked_by` and `approver` are names, `by_transfer` says that staff sends it."""

    organization_id: str
    organization_name: str
    provider: str
    by_transfer: bool
    requested_by: str
    asked_by: str
    approver: str | None
    refusal: str
    failure: str | None
    reference: str
    version: int


def _columns() -> tuple[Column, ...]:
    return (
        Column("id", "r.id", Kind.ID, filterable=True),
        Column("payment_id", "r.payment_id", Kind.ID, operators=_EXACTLY),
        Column("invoice_id", "p.invoice_id", Kind.ID, nullable=True, joined=True),
        Column("invoice_number", "i.number", nullable=True, joined=True),
        Column("credit_note_id", "r.credit_note_id", Kind.ID, nullable=True),
        Column("credit_note_number", "n.number", nullable=True, joined=True),
        Column("destination", "r.destination", Kind.ENUM, values=tuple(RefundTo), filterable=True),
        Column("state", "r.state", Kind.ENUM, values=tuple(RefundState), filterable=True),
        Column("currency", "r.currency", operators=_EXACTLY),
        Column("minor", "r.minor", Kind.INTEGER, currency="currency"),
        Column("reason", "r.reason"),
        Column("created_at", "r.created_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
        Column("succeeded_at", "r.succeeded_at", Kind.INSTANT, nullable=True),
    )


_JOINS = (
    "join payment p on p.id = r.payment_id left join invoice i on i.id = p.invoice_id"
    " left join credit_note n on n.id = r.credit_note_id"
)
REFUNDS: Listing[RefundRow] = Listing(
    "refunds",
    row=RefundRow,
    needs=Capability.PAYMENTS_READ,
    source="refund r",
    alias="r",
    joins=_JOINS,
    where=f"r.organization_id = :organization_id and r.state in ({', '.join(repr(one.value) for one in _STATES)})",
    columns=_columns(),
    sort="-created_at",
)
STAFF_REFUNDS: Listing[StaffRefundRow] = Listing(
    "staff.refunds",
    row=StaffRefundRow,
    needs=Capability.STAFF_PAYMENTS_READ,
    source="refund r",
    alias="r",
    joins=_JOINS
    + (
        " join organization o on o.id = r.organization_id left join account q on q.id = r.requested_by"
        " left join account a on a.id = r.approved_by"
    ),
    where="true",
    columns=(
        *_columns(),
        Column("organization_id", "r.organization_id", Kind.ID, operators=_EXACTLY),
        Column("organization_name", "o.name", joined=True),
        Column("provider", "p.provider", joined=True),
        Column("by_transfer", f"p.provider = any (array{registry.OUR_BANKS})", Kind.FLAG, joined=True),
        Column("requested_by", "r.requested_by", Kind.ID),
        Column("asked_by", "coalesce(nullif(q.name, ''), q.email, r.requested_by)", joined=True),
        Column(
            "approver",
            "coalesce(nullif(a.name, ''), a.email, r.approved_by)",
            nullable=True,
            joined=True,
        ),
        Column("refusal", "r.refusal"),
        Column("failure", "r.failure", nullable=True),
        Column("reference", "r.reference"),
        Column("version", "r.version", Kind.INTEGER),
    ),
    sort="-created_at",
)


async def refund(uow: UnitOfWork, refund_id: str) -> RefundRow:
    """One's own that was begun. Raises Forbidden and NotFound."""
    row = await policies.refund_for(uow, refund_id, Capability.PAYMENTS_READ)
    return _found(await listing_sql.find(uow, REFUNDS, row.id), refund_id)


async def staff_refund(uow: UnitOfWork, refund_id: str) -> StaffRefundRow:
    """Any organisation's, in work across tenants. Raises Forbidden and NotFound."""
    row = await policies.refund_for(uow, refund_id, Capability.STAFF_PAYMENTS_READ)
    await note_read(uow, "refund", organization_id=row.organization_id, row_id=row.id)
    return _found(await listing_sql.find(uow, STAFF_REFUNDS, row.id), refund_id)


def _found(row: R | None, refund_id: str) -> R:
    if row is None:
        raise not_found("refund", refund_id)
    return row


async def of_payment(uow: UnitOfWork, payment_id: str) -> list[RefundRow]:
    """What was given back of one of the organisation's payments, the newest first. Raises Forbidden."""
    return await listing_sql.select(uow, REFUNDS, ("payment_id", payment_id), limit=OF_PAYMENT_MAX)


async def staff_of_payment(uow: UnitOfWork, payment_id: str) -> list[StaffRefundRow]:
    """Refunds of anybody's payment, the newest first, in work across tenants. Raises Forbidden."""
    return await listing_sql.select(uow, STAFF_REFUNDS, ("payment_id", payment_id), limit=OF_PAYMENT_MAX)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the invoice that a payment paid, `minor` with tax."""

    id: str
    description: str
    currency: str
    minor: int


_LINES = """
select l.id, l.description, i.currency, l.net_minor + l.tax_minor as minor
from invoice_line l join invoice i on i.id = l.invoice_id
where l.invoice_id = :invoice_id and l.net_minor + l.tax_minor > 0 order by l.position, l.id limit :most
"""


async def lines_of(uow: UnitOfWork, invoice_id: str) -> list[Line]:
    """What of an invoice may be given back by line, in work across tenants. Raises Forbidden."""
    uow.actor.require(Capability.STAFF_PAYMENTS_READ)
    found = await uow.execute(_LINES, invoice_id=invoice_id, most=LINES_MAX)
    return [Line(row.id, row.description, row.currency, row.minor) for row in found]
