"""Reads of cases, for staff."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from models.payment_cases import CaseKind
from services.audit.reads import note_read
from services.core import listing_sql
from services.core.errors import not_found
from services.core.listing import Column, Kind, Listing, Operator
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.reconciliation import policies, proposals
from services.reconciliation.proposals import Proposal

READ = Capability.STAFF_PAYMENTS_READ
_EXACTLY = (Operator.EQ, Operator.IN)
CASE_STATES = ("open", "accepted", "dismissed")


@dataclass(frozen=True, slots=True)
class CaseRow:
    """`minor` is what is at stake, signed as seen from us, where that is known."""

    id: str
    organization_id: str | None
    organization_name: str
    kind: str
    subject: str
    cause: str
    detail: str
    currency: str | None
    minor: int | None
    state: str
    note: str
    proposal: dict[str, Any] | None
    journal_id: str | None
    resolved_by: str | None
    created_at: datetime
    resolved_at: datetime | None
    version: int

    @property
    def proposed(self) -> Proposal | None:
        return proposals.read(self.proposal, self.currency, self.minor)

    @property
    def accepting(self) -> str | None:
        """What accepting it does, in words; None where it can only be dismissed."""
        return None if self.proposed is None else self.proposed.words


CASES: Listing[CaseRow] = Listing(
    "staff.payment_cases",
    row=CaseRow,
    needs=READ,
    source="payment_case c",
    alias="c",
    joins="left join organization o on o.id = c.organization_id",
    where="true",
    columns=(
        Column("id", "c.id", Kind.ID, filterable=True),
        Column("organization_id", "c.organization_id", Kind.ID, nullable=True, operators=_EXACTLY),
        Column("organization_name", "coalesce(o.name, '')", joined=True),
        Column("kind", "c.kind", Kind.ENUM, values=tuple(CaseKind), filterable=True),
        Column("subject", "c.subject", operators=_EXACTLY),
        Column("cause", "c.cause", operators=_EXACTLY),
        Column("detail", "c.detail"),
        Column("currency", "c.currency", nullable=True, operators=_EXACTLY),
        Column("minor", "c.minor", Kind.INTEGER, nullable=True, currency="currency"),
        Column("state", "c.state", Kind.ENUM, values=CASE_STATES, filterable=True),
        Column("note", "c.note"),
        Column("proposal", "c.proposal", Kind.OBJECT, nullable=True),
        Column("journal_id", "c.journal_id", Kind.ID, nullable=True),
        Column("resolved_by", "c.resolved_by", Kind.ID, nullable=True),
        Column("created_at", "c.created_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
        Column("resolved_at", "c.resolved_at", Kind.INSTANT, nullable=True),
        Column("version", "c.version", Kind.INTEGER),
    ),
    sort="-created_at",
)


async def case(uow: UnitOfWork, case_id: str) -> CaseRow:
    """Raises Forbidden and NotFound."""
    row = await policies.case_for(uow, case_id, READ)
    found = await listing_sql.find(uow, CASES, row.id)
    if found is None:
        raise not_found("case", case_id)
    if row.organization_id is not None:
        await note_read(uow, "payment_case", organization_id=row.organization_id, row_id=row.id)
    return found
