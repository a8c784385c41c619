"""Months of usage that are billed by the price list: one's own, and all for staff."""

from __future__ import annotations

from functools import partial
from typing import Literal

from fastapi import Request, Response
from pydantic import AwareDatetime, Field

from matrix_app.api.deps import AnyCaller, Member, staff_work
from matrix_app.api.v1.invoices import StepShown
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.repeat import RepeatOnce
from matrix_app.api.v1.route import failures
from matrix_app.api.v1.shape import Exact, Shown, resource
from models.billing import InvoiceState
from services.billing import usage_months
from services.billing_runs import usage_running
from services.core.permissions import Capability
from services.core.work import UnitOfWork, unit_of_work

router = resource("usage")

State = Literal["open", "collecting", "closed", "parked"]


class MonthInvoiceShown(Shown):
    id: str
    number: str
    state: InvoiceState
    currency: str
    total_minor: int


class UsageMonthShown(Shown):
    """A calendar month of what no plan meters and no wallet pays."""

    id: str
    starts_at: AwareDatetime
    ends_at: AwareDatetime = Field(description="Left out of the month")
    state: State = Field(description="`collecting` waits for late usage; `parked` could not be billed")
    next_at: AwareDatetime | None = Field(description="When it is billed, or looked at next")
    parked_reason: str | None
    invoices: list[MonthInvoiceShown] | None = Field(description="Null for whoever may not see invoices")


class PartShown(Shown):
    """quantity * unit_amount / per_units, exact, in major units of the line's currency."""

    meter: str
    price_id: str
    quantity: Exact
    unit_amount: Exact
    per_units: int


class LineSoFarShown(Shown):
    """A line as it would be billed: amount - billed before."""

    key: str
    description: str
    model: str
    currency: str
    late: bool = Field(description="Came in after the month that `period_start` begins was billed")
    period_start: AwareDatetime
    period_end: AwareDatetime
    parts: list[PartShown]
    amount_minor: int = Field(description="Of the whole line, rounded once")
    billed_before_minor: int
    steps: list[StepShown]


class TotalSoFarShown(Shown):
    currency: str
    minor: int = Field(description="Of all lines, before discounts, credits and tax")


class PaidAheadShown(Shown):
    currency: str
    calls: int
    cost: Exact


class MeteredShown(Shown):
    meter: str
    quantity: Exact


class UsageMonthSoFarShown(Shown):
    """What a month comes to if it ended at `counted_until`. One that is closed is on its invoices."""

    id: str
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    state: State
    counted_until: AwareDatetime = Field(description="A whole minute: what was used later is not in it yet")
    bills_at: AwareDatetime | None = Field(description="When its invoice is made: its end, and the grace")
    parked_reason: str | None
    lines: list[LineSoFarShown]
    totals: list[TotalSoFarShown]
    paid_ahead: list[PaidAheadShown] = Field(description="What a wallet paid, which is in no line")
    by_plans: list[MeteredShown] = Field(description="What plans meter and bill, which is in no line")


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


@router.get("/usage-periods", **listed(usage_months.MONTHS, UsageMonthShown))
async def list_usage_months(request: Request, who: Member, asked: Asked) -> Answer:
    """Months of usage by the price list, the newest first, with what they were billed by."""
    return await answer(request, usage_months.MONTHS, UsageMonthShown, asked, lambda: unit_of_work(who.actor))


@router.get("/usage-periods/{usage_period_id}")
async def get_usage_month(who: Member, usage_period_id: str) -> UsageMonthSoFarShown:
    """What a month comes to so far, by model and meter, as its invoice would have it if it ended now."""
    async with unit_of_work(who.actor) as uow:
        return UsageMonthSoFarShown.model_validate(await usage_months.so_far(uow, usage_period_id))


@router.get("/staff/usage-periods", tags=["staff"], **listed(usage_running.PERIODS, UsagePeriodShown))
async def list_usage_periods(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """Months of usage by the price list, the newest first."""
    work = partial(staff_work, who, Capability.STAFF_SUBSCRIPTIONS_READ)
    return await answer(request, usage_running.PERIODS, UsagePeriodShown, asked, work)


@router.post(
    "/staff/usage-periods/{usage_period_id}/try-again",
    tags=["staff"],
    response_model=UsageRetryShown,
    responses=failures(404, 409),
)
async def try_usage_again(who: AnyCaller, usage_period_id: str, repeat: RepeatOnce) -> Response:
    """Have a parked one tried by the next run, and as often as if it had just been parked."""

    async def ask(uow: UnitOfWork) -> UsageRetryShown:
        return UsageRetryShown.model_validate(await usage_running.try_again(uow, usage_period_id))

    work = staff_work(who, Capability.STAFF_SUBSCRIPTIONS_WRITE)
    return await repeat.once(work, ask, owner=who.actor.id, status=200)
