"""Months of usage that are billed by the price list, as staff sees them."""

from __future__ import annotations

from functools import partial

from fastapi import Request, Response
from pydantic import AwareDatetime, Field

from matrix_app.api.deps import AnyCaller, staff_work
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.repeat import RepeatOnce
from matrix_app.api.v1.route import failures
from matrix_app.api.v1.shape import Shown, resource
from services.billing_runs import usage_running
from services.core.permissions import Capability
from services.core.work import UnitOfWork

router = resource("staff", prefix="/staff")


class UsagePeriodShown(Shown):
    """What an organisation uses in a month and no plan or wallet pays for."""

    id: str
    organization_id: str
    organization_name: str
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    state: str = Field(description="open, collecting late usage, closed, or parked: it could not be billed")
    parked_reason: str | None
    attempts: int
    parked_at: AwareDatetime | None
    retry_at: AwareDatetime | None


class UsageRetryShown(Shown):
    id: str
    retry_at: AwareDatetime | None
    attempts: int


@router.get("/usage-periods", **listed(usage_running.PERIODS, UsagePeriodShown))
async def list_usage_periods(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """Months of usage by the price list, the newest first."""
    work = partial(staff_work, who, Capability.STAFF_SUBSCRIPTIONS_READ)
    return await answer(request, usage_running.PERIODS, UsagePeriodShown, asked, work)


@router.post(
    "/usage-periods/{usage_period_id}/try-again",
    response_model=UsageRetryShown,
    responses=failures(404, 409),
)
async def try_usage_again(who: AnyCaller, usage_period_id: str, repeat: RepeatOnce) -> Response:
    """Have a parked one tried by the next run, and as often as if it had just been parked."""

    async def ask(uow: UnitOfWork) -> UsageRetryShown:
        return UsageRetryShown.model_validate(await usage_running.try_again(uow, usage_period_id))

    work = staff_work(who, Capability.STAFF_SUBSCRIPTIONS_WRITE)
    return await repeat.once(work, ask, owner=who.actor.id, status=200)
