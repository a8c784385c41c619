"""What is known of billing runs: written down while they work, read by staff, and forgotten in time."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.billing_runs.events import BillingRunEnded
from services.core import retention
from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.ids import new_id
from services.core.listing import Column, Kind, Listing
from services.core.permissions import Capability
from services.core.work import UnitOfWork

KEPT = timedelta(days=90)
SILENT_MAX = timedelta(minutes=10)  # one that said nothing for so long was cut off


async def begin(on: Database | None, clock: Clock | None) -> str:
    """The id of a run that begins now in this process."""
    run_id = new_id("brun")
    async with crossing(Reason.BILLING, on=on, clock=clock) as uow:
        await uow.execute(
            "insert into billing_run (id, worker, started_at, seen_at, due, billed, parked)"
            " values (:id, :worker, :now, :now, 0, 0, 0)",
            id=run_id,
            worker=f"{socket.gethostname()}:{os.getpid()}",
            now=uow.wall_now,
        )
    return run_id


async def note(
    on: Database | None, clock: Clock | None, run_id: str, *, due: int, billed: int, parked: int
) -> None:
    """How far it is."""
    async with crossing(Reason.BILLING, on=on, clock=clock) as uow:
        await uow.execute(
            "update billing_run set due = :due, billed = :billed, parked = :parked, seen_at = :now where id = :id",
            id=run_id,
            due=due,
            billed=billed,
            parked=parked,
            now=uow.wall_now,
        )


async def end(on: Database | None, clock: Clock | None, run_id: str) -> None:
    async with crossing(Reason.BILLING, on=on, clock=clock) as uow:
        found = await uow.execute(
            "update billing_run set ended_at = :now, seen_at = :now where id = :id returning due, billed, parked",
            id=run_id,
            now=uow.wall_now,
        )
        counts = found.mappings().one()
        uow.record(BillingRunEnded(aggregate_id=run_id, organization_id=None, **counts))


async def forget_old_runs(on: Database | None = None, *, clock: Clock | None = None) -> int:
    """Delete what is known of runs that began longer than KEPT ago. Returns how many went."""
    async with crossing(Reason.RETENTION, on=on, clock=clock) as uow:
        return await retention.delete(uow, "billing_run", "started_at <= :now - :kept", kept=KEPT)


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run without an end is at work if it was seen lately, and was cut off otherwise."""

    id: str
    worker: str
    started_at: datetime
    seen_at: datetime
    ended_at: datetime | None
    due: int
    billed: int
    parked: int


RUNS: Listing[RunRow] = Listing(
    "staff.billing_runs",
    row=RunRow,
    needs=Capability.STAFF_SUBSCRIPTIONS_READ,
    source="billing_run r",
    columns=(
        Column("id", "r.id", Kind.ID, filterable=True),
        Column("worker", "r.worker", text="Host and process"),
        Column("started_at", "r.started_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
        Column("seen_at", "r.seen_at", Kind.INSTANT, text="When it last said how far it is"),
        Column("ended_at", "r.ended_at", Kind.INSTANT, nullable=True, text="Nothing if it was cut off"),
        Column("due", "r.due", Kind.INTEGER, text="Subscriptions that it found"),
        Column("billed", "r.billed", Kind.INTEGER),
        Column("parked", "r.parked", Kind.INTEGER),
    ),
    sort="-started_at",
)


@dataclass(frozen=True, slots=True)
class ParkedRow:
    """A subscription that could not be billed."""

    id: str
    organization_id: str
    organization_name: str
    state: str
    parked_reason: str
    attempts: int
    parked_at: datetime
    retry_at: datetime | None


PARKED: Listing[ParkedRow] = Listing(
    "staff.parked_subscriptions",
    row=ParkedRow,
    needs=Capability.STAFF_SUBSCRIPTIONS_READ,
    source="subscription s",
    alias="s",
    joins="join organization o on o.id = s.organization_id",
    where="s.parked_at is not null",
    columns=(
        Column("id", "s.id", Kind.ID, filterable=True),
        Column("organization_id", "s.organization_id", Kind.ID, filterable=True),
        Column("organization_name", "o.name", joined=True),
        Column("state", "s.state"),
        Column("parked_reason", "s.parked_reason"),
        Column("attempts", "s.attempts", Kind.INTEGER),
        Column("parked_at", "s.parked_at", Kind.INSTANT, sortable=True, unchanging=True),
        Column("retry_at", "s.retry_at", Kind.INSTANT, nullable=True),
    ),
    sort="parked_at",
)


async def parked(uow: UnitOfWork) -> int:
    """How many subscriptions of all organisations are parked, for staff in work across tenants. Raises Forbidden."""
    uow.actor.require(Capability.STAFF_SUBSCRIPTIONS_READ)
    found = await uow.execute("select count(*) from subscription where parked_at is not null")
    count: int = found.scalar_one()
    return count


async def why_parked(uow: UnitOfWork, organization_id: str) -> list[str]:
    """What holds up the billing of an organisation, each reason once, for staff. Raises Forbidden."""
    uow.actor.require(Capability.STAFF_SUBSCRIPTIONS_READ)
    found = await uow.execute(
        "select distinct parked_reason from subscription where organization_id = :organization_id"
        " and parked_at is not null order by 1",
        organization_id=organization_id,
    )
    return list(found.scalars())
