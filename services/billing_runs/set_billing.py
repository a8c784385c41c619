"""Billing many subscriptions together: read, worked out and written in sets, in one transaction for all of them.

The rules are those by which one is billed alone, and so is what comes of it. What is not plain is left for that, with
all of its organisation. A transaction that fails has done nothing: its subscriptions are billed one by one then, and
the one at fault is found. Source: docs/decisions/0031-billing-in-sets.md.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from services.billing_runs import set_reading, set_writing
from services.billing_runs.set_reading import Read
from services.billing_runs.set_rules import Renewal, Renewals
from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.errors import MatrixError
from services.core.work import UnitOfWork

SETS_PER_COLLECTION = 16
AT_ONCE = 3  # renewals that are worked out before others in the process have their turn: a millisecond or two


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
    before_writing: Callable[[Sequence[str]], Awaitable[None]] | None = None,
) -> Together:
    """Bill what is plain of these that are due by the clock on the wall. A subscription makes at most
    `lines_per_day_max` lines a day, and `lines_per_item` of each item at a moment. `before_writing` is told what is
    left, and nothing is written until it has come back. Raises what the database raises."""
    with _no_collections():
        async with crossing(Reason.BILLING, on=on, clock=clock) as uow:
            read = await set_reading.read(uow, ids)
            plain = await _renewals(read, uow, lines_per_day_max, lines_per_item)
            done = {one.row.id for one in plain}
            left = [row.id for row in read.subscriptions if row.id not in done]
            if before_writing is not None:
                await before_writing(left)
            if plain:
                await set_writing.write(uow, plain)
        return Together(len(done), left)


@contextmanager
def _no_collections() -> Generator[None]:
    """Nearly nothing that is made here refers to itself, so it goes by counting. A collection would walk through all
    that the process holds, several times a set, for as long as a quarter of the set's own time. What does is collected
    after SETS_PER_COLLECTION sets, or when none is at work."""
    global _at_work, _sets, _collects
    if not _at_work:
        _collects = gc.isenabled()
        gc.disable()
    _at_work += 1
    try:
        yield
    finally:
        _at_work -= 1
        _sets += 1
        if _sets % SETS_PER_COLLECTION == 0:
            gc.collect(1)
        if not _at_work and _collects:
            gc.enable()


_at_work = 0  # sets in this process
_sets = 0  # that it has billed
_collects = True  # whether it collects otherwise


async def _renewals(
    read: Read, uow: UnitOfWork, lines_per_day_max: int, lines_per_item: int
) -> list[Renewal]:
    """Of what is plain, in order. All of an organisation is, or nothing: what one gives back may pay another."""
    work = Renewals(read, uow.now)
    made: list[Renewal] = []
    alone: set[str] = set()
    for place, row in enumerate(read.subscriptions):
        one = None
        if row.organization_id not in alone and row.is_plain:
            most = row.lines_today + lines_per_item * len(read.items[row.id])
            one = _renewal(work, row) if most <= lines_per_day_max else None
        if one is None:
            alone.add(row.organization_id)
        else:
            made.append(one)
        if place % AT_ONCE == 0:
            await asyncio.sleep(0)  # others in this process go on
    return [one for one in made if one.row.organization_id not in alone]


def _renewal(work: Renewals, row: Any) -> Renewal | None:
    try:
        return work.of(row)
    except MatrixError:
        return None  # billed by itself, it says why
