"""Revenue is earned while its service period passes: what is deferred, what of it is due, and taking it back.

Called by verbs that were allowed what they do, and by the passing of time; as in service.py no capability is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import RowMapping

from models.ledger import Measure, Step
from models.money import Money
from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.work import UnitOfWork
from services.ledger import policies, rules, service
from services.ledger.rules import Deferral, Draft
from services.ledger.service import DRAFTS_MAX, JournalDiffers

DEFERRALS_PER_TURN_MAX = 500
TURNS_MAX = 1_000  # of one call; what is left is for the next
EVERY_S = 300  # how often the worker looks for what is due

# Whose time has come. An organisation on a clock that stands, or is behind the wall, is due by that clock, in work
# bound to it, and not by the clock on the wall.
_DUE = """
select d.* from ledger_deferral d
where d.next_due_at <= :until and (
  d.organization_id = cast(:bound as text) or (cast(:bound as text) is null and d.organization_id not in (
    select o.id from organization o join test_clock c on c.id = o.test_clock_id
    where not (c.follows_wall and c.now_at >= :until))))
order by d.next_due_at, d.organization_id, d.line_id limit :most for update of d skip locked
"""
_DEFER = """
insert into ledger_deferral (organization_id, line_id, currency, minor, starts_at, ends_at, measure, step, timezone,
  next_slice, next_due_at, created_at)
select d.organization_id, d.line_id, d.currency, d.minor, d.starts_at, d.ends_at, d.measure, d.step, d.timezone,
  0, d.due, :now
from jsonb_to_recordset(cast(:rows as jsonb)) as d(organization_id text, line_id text, currency text, minor bigint,
  starts_at timestamptz, ends_at timestamptz, measure text, step text, timezone text, due timestamptz)
on conflict (organization_id, line_id) do nothing returning line_id
"""
_POSTED = """
select id from ledger_journal where organization_id = :organization_id and key = any(:keys) order by key
"""


async def defer(uow: UnitOfWork, organization_id: str, *deferrals: Deferral) -> None:
    """Have the money of each line earned over its service period; the lines' own journal credits deferred revenue.

    Asked again with the same it changes nothing. Raises JournalDiffers for a line that is deferred otherwise,
    NotFound for an organisation that the work may not reach, and BadDeferral.
    """
    await defer_all(uow, [(organization_id, one) for one in deferrals])


async def defer_all(uow: UnitOfWork, deferrals: Sequence[tuple[str, Deferral]]) -> None:
    """As `defer`, of lines of any number of organisations in one statement. Each line is there once."""
    for whose in {whose for whose, _ in deferrals}:
        policies.require_own(uow, whose)
    rows = [
        {"organization_id": whose, **_said(one), "due": rules.first_slice_end(one)}
        for whose, one in deferrals
    ]
    made = await uow.execute(_DEFER, rows=orjson.dumps(rows).decode(), now=uow.wall_now)
    new = set(made.scalars())
    for whose, one in deferrals:
        if one.line_id in new:
            continue
        there = await policies.deferral_for(uow, whose, one.line_id)
        if any(getattr(there, name) != value for name, value in _said(one).items()):
            raise JournalDiffers(
                f"The revenue of {one.line_id} is deferred otherwise already.",
                next_step="Adjust it by a line of its own.",
            )


def _said(deferral: Deferral) -> dict[str, Any]:
    return {
        "line_id": deferral.line_id,
        "currency": deferral.money.currency,
        "minor": deferral.money.minor,
        "starts_at": deferral.starts_at,
        "ends_at": deferral.ends_at,
        "measure": deferral.measure.value,
        "step": deferral.step.value,
        "timezone": deferral.zone,
    }


async def recognize(uow: UnitOfWork, *, until: datetime, most: int = DEFERRALS_PER_TURN_MAX) -> int:
    """Book slices that are over by `until`, of at most `most` deferrals and DRAFTS_MAX in all. Returns how many
    deferrals it went on with: call again until there are none.

    In work bound to an organisation those of that one; in work across tenants those of all whose time is the wall's.
    Two at once take different deferrals, and a slice that was booked before is not booked again.
    """
    due = await uow.execute(_DUE, until=until, bound=uow.actor.organization_id, most=most)
    rows = due.mappings().all()
    drafts: list[Draft] = []
    for row in rows:
        deferral = _deferral(row)
        slices = rules.schedule(deferral)
        taken: int = row["next_slice"]
        while taken < len(slices) and slices[taken].ends_at <= until and len(drafts) < DRAFTS_MAX:
            if slices[taken].money.minor:
                drafts.append(rules.recognition(row["organization_id"], deferral, slices[taken]))
            taken += 1
        await uow.execute(
            "update ledger_deferral set next_slice = :taken, next_due_at = :due"
            " where organization_id = :organization_id and line_id = :line_id",
            taken=taken,
            due=slices[taken].ends_at if taken < len(slices) else None,
            organization_id=row["organization_id"],
            line_id=row["line_id"],
        )
    await service.post_all(uow, drafts)
    return len(rows)


async def recognize_all(on: Database | None = None, *, clock: Clock | None = None) -> int:
    """Book what is over by now in all books that follow the clock on the wall, turn by turn. Returns how many turns
    it took. Safe to run twice and to be cut off: each turn is a transaction of its own."""
    turns, going = 0, True
    while going and turns < TURNS_MAX:
        async with crossing(Reason.LEDGER, on=on, clock=clock) as uow:
            going = bool(await recognize(uow, until=uow.wall_now))
        turns += going
    return turns


async def next_due_on(uow: UnitOfWork, clock_id: str) -> datetime | None:
    """When the next slice is over of the organisations on a test clock, in work across tenants."""
    found = await uow.execute(
        "select min(d.next_due_at) from ledger_deferral d join organization o on o.id = d.organization_id"
        " where o.test_clock_id = :clock_id",
        clock_id=clock_id,
    )
    due: datetime | None = found.scalar_one()
    return due


async def withdraw(uow: UnitOfWork, organization_id: str, line_id: str) -> None:
    """Earn nothing more for a line, and reverse what was: its document is void. Asked again it changes nothing.

    Raises NotFound.
    """
    row = await policies.deferral_for(uow, organization_id, line_id)
    row.next_due_at = None
    uow.add(row)
    keys = [rules.recognition_key(line_id, number) for number in range(row.next_slice)]
    posted = await uow.execute(_POSTED, organization_id=organization_id, keys=keys)
    for journal_id in posted.scalars().all():
        await service.reverse(uow, journal_id)


def _deferral(row: RowMapping) -> Deferral:
    return Deferral(
        row["line_id"],
        Money(row["minor"], row["currency"]),
        row["starts_at"],
        row["ends_at"],
        Measure(row["measure"]),
        Step(row["step"]),
        row["timezone"],
    )
