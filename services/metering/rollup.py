"""Folding deltas into minutes, hours and days.

Queries add waiting deltas to the roll-ups, so figures are right whether or not this runs; it keeps them fast.
"""

from __future__ import annotations

import sqlalchemy as sa

from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.work import UnitOfWork

FOLD_DELTAS_MAX = 10_000  # of one transaction
_LOCK = 4_302_001  # advisory: no other code uses it

_UPSERT = """
    insert into usage_{table} as kept (organization_id, meter_id, bucket, model, key_id,
                                       events, quantity, smallest, largest, cost, unpriced)
    select organization_id, meter_id, date_trunc('{table}', bucket, 'UTC'), model, key_id,
           sum(events), sum(quantity), min(smallest), max(largest), sum(cost), sum(unpriced)
    from gone group by 1, 2, 3, 4, 5
    on conflict (organization_id, meter_id, bucket, model, key_id) do update set
      events = kept.events + excluded.events,
      quantity = kept.quantity + excluded.quantity,
      smallest = least(kept.smallest, excluded.smallest),
      largest = greatest(kept.largest, excluded.largest),
      cost = kept.cost + excluded.cost,
      unpriced = kept.unpriced + excluded.unpriced
"""

# One statement, hence one snapshot: a reader sees a delta either waiting or folded, never both or neither.
_FOLD = sa.text(
    f"""
    with picked as materialized (
      select organization_id, id from usage_delta limit :most
    ), gone as (
      delete from usage_delta delta using picked
      where delta.organization_id = picked.organization_id and delta.id = picked.id
      returning delta.*
    ), minutes as ({_UPSERT.format(table="minute")}
    ), hours as ({_UPSERT.format(table="hour")}
    ), days as ({_UPSERT.format(table="day")}
    )
    select count(*) from gone
    """
)


async def fold(uow: UnitOfWork, *, most: int = FOLD_DELTAS_MAX) -> int:
    """Fold at most `most` waiting deltas of all organisations; 0 also while another worker folds.

    Two at once would update the same roll-ups in different orders and deadlock, so one holds a lock.
    """
    locked = await uow.execute("select pg_try_advisory_xact_lock(:lock)", lock=_LOCK)
    if not locked.scalar_one():
        return 0
    folded = await uow.execute(_FOLD, most=most)
    return folded.scalar_one()


async def compact(on: Database | None = None, *, most: int = FOLD_DELTAS_MAX) -> int:
    """Fold what waits, batch by batch, each in a transaction of its own. Returns how many were folded."""
    total = 0
    while True:
        async with crossing(Reason.ROLLUP, on=on) as uow:
            folded = await fold(uow, most=most)
        total += folded
        if folded < most:
            return total
