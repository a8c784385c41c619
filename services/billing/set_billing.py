"""Billing many subscriptions together: read, worked out and written in sets, in one transaction for all of them.

The rules are those by which one is billed alone, and so is what comes of it. What is not plain is left for that, with
all of its organisation. A transaction that fails has done nothing: its subscriptions are billed one by one then, and
the one at fault is found. Source: docs/decisions/0031-billing-in-sets.md.
"""

from __future__ import annotations

import gc
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from services.billing import set_reading, set_writing
from services.billing.set_reading import Read
from services.billing.set_rules import Renewal, Renewals
from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.errors import MatrixError
from services.core.work import UnitOfWork


@dataclass(slots=True)
class Together:
    """What became of those that were asked for: `billed`, and `left` to be billed one by one, in the order in which
    they came due. The others are somebody else's."""

    billed: int = 0
    left: list[str] = field(default_factory=list[str])


async def bill(
    ids: Sequence[str],
    on: Database | None,
    clock: Clock | None,
    *,
    lines_per_day_max: int,
    lines_per_item: int,
) -> Together:
    """Bill what is plain of these that are due by the clock on the wall. A subscription makes at most
    `lines_per_day_max` lines a day, and `lines_per_item` of each item at a moment. Raises what the database raises."""
    with _no_collections():
        return await _bill(ids, on, clock, lines_per_day_max, lines_per_item)


@contextmanager
def _no_collections() -> Generator[None]:
    """Nothing that is made here refers to itself, so all of it goes by counting. A collection would walk through all
    that the process holds, several times a set, for as long as a quarter of the set's own time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


async def _bill(
    ids: Sequence[str], on: Database | None, clock: Clock | None, lines_per_day_max: int, lines_per_item: int
) -> Together:
    async with crossing(Reason.BILLING, on=on, clock=clock) as uow:
        read = await set_reading.read(uow, ids)
        renewals = _renewals(read, uow, lines_per_day_max, lines_per_item)
        plain = [one for one in renewals if one is not None]
        if plain:
            await set_writing.write(uow, plain)
    done = {one.row.id for one in plain}
    return Together(len(done), [row.id for row in read.subscriptions if row.id not in done])


def _renewals(
    read: Read, uow: UnitOfWork, lines_per_day_max: int, lines_per_item: int
) -> list[Renewal | None]:
    """In order. All subscriptions of an organisation are plain, or none is: what one gives back may pay another."""
    work = Renewals(read, uow.now)
    made: list[Renewal | None] = []
    alone: set[str] = set()
    for row in read.subscriptions:
        one = None
        if row.organization_id not in alone and row.is_plain:
            most = row.lines_today + lines_per_item * len(read.items[row.id])
            one = _renewal(work, row) if most <= lines_per_day_max else None
        if one is None:
            alone.add(row.organization_id)
        made.append(one)
    return [one if one is not None and one.row.organization_id not in alone else None for one in made]


def _renewal(work: Renewals, row: Any) -> Renewal | None:
    try:
        return work.of(row)
    except MatrixError:
        return None  # billed by itself, it says why
