"""Reads of terms: what counts, every version for staff, and who of an organisation accepted which."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from models.terms import Occasion, TermsVersion
from services.core.listing import Column, Kind, Listing, Operator
from services.core.permissions import Capability
from services.core.work import UnitOfWork

_EXACTLY = (Operator.EQ, Operator.IN)


@dataclass(frozen=True, slots=True)
class VersionRow:
    """`accepted` is how many organisations have."""

    id: str
    number: int
    text: str
    sha256: str
    author: str
    accepted: int
    published_at: datetime


VERSIONS: Listing[VersionRow] = Listing(
    "staff.terms",
    row=VersionRow,
    needs=Capability.STAFF_INVOICES_READ,
    source="terms_version v",
    alias="v",
    joins="left join account p on p.id = v.published_by",
    where="true",
    columns=(
        Column("id", "v.id", Kind.ID, filterable=True),
        Column("number", "v.number", Kind.INTEGER),
        Column("text", "v.text"),
        Column("sha256", "encode(v.sha256, 'hex')"),
        Column("author", "coalesce(p.name, v.published_by)", joined=True),
        Column(
            "accepted",
            "(select count(distinct a.organization_id) from terms_acceptance a where a.terms_id = v.id)",
            Kind.INTEGER,
        ),
        Column(
            "published_at", "v.published_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True
        ),
    ),
    sort="-published_at",
)


@dataclass(frozen=True, slots=True)
class AcceptanceRow:
    """`number` is that of the version, and `sha256` of its text."""

    id: str
    number: int
    sha256: str
    account_id: str
    name: str
    email: str
    occasion: str
    address: str
    user_agent: str
    accepted_at: datetime


ACCEPTANCES: Listing[AcceptanceRow] = Listing(
    "terms_acceptances",
    row=AcceptanceRow,
    needs=Capability.ORGANIZATION_WRITE,
    source="terms_acceptance a",
    alias="a",
    joins="join terms_version v on v.id = a.terms_id left join account p on p.id = a.account_id",
    where="a.organization_id = :organization_id",
    columns=(
        Column("id", "a.id", Kind.ID, filterable=True),
        Column("number", "v.number", Kind.INTEGER, joined=True),
        Column("sha256", "encode(v.sha256, 'hex')", joined=True),
        Column("account_id", "a.account_id", Kind.ID, operators=_EXACTLY),
        Column("name", "coalesce(p.name, '')", joined=True),
        Column("email", "coalesce(p.email, '')", joined=True),
        Column("occasion", "a.occasion", Kind.ENUM, values=tuple(Occasion), filterable=True),
        Column("address", "a.address"),
        Column("user_agent", "a.user_agent"),
        Column("accepted_at", "a.accepted_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
    ),
    sort="-accepted_at",
)


async def current(uow: UnitOfWork) -> TermsVersion | None:
    """What whoever acts now accepts; None where the house has published none. For anybody."""
    found = await uow.execute("select * from terms_version order by number desc limit 1")
    row = found.mappings().one_or_none()
    return None if row is None else TermsVersion(**row)


async def current_number(uow: UnitOfWork) -> int:
    """0 where there are none."""
    found = await uow.execute("select coalesce(max(number), 0) from terms_version")
    return int(found.scalar_one())
