"""Signs of life of a part that listens on nothing, for readiness to read.

Both ends use the clock of the database: workers and web processes may be on machines that disagree.
"""

from __future__ import annotations

from datetime import timedelta

from services.core.crossing import Reason, crossing
from services.core.database import Database

BEAT_S = 5.0
LATE_S = 15.0  # two beats may be missed: a busy machine is not a dead one
WORKER = "worker"

_BEAT = (
    "insert into heartbeat (part, beaten_at) values (:part, clock_timestamp())"
    " on conflict (part) do update set beaten_at = excluded.beaten_at"
)


async def beat(on: Database) -> None:
    """Note that a worker is alive; any number of them share the note. Raises Unavailable."""
    async with crossing(Reason.HEALTH, on=on) as uow:
        await uow.execute(_BEAT, part=WORKER)


async def age(on: Database) -> timedelta | None:
    """How long ago a worker was last alive; None when none ever was. Raises Unavailable."""
    async with crossing(Reason.HEALTH, on=on) as uow:
        found = await uow.execute(
            "select clock_timestamp() - beaten_at from heartbeat where part = :part", part=WORKER
        )
        return found.scalar_one_or_none()
