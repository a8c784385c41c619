"""Checking invariants: on a schedule in production, and as the last line of tests."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy.exc import DBAPIError

from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.errors import MatrixError
from services.core.logs import get_logger
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.invariants.book import BOOK
from services.invariants.events import InvariantBroken
from services.invariants.rule import Invariant

log = get_logger(__name__)

CHECK_TIMEOUT_S = 30
CHECK_EVERY_S = 300

# Workers that find it at the same time wait for each other here, so one of them is the first.
_BEFORE = "select broken_since from invariant_result where name = :name for update"
_KEEP = """
insert into invariant_result as kept (name, checked_at, broken_since, evidence, duration_ms)
values (:name, :now, case when :broken then cast(:now as timestamptz) end, cast(:evidence as jsonb), :duration_ms)
on conflict (name) do update set
  checked_at = excluded.checked_at,
  broken_since = case when :broken then coalesce(kept.broken_since, excluded.broken_since) end,
  evidence = excluded.evidence,
  duration_ms = excluded.duration_ms
returning broken_since
"""


async def evidence_against(rule: type[Invariant], uow: UnitOfWork) -> list[dict[str, Any]]:
    """What contradicts `rule`, at most its `evidence_max` rows. `uow` crosses tenants."""
    given = {"now": uow.wall_now, "since": uow.wall_now - rule.window, "evidence_max": rule.evidence_max}
    found = await uow.execute(rule.query, given)
    return [dict(row) for row in found.mappings()]


async def check_all(
    on: Database | None = None, *, rules: Iterable[type[Invariant]] = BOOK, clock: Clock | None = None
) -> int:
    """Check each rule in a transaction of its own and keep what was found. Returns how many are broken; staff is told
    when one begins to be.

    A rule that cannot be checked in time is logged and keeps its former result; the others go on.
    """
    broken = 0
    for rule in rules:
        try:
            broken += await _check(rule, on, clock)
        except (DBAPIError, MatrixError) as error:
            log.error("invariant_not_checked", invariant=rule.name, exc_info=error)
    return broken


async def _check(rule: type[Invariant], on: Database | None, clock: Clock | None) -> bool:
    started = time.perf_counter()
    async with crossing(Reason.INVARIANTS, on=on, clock=clock) as uow:
        await uow.execute(f"set local statement_timeout = '{CHECK_TIMEOUT_S}s'")
        evidence = await evidence_against(rule, uow)
        before = (await uow.execute(_BEFORE, name=rule.name)).scalar_one_or_none()
        kept = await uow.execute(
            _KEEP,
            name=rule.name,
            now=uow.wall_now,
            broken=bool(evidence),
            evidence=orjson.dumps(evidence).decode(),
            duration_ms=round((time.perf_counter() - started) * 1_000),
        )
        # The second condition is for the first check there ever was, when there is no row yet to wait for.
        if before is None and kept.scalar_one() == uow.wall_now:
            uow.record(InvariantBroken(aggregate_id=rule.name, organization_id=None, means=rule.means))
    if evidence:
        log.error("invariant_broken", invariant=rule.name, means=rule.means, evidence=evidence)
    return bool(evidence)


@dataclass(frozen=True, slots=True)
class Result:
    """The latest look at one rule. `checked_at` is None when there was none yet."""

    name: str
    means: str
    checked_at: datetime | None
    broken_since: datetime | None
    evidence: list[dict[str, Any]]


async def results(uow: UnitOfWork) -> list[Result]:
    """Every rule with its latest result, the broken ones first. For staff and the product itself."""
    uow.actor.require(Capability.STAFF_HEALTH_READ)
    rows = await uow.execute("select name, checked_at, broken_since, evidence from invariant_result")
    kept = {row.name: row for row in rows}
    found = [
        Result(rule.name, rule.means, row.checked_at, row.broken_since, row.evidence)
        if (row := kept.get(rule.name)) is not None
        else Result(rule.name, rule.means, None, None, [])
        for rule in BOOK
    ]
    return sorted(found, key=lambda result: result.broken_since is None)
