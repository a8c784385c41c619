"""Business events: what they are and how a unit of work writes them.

See docs/decisions/0003-event-log.md for why an id is drawn late and a position later still.
"""

from __future__ import annotations

from collections.abc import Set
from datetime import datetime
from typing import Any, ClassVar

import sqlalchemy as sa
from orjson import dumps
from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncConnection


class DomainEvent(BaseModel):
    """Something that happened to one aggregate. Subclasses name it and add facts; never secrets."""

    model_config = ConfigDict(frozen=True)
    type: ClassVar[str]

    aggregate_id: str
    organization_id: str | None

    def payload(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude={"aggregate_id", "organization_id"})


# Two writers of one aggregate must commit their events in the order of the ids they draw. Row locks see to
# it where the verb changed the aggregate's row, this lock also where it did not. It is taken last and in
# one sorted sweep, so that it can never be part of a deadlock.
_LOCK = sa.text(
    "select pg_advisory_xact_lock(hashtextextended(aggregate, 41))"
    " from (select distinct unnest(cast(:aggregates as text[])) as aggregate order by 1) as locks"
)
_INSERT = sa.text(
    "insert into event (type, aggregate_id, organization_id, actor_id, address, payload, happened_at, recorded_at,"
    " trace_id)"
    " select r.item->>'type', r.item->>'aggregate_id', r.item->>'organization_id', :actor_id, :address,"
    " r.item->'payload', :now, :wall_now, :trace_id"
    " from jsonb_array_elements(cast(:rows as jsonb)) with ordinality as r(item, n) order by r.n"
)


# What is taken up later by a worker goes on with the trace of the last act on it.
_LAST_TRACE = sa.text(
    "select trace_id from event where aggregate_id = :aggregate and trace_id <> '' order by id desc limit 1"
)


async def last_trace(connection: AsyncConnection, aggregate_id: str) -> str:
    """The trace of the newest event of an aggregate; empty if there is none."""
    return (await connection.execute(_LAST_TRACE, {"aggregate": aggregate_id})).scalar_one_or_none() or ""


async def append(
    connection: AsyncConnection,
    events: list[DomainEvent],
    *,
    actor_id: str,
    address: str,
    trace_id: str,
    now: datetime,
    wall_now: datetime,
    owned: Set[str] = frozenset(),
) -> None:
    """Write `events` in order, as the last act before commit. Aggregates in `owned` are not locked: the transaction
    made their rows or holds them, so nobody else writes of them, and many locks at once would exhaust the server's."""
    rows = [
        {
            "type": event.type,
            "aggregate_id": event.aggregate_id,
            "organization_id": event.organization_id,
            "payload": event.payload(),
        }
        for event in events
    ]
    shared = [event.aggregate_id for event in events if event.aggregate_id not in owned]
    if shared:
        await connection.execute(_LOCK, {"aggregates": shared})
    await connection.execute(
        _INSERT,
        {
            "rows": dumps(rows).decode(),
            "actor_id": actor_id,
            "address": address,
            "trace_id": trace_id,
            "now": now,
            "wall_now": wall_now,
        },
    )
