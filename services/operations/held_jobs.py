"""Jobs that failed in all their tries and wait for a person: seen by staff, and sent again one by one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.core import jobs, listing_sql
from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.core.database import Database, database
from services.core.errors import Conflict, not_found
from services.core.listing import Column, Kind, Listing
from services.core.logs import redact
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.operations.events import JobRetried

ERROR_CHARACTERS_MAX = 200
COUNTED_MAX = 10_000
_DIGITS_MAX = 18  # of what a bigint surely holds


@dataclass(frozen=True, slots=True)
class HeldJob:
    """`error` is its last one: a line, as the log would write it, so without personal data."""

    id: int
    name: str
    tries: int
    enqueued_at: datetime
    held_at: datetime
    error: str

    def __post_init__(self) -> None:
        written = str(redact(None, "", {"error": " ".join(self.error.split())})["error"])
        object.__setattr__(self, "error", written[:ERROR_CHARACTERS_MAX])


# The log is kept for a month; of a job that was held before nobody knows the error any more.
_LAST_ERROR = """
left join lateral (
  select (l.traceback->>'exception_type') || ': ' || (l.traceback->>'exception_message') as said from pgqueuer_log l
  where l.job_id = j.id and l.status = 'failed' and l.traceback is not null
  order by l.created desc, l.id desc limit 1
) failure on true
"""
HELD: Listing[HeldJob] = Listing(
    "staff.held_jobs",
    row=HeldJob,
    needs=Capability.STAFF_HEALTH_READ,
    source="pgqueuer j",
    alias="j",
    joins=_LAST_ERROR,
    where="j.status = 'failed'",
    columns=(
        Column("id", "j.id", Kind.INTEGER, sortable=True, unchanging=True),
        Column("name", "j.entrypoint", filterable=True),
        Column("tries", "j.attempts + 1", Kind.INTEGER),
        Column("enqueued_at", "j.created", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
        Column("held_at", "j.updated", Kind.INSTANT, sortable=True, filterable=True),
        Column("error", "coalesce(failure.said, '')", joined=True, text="Its last one"),
    ),
    sort="id",
)


class SameWorkWaits(Conflict):
    """The work of a held job was enqueued again meanwhile, and is not done twice."""

    code = "same_work_waits"
    title = "The same work waits already"

    def __init__(self, name: str) -> None:
        super().__init__(f"The same {name} waits already.", next_step="It needs no second time.")


async def oldest(on: Database, *, limit: int) -> list[HeldJob]:
    """Those that were asked for first, for whoever works on the machine itself."""
    async with crossing(Reason.HEALTH, actor=system(), on=on) as uow:
        return await listing_sql.select(uow, HELD, limit=limit)


async def send_again(uow: UnitOfWork, job_id: str) -> str:
    """Have a held job run again from its first try, as soon as a worker looks. Returns what it does.

    One that waits or runs already stays as it is. `uow` crosses tenants. Raises Forbidden, NotFound and SameWorkWaits.
    """
    uow.actor.require(Capability.STAFF_JOBS_WRITE)
    said = str(job_id)
    name = await _name_of(uow, int(said)) if _is_number(said) else None
    if name is None:
        raise not_found("job", said)
    # Not in this transaction: PgQueuer notifies with each change of its table.
    retried = await jobs.retry(database(), [int(said)])
    if retried.waiting_already:
        raise SameWorkWaits(name)
    if retried.again:
        uow.record(JobRetried(aggregate_id=said, organization_id=None, name=name))
    return name


def _is_number(said: str) -> bool:
    return said.isascii() and said.isdigit() and len(said) <= _DIGITS_MAX


async def _name_of(uow: UnitOfWork, number: int) -> str | None:
    """What a job that is not done yet does."""
    return (
        await uow.execute("select entrypoint from pgqueuer where id = :id", id=number)
    ).scalar_one_or_none()


async def changed(uow: UnitOfWork) -> dict[str, Any]:
    """How many are held, counted up to a bound, and since when that is so: what the page follows."""
    uow.actor.require(Capability.STAFF_HEALTH_READ)
    row = (
        await uow.execute(
            "select count(*) as held, max(updated) as last from ("
            " select updated from pgqueuer where status = 'failed' order by id limit :most) as jobs",
            most=COUNTED_MAX,
        )
    ).one()
    return {"held": row.held, "changed": f"{row.held} {row.last.isoformat() if row.last else ''}"}
