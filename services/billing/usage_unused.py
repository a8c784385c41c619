"""Months of organisations that never used anything, begun and ended for many at once: there is nothing to bill."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson

from services.billing.usage_rules import month_end, next_month_end
from services.core.ids import new_id
from services.core.work import UnitOfWork

BATCH = 1_000  # months that are ended at once

_BEGIN = """
insert into usage_period (id, organization_id, starts_at, ends_at, state, next_at, attempts)
select f.id, f.organization_id, f.starts_at, f.ends_at, 'open', f.ends_at, 0
from jsonb_populate_recordset(cast(null as usage_period), cast(:rows as jsonb)) f on conflict do nothing
"""
_OVER = """
select p.id, p.organization_id, p.ends_at, o.timezone from usage_period p
join organization o on o.id = p.organization_id
where p.state = 'open' and p.parked_at is null and p.next_at <= :now and {whose}
  and not exists (select from usage_event e where e.organization_id = p.organization_id)
order by p.next_at, p.id limit :most for update of p skip locked
"""
_CLOSE = "update usage_period set state = 'closed', next_at = null where id = any(:ids)"


async def begin(uow: UnitOfWork, wanted: Sequence[tuple[str, datetime, str]]) -> None:
    """Bill organisations for what they use, each from a moment on and by the months of a timezone, unless that has
    begun before."""
    rows: list[dict[str, Any]] = []
    for organization_id, at, zone in wanted:
        starts_at = at.replace(second=0, microsecond=0)
        rows.append(_row(organization_id, starts_at, month_end(starts_at, zone)))
    if rows:
        await uow.execute(_BEGIN, rows=orjson.dumps(rows).decode())


async def end(uow: UnitOfWork, whose: str, named: dict[str, Any]) -> int:
    """Close months that are over by `now` of those whose organisations `whose` picks, and begin the next ones: at most
    BATCH, in work across tenants. Returns how many there were."""
    found = (await uow.execute(_OVER.format(whose=whose), {**named, "most": BATCH})).all()
    if found:
        rows = [
            _row(row.organization_id, row.ends_at, next_month_end(row.ends_at, row.timezone)) for row in found
        ]
        await uow.execute(_CLOSE, ids=[row.id for row in found])
        await uow.execute(_BEGIN, rows=orjson.dumps(rows).decode())
    return len(found)


def _row(organization_id: str, starts_at: datetime, ends_at: datetime) -> dict[str, Any]:
    return {
        "id": new_id("uper"),
        "organization_id": organization_id,
        "starts_at": starts_at,
        "ends_at": ends_at,
    }
