"""Who did what, from where, to which row: the event log as people ask about it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.core.actor import SYSTEM
from services.core.errors import Invalid
from services.core.permissions import Capability
from services.core.work import UnitOfWork

PAGE_ROWS_MAX = 1_000
FILTER_CHARACTERS_MAX = 254  # as long as an address may be
_CURSOR = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Empty means all. The window is half-open, by the clock on the wall."""

    actor: str = ""  # id, or the address an account signs in with
    type: str = ""  # a whole type, or the beginning of some, ending in a dot: "api_key."
    object_id: str = ""
    organization_id: str = ""  # for staff; an organisation's own log is that of its own
    start: datetime | None = None
    end: datetime | None = None


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
class AuditPage:
    """`next` is the cursor of the page after this one, None on the last page."""

    rows: tuple[AuditEntry, ...]
    next: str | None


EVERYTHING = AuditFilter()

# Names are those of today: the log itself keeps ids, so that an erased person leaves no name behind.
_ENTRIES = f"""
select e.id, e.recorded_at, e.happened_at, e.type, e.aggregate_id as object_id, e.organization_id,
  coalesce(o.name, '') as organization_name, e.actor_id,
  case when e.actor_id = '{SYSTEM}' then 'system'
       when a.id is not null then 'account'
       when s.id is not null then 'service_account'
       when k.id is not null then 'key'
       else 'other' end as actor_kind,
  coalesce(nullif(a.name, ''), a.email, s.name, k.name, '') as actor_name,
  e.address, e.payload as details, e.trace_id
from (select * from event where {{conditions}} order by id desc limit :most) e
left join organization o on o.id = e.organization_id
left join account a on a.id = e.actor_id
left join api_key k on k.id = e.actor_id
left join service_account s on s.id = coalesce(k.service_account_id, e.actor_id)
order by e.id desc
"""


async def entries(
    uow: UnitOfWork, *, limit: int = 50, after: str | None = None, where: AuditFilter = EVERYTHING
) -> AuditPage:
    """What happened in the actor's organisation, the latest first. Needs audit.read. Raises Invalid."""
    uow.actor.require(Capability.AUDIT_READ)
    return await _page(uow, limit, after, where, ["organization_id = :own"], {"own": uow.organization_id})


async def staff_entries(
    uow: UnitOfWork, *, limit: int = 50, after: str | None = None, where: AuditFilter = EVERYTHING
) -> AuditPage:
    """What happened in the whole installation, the latest first. `uow` crosses tenants for staff."""
    uow.actor.require(Capability.STAFF_AUDIT_READ)
    return await _page(uow, limit, after, where, [], {})


async def _page(
    uow: UnitOfWork,
    limit: int,
    after: str | None,
    where: AuditFilter,
    conditions: list[str],
    parameters: dict[str, Any],
) -> AuditPage:
    if not 1 <= limit <= PAGE_ROWS_MAX:
        raise Invalid(f"A page has 1 to {PAGE_ROWS_MAX:,} rows.", field="limit")
    conditions = [*conditions, *_conditions(where)]
    parameters = parameters | _parameters(where)
    if after is not None:
        conditions.append("id < :before")
        parameters["before"] = _position(after)
    statement = _ENTRIES.format(conditions=" and ".join(conditions) or "true")
    found = await uow.execute(statement, {"most": limit + 1, **parameters})
    rows = [AuditEntry(**row) for row in found.mappings()]
    more = len(rows) > limit
    return AuditPage(tuple(rows[:limit]), str(rows[limit - 1].id) if more else None)


def _conditions(where: AuditFilter) -> list[str]:
    chosen = {
        # Under row-level security the address of somebody else's account finds nobody.
        "actor_id = coalesce((select id from account where email_key = :actor_key), :actor)": where.actor,
        "type = :type": where.type and not where.type.endswith("."),
        # "/" is the character after ".": a range, which the index on types knows how to walk.
        "type >= :type and type < :type_end": where.type.endswith("."),
        "aggregate_id = :object": where.object_id,
        "organization_id = :organization": where.organization_id,
        "recorded_at >= :start": where.start,
        "recorded_at < :end": where.end,
    }
    return [condition for condition, wanted in chosen.items() if wanted]


def _parameters(where: AuditFilter) -> dict[str, Any]:
    """Values of all conditions; those of conditions left out are simply not used."""
    return {
        "actor": where.actor,
        "actor_key": where.actor.casefold(),
        "type": where.type,
        "type_end": where.type.removesuffix(".") + "/",
        "object": where.object_id,
        "organization": where.organization_id,
        "start": where.start,
        "end": where.end,
    }


def _position(cursor: str) -> int:
    if not _CURSOR.fullmatch(cursor):
        raise Invalid(
            "This place in the list does not exist.", field="after", next_step="Start from the beginning."
        )
    return int(cursor)
