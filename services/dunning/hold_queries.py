"""Reads of customers who are held. For staff."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.core import listing_sql
from services.core.errors import not_found
from services.core.listing import Column, Kind, Listing, Operator
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.dunning import policies

READ = Capability.STAFF_PAYMENTS_READ
_EXACTLY = (Operator.EQ, Operator.IN)


@dataclass(frozen=True, slots=True)
class HoldRow:
    """One that is open may be over by itself: `until` says when, by the clock of the organisation."""

    id: str
    organization_id: str
    organization_name: str
    state: str
    reason: str
    lifts: bool
    until: datetime | None
    placed_by: str
    created_at: datetime
    ended_at: datetime | None
    ended_by: str | None
    version: int


HOLDS: Listing[HoldRow] = Listing(
    "staff.dunning_holds",
    row=HoldRow,
    needs=READ,
    source="dunning_hold h",
    alias="h",
    joins="join organization o on o.id = h.organization_id",
    where="true",
    columns=(
        Column("id", "h.id", Kind.ID, filterable=True),
        Column("organization_id", "h.organization_id", Kind.ID, operators=_EXACTLY),
        Column("organization_name", "o.name", joined=True),
        Column(
            "state",
            "case when h.ended_at is null then 'open' else 'ended' end",
            Kind.ENUM,
            values=("open", "ended"),
            filterable=True,
        ),
        Column("reason", "h.reason"),
        Column("lifts", "h.lifts", Kind.FLAG),
        Column("until", "h.until", Kind.INSTANT, nullable=True),
        Column("placed_by", "h.placed_by", Kind.ID),
        Column("created_at", "h.created_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
        Column("ended_at", "h.ended_at", Kind.INSTANT, nullable=True),
        Column("ended_by", "h.ended_by", Kind.ID, nullable=True),
        Column("version", "h.version", Kind.INTEGER),
    ),
    sort="-created_at",
)


async def hold(uow: UnitOfWork, hold_id: str) -> HoldRow:
    """Raises Forbidden and NotFound."""
    await policies.hold_for(uow, hold_id, READ)
    row = await listing_sql.find(uow, HOLDS, hold_id)
    if row is None:
        raise not_found("dunning hold", hold_id)
    return row


async def in_force(uow: UnitOfWork) -> HoldRow | None:
    """That of the organisation that the work is bound to, if it is held now. Raises Forbidden."""
    uow.actor.require(READ)
    found = await uow.execute(
        "select id from dunning_hold where organization_id = :organization_id and ended_at is null"
        " and (until is null or until > :now)",
        organization_id=uow.organization_id,
        now=uow.now,
    )
    hold_id = found.scalar_one_or_none()
    return None if hold_id is None else await listing_sql.find(uow, HOLDS, hold_id)
