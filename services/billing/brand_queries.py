"""Reads of brands, for staff: the list, and those that are offered where one is chosen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.core import listing_sql
from services.core.errors import not_found
from services.core.listing import Column, Kind, Listing, Operator
from services.core.permissions import Capability
from services.core.work import UnitOfWork

OFFERED_MAX = 500  # to choose from; a longer list is no list to choose from
_EXACTLY = (Operator.EQ, Operator.IN)


@dataclass(frozen=True, slots=True)
class BrandRow:
    """A brand of a legal entity. `customers` are billed under it by choice: the default one bills all others, too."""

    id: str
    legal_entity_id: str
    legal_entity: str
    code: str
    name: str
    status: str
    is_default: bool
    customers: int
    created_at: datetime
    archived_at: datetime | None
    version: int


BRANDS: Listing[BrandRow] = Listing(
    "staff.brands",
    row=BrandRow,
    needs=Capability.STAFF_INVOICES_READ,
    source="brand b join legal_entity e on e.id = b.legal_entity_id",
    columns=(
        Column("id", "b.id", Kind.ID, filterable=True),
        Column("legal_entity_id", "b.legal_entity_id", Kind.ID, operators=_EXACTLY),
        Column("legal_entity", "e.code", sortable=True, text="Code of whose it is"),
        Column("code", "b.code", sortable=True, operators=_EXACTLY, text="As numbers have it"),
        Column("name", "b.name", text="As documents have it"),
        Column(
            "status",
            "case when b.archived_at is null then 'active' else 'archived' end",
            Kind.ENUM,
            values=("active", "archived"),
            filterable=True,
        ),
        Column("is_default", "b.is_default", Kind.FLAG, filterable=True),
        Column(
            "customers",
            "(select count(*) from billing_profile p where p.brand_id = b.id)",
            Kind.INTEGER,
            text="Billed under it by choice; the default one bills all others, too",
        ),
        Column("created_at", "b.created_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
        Column("archived_at", "b.archived_at", Kind.INSTANT, nullable=True),
        Column("version", "b.version", Kind.INTEGER),
    ),
    sort="legal_entity",
)


async def brand(uow: UnitOfWork, brand_id: str) -> BrandRow:
    """Raises Forbidden and NotFound."""
    row = await listing_sql.find(uow, BRANDS, brand_id)
    if row is None:
        raise not_found("brand", brand_id)
    return row


async def offered(uow: UnitOfWork) -> list[BrandRow]:
    """Those that are not archived, by legal entity. Raises Forbidden."""
    return await listing_sql.select(uow, BRANDS, ("status", "active"), limit=OFFERED_MAX)
