"""Reads of disputes and of contests: of one's own organisation, and of all for staff."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from models.disputes import ContestState, DisputeState
from services.audit.reads import note_read
from services.core import listing_sql
from services.core.errors import not_found
from services.core.ids import is_id
from services.core.listing import Column, Kind, Listing, Operator
from services.core.permissions import Capability
from services.core.work import UnitOfWork

_EXACTLY = (Operator.EQ, Operator.IN)
TIMELINE_MAX = 100
_ASKS = "d.state in ('warning_needs_answer', 'needs_answer')"
OF_INVOICE_MAX = 50


@dataclass(frozen=True, slots=True)
class DisputeRow:
    """What staff sees of a dispute. `asks` says whether it waits for our answer."""

    id: str
    organization_id: str
    organization_name: str
    payment_id: str
    invoice_id: str | None
    invoice_number: str | None
    account: str
    provider: str
    provider_ref: str
    state: str
    asks: bool
    reason: str
    currency: str
    minor: int
    fee_currency: str
    fee_minor: int
    taken_invoice_minor: int
    taken_credit_minor: int
    taken_unknown_minor: int
    due_at: datetime | None
    opened_at: datetime
    taken_at: datetime | None
    returned_at: datetime | None
    submitted_at: datetime | None
    answering_at: datetime | None  # since when an answer is on its way
    conceded_at: datetime | None
    ended_at: datetime | None
    created_at: datetime
    version: int


def _amount(name: str, currency: str = "currency") -> Column:
    return Column(name, f"d.{name}", Kind.INTEGER, currency=currency)


def _instant(name: str) -> Column:
    return Column(name, f"d.{name}", Kind.INSTANT, nullable=True)


_ANSWERING = f"case when {_ASKS} and d.submitted_at is null then (d.evidence->>'at')::timestamptz end"
DISPUTES: Listing[DisputeRow] = Listing(
    "staff.disputes",
    row=DisputeRow,
    needs=Capability.STAFF_PAYMENTS_READ,
    source="dispute d",
    alias="d",
    joins=(
        "join organization o on o.id = d.organization_id join payment p on p.id = d.payment_id"
        " left join invoice i on i.id = p.invoice_id join provider_account a on a.id = d.provider_account_id"
    ),
    where="true",
    columns=(
        Column("id", "d.id", Kind.ID, filterable=True),
        Column("organization_id", "d.organization_id", Kind.ID, operators=_EXACTLY),
        Column("organization_name", "o.name", joined=True),
        Column("payment_id", "d.payment_id", Kind.ID, operators=_EXACTLY),
        Column("invoice_id", "p.invoice_id", Kind.ID, nullable=True, joined=True),
        Column("invoice_number", "i.number", nullable=True, joined=True),
        Column("account", "a.name", joined=True),
        Column("provider", "a.provider", joined=True),
        Column("provider_ref", "d.provider_ref"),
        Column("state", "d.state", Kind.ENUM, values=tuple(DisputeState), filterable=True),
        Column("asks", f"({_ASKS})", Kind.FLAG),
        Column("reason", "d.reason", operators=_EXACTLY),
        Column("currency", "d.currency", operators=_EXACTLY),
        _amount("minor"),
        Column("fee_currency", "d.fee_currency"),
        _amount("fee_minor", "fee_currency"),
        _amount("taken_invoice_minor"),
        _amount("taken_credit_minor"),
        _amount("taken_unknown_minor"),
        Column("due_at", "d.due_at", Kind.INSTANT, nullable=True, sortable=True, filterable=True),
        Column("opened_at", "d.opened_at", Kind.INSTANT),
        _instant("taken_at"),
        _instant("returned_at"),
        _instant("submitted_at"),
        Column("answering_at", _ANSWERING, Kind.INSTANT, nullable=True),
        _instant("conceded_at"),
        _instant("ended_at"),
        Column("created_at", "d.created_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
        Column("version", "d.version", Kind.INTEGER),
    ),
    sort="-created_at",
)


async def dispute(uow: UnitOfWork, dispute_id: str) -> DisputeRow:
    """One dispute, for staff in work across tenants. Raises Forbidden and NotFound."""
    uow.actor.require(Capability.STAFF_PAYMENTS_READ)
    row = await listing_sql.find(uow, DISPUTES, dispute_id) if is_id(str(dispute_id), "dsp") else None
    if row is None:
        raise not_found("dispute", dispute_id)
    await note_read(uow, "dispute", organization_id=row.organization_id, row_id=row.id)
    return row


@dataclass(frozen=True, slots=True)
class Step:
    """What happened to a dispute, and when."""

    type: str
    at: datetime
    payload: dict[str, Any]


async def timeline(uow: UnitOfWork, dispute_id: str) -> list[Step]:
    """What happened to it, the latest first. Raises Forbidden."""
    uow.actor.require(Capability.STAFF_PAYMENTS_READ)
    found = await uow.execute(
        "select type, recorded_at, payload from event where aggregate_id = :id order by id desc limit :most",
        id=dispute_id,
        most=TIMELINE_MAX,
    )
    return [Step(row.type, row.recorded_at, row.payload) for row in found]


@dataclass(frozen=True, slots=True)
class ContestRow:
    """`line_id` and `line` are None where the whole invoice is contested."""

    id: str
    organization_id: str
    organization_name: str
    invoice_id: str
    invoice_number: str | None
    line_id: str | None
    line: str | None
    state: str
    currency: str
    minor: int
    credited_minor: int
    reason: str
    answer: str
    credit_note_id: str | None
    due_at: datetime
    created_at: datetime
    ended_at: datetime | None
    version: int


def _contests(name: str, needs: Capability, where: str, *organization: Operator) -> Listing[ContestRow]:
    return Listing(
        name,
        row=ContestRow,
        needs=needs,
        source="contest d",
        alias="d",
        joins=(
            "join organization o on o.id = d.organization_id join invoice i on i.id = d.invoice_id"
            " left join invoice_line l on l.id = d.line_id"
        ),
        where=where,
        columns=(
            Column("id", "d.id", Kind.ID, filterable=True),
            Column("organization_id", "d.organization_id", Kind.ID, operators=organization),
            Column("organization_name", "o.name", joined=True),
            Column("invoice_id", "d.invoice_id", Kind.ID, operators=_EXACTLY),
            Column("invoice_number", "i.number", nullable=True, joined=True),
            Column("line_id", "d.line_id", Kind.ID, nullable=True, operators=_EXACTLY),
            Column("line", "l.description", nullable=True, joined=True),
            Column("state", "d.state", Kind.ENUM, values=tuple(ContestState), filterable=True),
            Column("currency", "d.currency", operators=_EXACTLY),
            _amount("minor"),
            _amount("credited_minor"),
            Column("reason", "d.reason"),
            Column("answer", "d.answer"),
            Column("credit_note_id", "d.credit_note_id", Kind.ID, nullable=True, operators=_EXACTLY),
            Column("due_at", "d.due_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
            Column(
                "created_at", "d.created_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True
            ),
            _instant("ended_at"),
            Column("version", "d.version", Kind.INTEGER),
        ),
        sort="-created_at",
    )


CONTESTS = _contests("contests", Capability.PAYMENTS_READ, "d.organization_id = :organization_id")
STAFF_CONTESTS = _contests("staff.contests", Capability.STAFF_PAYMENTS_READ, "true", *_EXACTLY)


async def contest(uow: UnitOfWork, contest_id: str, *, staff: bool = False) -> ContestRow:
    """One's own, or anybody's for staff in work across tenants. Raises Forbidden and NotFound."""
    listing = STAFF_CONTESTS if staff else CONTESTS
    uow.actor.require(Capability.STAFF_PAYMENTS_READ if staff else Capability.PAYMENTS_READ)
    row = await listing_sql.find(uow, listing, contest_id) if is_id(str(contest_id), "cst") else None
    if row is None:
        raise not_found("contest", contest_id)
    if staff:
        await note_read(uow, "contest", organization_id=row.organization_id, row_id=row.id)
    return row


async def contests_of(uow: UnitOfWork, invoice_id: str) -> list[ContestRow]:
    """Of an invoice of one's own organisation, the latest first. Raises Forbidden."""
    return await listing_sql.select(uow, CONTESTS, ("invoice_id", invoice_id), limit=OF_INVOICE_MAX)


async def staff_contests_of(uow: UnitOfWork, invoice_id: str) -> list[ContestRow]:
    """Of anybody's invoice, the latest first, in work across tenants. Raises Forbidden."""
    return await listing_sql.select(uow, STAFF_CONTESTS, ("invoice_id", invoice_id), limit=OF_INVOICE_MAX)
