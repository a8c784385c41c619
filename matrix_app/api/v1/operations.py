"""How the installation is, for staff."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any, Literal

from fastapi import Request, Response
from pydantic import AwareDatetime, Field

from matrix_app.api.deps import AnyCaller, staff_work
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.repeat import RepeatOnce
from matrix_app.api.v1.route import failures
from matrix_app.api.v1.shape import Shown, resource
from services.core.database import database
from services.core.permissions import Capability
from services.core.settings import settings
from services.core.work import UnitOfWork
from services.invariants import check
from services.operations import held_jobs, queues
from services.operations.doctor import Health, examine
from services.operations.traffic import traffic

router = resource("staff", prefix="/staff")


class FindingShown(Shown):
    id: str = Field(examples=["D001"])
    name: str
    health: Health = Field(description="`warning` works, but should be looked at; `skipped` cannot be told")
    detail: str
    next_step: str


class InvariantShown(Shown):
    name: str
    means: str = Field(description="What it means when it is broken")
    checked_at: AwareDatetime | None
    broken_since: AwareDatetime | None
    evidence: list[dict[str, Any]] = Field(description="Some of the rows, by their ids")


class QueueShown(Shown):
    name: str
    waiting: int
    age_s: int | None = Field(description="How long the oldest has been due")
    held: int = Field(description="Failed for good: these wait for a person")


class TrafficShown(Shown):
    """What came through a door since the process began that answers this."""

    door: Literal["rest", "pages", "gateway"]
    name: str = Field(description="The route, the page's handler, or the model")
    handled: int
    failed: int = Field(description="By a fault of ours: from status 500 on")
    mean_ms: float
    slow_ms: float | None = Field(
        description="95 of 100 stayed below; null beyond the longest that is told apart"
    )


class HealthShown(Shown):
    findings: list[FindingShown]
    invariants: list[InvariantShown]
    queues: list[QueueShown]
    traffic: list[TrafficShown] = Field(description="The busiest of each door first")


@router.get("/health")
async def get_health(who: AnyCaller) -> HealthShown:
    """What `matrix doctor` finds, what always must be true, what waits, and how the doors do."""
    async with staff_work(who, Capability.STAFF_HEALTH_READ) as uow:
        invariants = await check.results(uow)
    findings = await examine(who.actor, settings(), database())
    return HealthShown(
        findings=[FindingShown.model_validate(finding) for finding in findings],
        invariants=[InvariantShown.model_validate(result) for result in invariants],
        queues=[
            QueueShown(name=one.name, waiting=one.waiting, age_s=_seconds(one.age), held=one.held)
            for one in await queues.queues()
        ],
        traffic=[TrafficShown.model_validate(one) for one in traffic()],
    )


class HeldJobShown(Shown):
    """A job that failed in all its tries and waits for a person."""

    id: int
    name: str = Field(description="What it does")
    tries: int
    enqueued_at: AwareDatetime
    held_at: AwareDatetime
    error: str = Field(description="Its last one, without personal data; empty after a month")


class SentAgain(Shown):
    id: str
    name: str


@router.get("/jobs", **listed(held_jobs.HELD, HeldJobShown))
async def list_held_jobs(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """Jobs that are held, the oldest first."""
    work = partial(staff_work, who, Capability.STAFF_HEALTH_READ)
    return await answer(request, held_jobs.HELD, HeldJobShown, asked, work)


@router.post("/jobs/{job_id}/retry", response_model=SentAgain, responses=failures(404, 409))
async def retry_held_job(who: AnyCaller, job_id: str, repeat: RepeatOnce) -> Response:
    """Have a held job run again from its first try. One that waits or runs already stays as it is."""

    async def again(uow: UnitOfWork) -> SentAgain:
        return SentAgain(id=job_id, name=await held_jobs.send_again(uow, job_id))

    work = staff_work(who, Capability.STAFF_JOBS_WRITE)
    return await repeat.once(work, again, owner=who.actor.id, status=200)


def _seconds(age: timedelta | None) -> int | None:
    return int(age.total_seconds()) if age is not None else None
