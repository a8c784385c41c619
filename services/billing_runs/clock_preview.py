"""Turning a test clock to see what would be made, before it is turned: it is turned, looked at, and turned back.

All of it happens in one transaction that is undone (`work.rehearsed`), by the code that turns clocks, so the documents
are those that turning makes. No number is drawn, no event is told and no provider is asked: what would be charged by
itself is taken as paid on that day. Source: docs/decisions/0059-looking-ahead.md.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from models.clock import TestClock
from services.billing.events import InvoiceDrafted, InvoiceFinalized, SubscriptionBilled
from services.billing_runs import clock_turning, run_records
from services.core.actor import system
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.errors import Busy
from services.core.events import DomainEvent
from services.core.permissions import Capability
from services.core.work import UnitOfWork, rehearsed, unit_of_work
from services.identity import clocks
from services.subscriptions import previewing
from services.subscriptions.previewing import PreviewInvoice

DOCUMENTS_MAX = 100  # that are made before one stops to look
LINES_MAX = 2_000  # of all documents that are shown; the first is shown whatever it has
LOOK_S_MAX = (
    15  # no further moment is begun after that; others who would bill the same customers wait so long
)
STEP = 5  # moments between two looks at the bounds
LOCK_WAIT_S = 0.5  # less than it takes the database to see two that wait for each other

_MADE = """
select i.id, i.subscription_id, coalesce(p.name, '') as plan_name, i.lines
from invoice i left join subscription s on s.id = i.subscription_id left join plan p on p.id = s.plan_id
where i.id = any(:ids) and i.organization_id = :organization_id
order by coalesce(i.finalized_at, i.collect_until), i.id
"""


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A document that turning makes. Without `subscription_id` it is for usage by the price list, or staff's
    own."""

    subscription_id: str | None
    plan_name: str
    document: PreviewInvoice


@dataclass(frozen=True, slots=True)
class ClockPreview:
    """What is made between what the clock shows and `until`, and why subscriptions stand `parked` by then. `more` may
    come between that and `to`, where the clock was to go: there was too much to look at it all at once."""

    shows: datetime
    to: datetime
    until: datetime
    more: bool
    documents: tuple[Foreseen, ...]
    parked: tuple[str, ...] = ()


async def preview(uow: UnitOfWork, organization_id: str, *, to: datetime) -> ClockPreview:
    """What turning the clock of an organisation to `to` makes, in work across tenants. Raises as `clock_turning.turn`
    does, and Busy where somebody else is at work on what it would bill."""
    there = await clock_turning.standing(uow, organization_id)
    uow.actor.require(Capability.STAFF_SUBSCRIPTIONS_READ)
    wall = FixedClock(uow.wall_now)
    async with rehearsed(uow, lock_wait_s=LOCK_WAIT_S) as (on, told):
        async with crossing(Reason.STAFF, actor=uow.actor, on=on, clock=wall) as turning:
            await clock_turning.turn(turning, there.id, to=to)
        reached = await _go(there.id, on, wall, told)
        made = await _made(organization_id, on, wall, told)
        async with unit_of_work(system(organization_id), on=on, clock=wall) as work:
            parked = await run_records.why_parked(work, organization_id)
    documents = [one for one in made if one is not None]
    more = reached is not None or len(documents) < len(made)
    until = to
    if more:
        until = documents[-1].document.billed_at if None in made else reached or to
    return ClockPreview(there.shows, to, until, more, tuple(documents), tuple(parked))


async def _go(clock_id: str, on: Database, wall: FixedClock, told: Sequence[DomainEvent]) -> datetime | None:
    """How far the clock came within the bounds; None where it has arrived. Raises Busy."""
    begun = time.monotonic()
    while True:
        stops = await clock_turning.go_on(clock_id, on, clock=wall, stops=STEP)
        async with crossing(Reason.BILLING, on=on, clock=wall) as uow:
            row = await uow.get(TestClock, clock_id)
        if row is None or row.target_at is None:
            return None
        if not stops:
            raise Busy("Somebody is at work on what would be billed.", next_step="Look again in a moment.")
        if len(_ids(told)) >= DOCUMENTS_MAX or time.monotonic() - begun > LOOK_S_MAX:
            return clocks.shown_by(row, uow.wall_now)


def _ids(told: Sequence[DomainEvent]) -> list[str]:
    """Of documents that were made or joined, in order."""
    found: dict[str, None] = {}
    for event in told:
        if isinstance(event, SubscriptionBilled):
            found[event.invoice_id] = None
        elif isinstance(event, InvoiceDrafted | InvoiceFinalized):
            found[event.aggregate_id] = None
    return list(found)


async def _made(
    organization_id: str, on: Database, wall: FixedClock, told: Sequence[DomainEvent]
) -> list[Foreseen | None]:
    """The documents of the organisation; None for those that there is no room for."""
    found: list[Foreseen | None] = []
    async with unit_of_work(system(organization_id), on=on, clock=wall) as uow:
        rows = await uow.execute(_MADE, ids=_ids(told), organization_id=organization_id)
        room = LINES_MAX
        for row in rows.all():
            fits = not found or (None not in found and row.lines <= room and len(found) < DOCUMENTS_MAX)
            if fits:
                document = await previewing.document(uow, row.id)
                found.append(Foreseen(row.subscription_id, row.plan_name, document))
                room -= row.lines
            else:
                found.append(None)
    return found
