"""Who did what, from where, to which row: the event log as people ask about it, and who opened what was sealed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.core.actor import SYSTEM
from services.core.crypto import PLATFORM
from services.core.listing import Column, Kind, Listing, Operator
from services.core.openings import Purpose
from services.core.permissions import Capability


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One event. `actor_kind` is account, key, service_account, system, or other: somebody the reader may not

    see, such as staff or a former member. `actor_name` is empty for the last two.
    """

    id: int
    recorded_at: datetime
    happened_at: datetime
    type: str
    object_id: str
    organization_id: str | None
    organization_name: str
    actor_id: str
    actor_kind: str
    actor_name: str
    address: str
    details: dict[str, Any]
    trace_id: str


@dataclass(frozen=True, slots=True)
class OpeningEntry:
    """One opening of something sealed, or of a whole column where `row_id` is `*`.

    `tenant` is whose it is: an organisation's id, an account's, or `platform` for what is the installation's;
    `tenant_kind` says which, and is `other` for somebody who is gone. The actor is as in `AuditEntry`.
    """

    id: str
    opened_at: datetime
    purpose: str
    place: str  # table.column
    row_id: str
    tenant: str
    tenant_kind: str
    tenant_name: str
    actor_id: str
    actor_kind: str
    actor_name: str
    trace_id: str


# Names are those of today: the log itself keeps ids, so that an erased person leaves no name behind.
_JOINS = """
left join account a on a.id = e.actor_id
left join api_key k on k.id = e.actor_id
left join service_account s on s.id = coalesce(k.service_account_id, e.actor_id)
"""
_ACTOR_KIND = f"""
case when e.actor_id = '{SYSTEM}' then 'system'
  when a.id is not null then 'account'
  when s.id is not null then 'service_account'
  when k.id is not null then 'key'
  else 'other' end
"""
_EXACTLY = (Operator.EQ, Operator.IN)
_WHO = (
    Column("actor_id", "e.actor_id", Kind.ID, operators=_EXACTLY),
    Column("actor_kind", _ACTOR_KIND, joined=True),
    Column("actor_name", "coalesce(nullif(a.name, ''), a.email, s.name, k.name, '')", joined=True),
    Column(
        "actor",
        fold=str.casefold,
        operators=(Operator.EQ,),
        # Under row-level security the address of somebody else's account finds nobody.
        conditions={
            Operator.EQ: "e.actor_id = coalesce((select id from account where email_key = {folded}), {value})"
        },
        shown=False,
        text="Id of the actor, or the address an account signs in with",
    ),
)


def _log(name: str, needs: Capability, where: str, *organization: Operator) -> Listing[AuditEntry]:
    """The log as one may read it; by `organization` only those may choose who see several."""
    return Listing(
        name,
        row=AuditEntry,
        needs=needs,
        source="event e",
        alias="e",
        joins=f"left join organization o on o.id = e.organization_id {_JOINS}",
        where=where,
        columns=(
            Column("id", "e.id", Kind.INTEGER, sortable=True),
            Column("recorded_at", "e.recorded_at", Kind.INSTANT, filterable=True),
            Column("happened_at", "e.happened_at", Kind.INSTANT),
            Column("type", "e.type", operators=(*_EXACTLY, Operator.STARTS_WITH)),
            Column("object_id", "e.aggregate_id", Kind.ID, operators=_EXACTLY),
            Column("organization_id", "e.organization_id", Kind.ID, operators=organization),
            Column("organization_name", "coalesce(o.name, '')", joined=True),
            *_WHO,
            Column("address", "e.address", operators=_EXACTLY),
            Column("details", "e.payload", Kind.OBJECT),
            Column("trace_id", "e.trace_id"),
        ),
        sort="-id",
    )


AUDIT = _log("audit", Capability.AUDIT_READ, "e.organization_id = :organization_id")
STAFF_AUDIT = _log("staff.audit", Capability.STAFF_AUDIT_READ, "true", Operator.EQ, Operator.IN)

_TENANT_KIND = f"""
case when e.tenant = '{PLATFORM}' then '{PLATFORM}'
  when o.id is not null then 'organization'
  when b.id is not null then 'account'
  else 'other' end
"""


def _openings(name: str, needs: Capability, where: str, *tenant: Operator) -> Listing[OpeningEntry]:
    """What was opened as one may see it; by `tenant` only those may choose who see several."""
    return Listing(
        name,
        row=OpeningEntry,
        needs=needs,
        source="secret_opening e",
        alias="e",
        joins=f"left join organization o on o.id = e.tenant left join account b on b.id = e.tenant {_JOINS}",
        where=where,
        columns=(
            Column("id", "e.id", Kind.ID),
            Column("opened_at", "e.opened_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
            Column("purpose", "e.purpose", Kind.ENUM, values=tuple(Purpose), filterable=True),
            Column(
                "place",
                "e.table_name || '.' || e.column_name",
                operators=_EXACTLY,
                text="The column in which it lies, as `payment_method.token`",
            ),
            Column("row_id", "e.row_id", Kind.ID, operators=_EXACTLY),
            Column(
                "tenant",
                "e.tenant",
                Kind.ID,
                operators=tenant,
                text=f"Whose it is: the id of an organisation or an account, or `{PLATFORM}`",
            ),
            Column("tenant_kind", _TENANT_KIND, joined=True),
            Column("tenant_name", "coalesce(o.name, nullif(b.name, ''), b.email, '')", joined=True),
            *_WHO,
            Column("trace_id", "e.trace_id"),
        ),
        sort="-opened_at",
    )


OPENINGS = _openings("secret_openings", Capability.AUDIT_READ, "e.tenant = :organization_id")
STAFF_OPENINGS = _openings("staff.secret_openings", Capability.STAFF_AUDIT_READ, "true", *_EXACTLY)
