"""How the installation is: what the doctor finds, what must be true, what waits, and how the doors do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
import reflex as rx

from services.core.database import database
from services.core.permissions import Capability
from services.core.settings import settings
from services.invariants import check
from services.invariants.check import Result
from services.operations import queues
from services.operations.doctor import Finding, Health, examine
from services.operations.queues import Queue
from services.operations.traffic import Traffic, traffic
from state.base import PageState, page_event
from state.format import instant_text

MILLISECOND = timedelta(milliseconds=1)


class HealthState(PageState, rx.State):
    """One look at the whole installation; `traffic` is of the web process that was asked."""

    findings: list[dict[str, Any]] = []
    invariants: list[dict[str, Any]] = []
    queues: list[dict[str, Any]] = []
    traffic: list[dict[str, Any]] = []
    failed: int = 0
    looked_at: str = ""

    @page_event(Capability.STAFF_HEALTH_READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            results = await check.results(uow)
            self.looked_at = instant_text(uow.wall_now)
        findings = await examine(self._actor, settings(), database())
        self.failed = sum(finding.health is Health.FAILED for finding in findings)
        self.findings = [_finding(finding) for finding in findings]
        self.invariants = [_invariant(result) for result in results]
        self.queues = [_queue(queue) for queue in await queues.queues()]
        self.traffic = [_traffic(one) for one in traffic()]


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "id": finding.id,
        "name": finding.name,
        "health": finding.health.value,
        "detail": f"{finding.detail} {finding.next_step}".strip(),
    }


def _invariant(result: Result) -> dict[str, Any]:
    status = "broken" if result.broken_since else "unchecked" if result.checked_at is None else "holds"
    return {
        "id": result.name,
        "status": status,
        "means": result.means,
        "checked_at": instant_text(result.checked_at),
        "broken_since": instant_text(result.broken_since),
        "evidence": "\n".join(orjson.dumps(row).decode() for row in result.evidence),
    }


def _queue(queue: Queue) -> dict[str, Any]:
    age_ms = queue.age // MILLISECOND if queue.age is not None else None
    return {"id": queue.name, "waiting": queue.waiting, "age_ms": age_ms, "held": queue.held}


def _traffic(one: Traffic) -> dict[str, Any]:
    return {
        "id": f"{one.door} {one.name}",
        "door": one.door,
        "name": one.name,
        "handled": one.handled,
        "failed": one.failed,
        "mean_ms": one.mean_ms,
        "slow_ms": one.slow_ms,
    }
