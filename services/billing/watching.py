"""What pages that are open follow: that something about subscriptions or invoices changed, and how far clocks are
turned."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.identity import clocks

LOOKED_BACK_MAX = 1_000  # events; what changed before them was read with the page
CLOCKS_WATCHED_MAX = 1_000
RUNS_WATCHED_MAX = 20
_ABOUT = ["subscription", "invoice", "credit_note", "test_clock"]
# Whoever finalises an invoice waits for its files.
_ABOUT_INVOICES = ["invoice", "credit_note", "paper", "payment", "refund", "dispute", "contest"]
_CHANGED = """
select coalesce(max(position), 0) from (
  select position, type from event where {whose} order by {by} desc limit :most
) newest where split_part(type, '.', 1) = any(:about)
"""
_OWN = _CHANGED.format(whose="organization_id = :organization_id", by="id")
_ALL = _CHANGED.format(whose="position is not null", by="position")
_TURNING = """
select c.id, c.now_at, c.follows_wall, c.target_at, (
  select e.payload->>'since' from event e where e.aggregate_id = c.id and e.type = 'test_clock.turned'
  order by e.id desc limit 1
) as since from test_clock c where c.target_at is not null order by c.id limit :most
"""


async def subscriptions_changed(uow: UnitOfWork) -> dict[str, int]:
    """The place in the event log of the last change to the organisation's subscriptions and their documents."""
    uow.actor.require(Capability.SUBSCRIPTIONS_READ)
    found = await uow.execute(_OWN, organization_id=uow.organization_id, about=_ABOUT, most=LOOKED_BACK_MAX)
    return {"changed": found.scalar_one()}


async def any_subscription_changed(uow: UnitOfWork) -> dict[str, int]:
    """The same of all organisations, for staff in work across tenants."""
    uow.actor.require(Capability.STAFF_SUBSCRIPTIONS_READ)
    found = await uow.execute(_ALL, about=_ABOUT, most=LOOKED_BACK_MAX)
    return {"changed": found.scalar_one()}


async def any_invoice_changed(uow: UnitOfWork) -> dict[str, int]:
    """The place in the event log of the last change to anybody's invoices, their files and what is paid on them, for
    staff in work across tenants."""
    uow.actor.require(Capability.STAFF_INVOICES_READ)
    found = await uow.execute(_ALL, about=_ABOUT_INVOICES, most=LOOKED_BACK_MAX)
    return {"changed": found.scalar_one()}


async def profile_changed(uow: UnitOfWork) -> dict[str, int]:
    """The version of the organisation's billing profile, which also a register's answer raises; 0 for none."""
    uow.actor.require(Capability.INVOICES_READ)
    found = await uow.execute(
        "select version from billing_profile where organization_id = :id", id=uow.organization_id
    )
    return {"changed": found.scalar_one_or_none() or 0}


@dataclass(frozen=True, slots=True)
class Turned:
    """How far a clock is, in whole days of the way it is turned, as a bar shows it."""

    done: int
    total: int
    status: str = "running"
    detail: str = ""


def turned(*, since: datetime, shows: datetime, to: datetime) -> Turned:
    """Of a way shorter than a day the total is one, and it is done when the clock is there."""
    day = timedelta(days=1)
    total = max(1, (to - since) // day)
    return Turned(min(total, max(0, (shows - since) // day)), total)


async def clocks_turning(uow: UnitOfWork) -> dict[str, dict[str, Turned]]:
    """Clocks that are being turned, by id, for staff in work across tenants."""
    uow.actor.require(Capability.STAFF_ORGANIZATIONS_READ)
    rows: Any = await uow.execute(_TURNING, most=CLOCKS_WATCHED_MAX)
    turning: dict[str, Turned] = {}
    for row in rows:
        shows = clocks.shown_by(row, uow.wall_now)
        since = datetime.fromisoformat(row.since) if row.since else shows
        turning[row.id] = turned(since=since, shows=shows, to=row.target_at)
    return {"turning": turning}


async def runs_at_work(uow: UnitOfWork) -> dict[str, dict[str, list[object]]]:
    """How far the newest billing runs are, by id: due, billed, parked, and whether it ended. For staff."""
    uow.actor.require(Capability.STAFF_SUBSCRIPTIONS_READ)
    rows = await uow.execute(
        "select id, due, billed, parked, ended_at is not null as ended from billing_run"
        " order by started_at desc, id desc limit :most",
        most=RUNS_WATCHED_MAX,
    )
    return {"runs": {row.id: [row.due, row.billed, row.parked, row.ended] for row in rows}}
