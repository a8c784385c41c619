"""The billing run as staff sees it, and the test clocks of organisations, which staff turns."""

from __future__ import annotations

from datetime import date
from functools import partial
from typing import Annotated, Literal

from fastapi import Request, Response
from pydantic import AwareDatetime, BeforeValidator, Field

from matrix_app.api.deps import AnyCaller, staff_work
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.preview_shapes import PreviewInvoiceShown
from matrix_app.api.v1.repeat import RepeatOnce
from matrix_app.api.v1.route import failures
from matrix_app.api.v1.shape import Body, Instant, Shown, resource
from models.types import BillingInterval
from services.billing_runs import clock_preview, clock_turning, run_records, running
from services.core.errors import not_found
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.identity import clocks

router = resource("staff", prefix="/staff")

READ = Capability.STAFF_SUBSCRIPTIONS_READ


class BillingRunShown(Shown):
    id: str
    worker: str = Field(description="Host and process")
    started_at: AwareDatetime
    seen_at: AwareDatetime = Field(description="When it last said how far it is")
    ended_at: AwareDatetime | None = Field(description="Null while it is at work, and if it was cut off")
    due: int = Field(description="Subscriptions that it found")
    billed: int
    parked: int


class ParkedShown(Shown):
    """A subscription that could not be billed, and when it is tried again."""

    id: str
    organization_id: str
    organization_name: str
    state: str
    parked_reason: str
    attempts: int
    parked_at: AwareDatetime
    retry_at: AwareDatetime | None


class RetryShown(Shown):
    id: str
    retry_at: AwareDatetime | None
    attempts: int


class ClockShown(Shown):
    """The test clock of an organisation."""

    id: str
    name: str
    shows: AwareDatetime
    target_at: AwareDatetime | None = Field(description="Where it is being turned to")
    follows_wall: bool
    timezone: str = Field(description="The organisation's, by whose calendar it is turned")


class NewClock(Body):
    name: str
    shows: Instant | None = Field(None, description="Now if left out")


class Turn(Body):
    """One of the three."""

    by: Literal["day", "week", "month", "quarter", "half_year", "year"] | None = None
    on: Annotated[date | None, BeforeValidator(lambda given: given or None)] = Field(
        None, description="To the beginning of this day in the organisation's timezone"
    )
    to: Instant | None = None


class ForeseenShown(Shown):
    """A document that turning makes, or adds to. Without a subscription it is for usage by the price list, or staff's
    own."""

    subscription_id: str | None
    plan_name: str
    document: PreviewInvoiceShown


class ClockPreviewShown(Shown):
    """Nothing was done, and no number was drawn. What would be charged by itself is taken as paid on that day."""

    shows: AwareDatetime
    to: AwareDatetime = Field(description="Where the clock would go")
    until: AwareDatetime = Field(description="Up to where one has looked: `to`, if there is no `more`")
    more: bool = Field(
        description="There may be more after `until`: too much to look at together. Turn to there and look on"
    )
    documents: list[ForeseenShown]
    parked: list[str] = Field(description="Why subscriptions could not be billed by then, each reason once")


@router.get("/billing-runs", **listed(run_records.RUNS, BillingRunShown))
async def list_billing_runs(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """Runs that found something to bill, the newest first."""
    return await answer(request, run_records.RUNS, BillingRunShown, asked, partial(staff_work, who, READ))


@router.get("/parked-subscriptions", **listed(run_records.PARKED, ParkedShown))
async def list_parked_subscriptions(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """Subscriptions that could not be billed, with the reason, the longest parked first."""
    return await answer(request, run_records.PARKED, ParkedShown, asked, partial(staff_work, who, READ))


@router.post(
    "/parked-subscriptions/{subscription_id}/try-again",
    response_model=RetryShown,
    responses=failures(404, 409),
)
async def try_again(who: AnyCaller, subscription_id: str, repeat: RepeatOnce) -> Response:
    """Have it tried by the next run, and as often as if it had just been parked."""

    async def ask(uow: UnitOfWork) -> RetryShown:
        return RetryShown.model_validate(await running.try_again(uow, subscription_id))

    work = staff_work(who, Capability.STAFF_SUBSCRIPTIONS_WRITE)
    return await repeat.once(work, ask, owner=who.actor.id, status=200)


@router.get("/organizations/{organization_id}/clock")
async def get_clock(who: AnyCaller, organization_id: str) -> ClockShown:
    """What the test clock of an organisation shows, and whether it is being turned."""
    async with staff_work(who, Capability.STAFF_ORGANIZATIONS_READ) as uow:
        there = await clock_turning.look(uow, organization_id)
        if there is None:
            raise not_found("test clock of the organisation", organization_id)
        return ClockShown.model_validate(there)


@router.post(
    "/organizations/{organization_id}/clock",
    status_code=201,
    response_model=ClockShown,
    responses=failures(404, 409),
)
async def create_clock(who: AnyCaller, organization_id: str, body: NewClock, repeat: RepeatOnce) -> Response:
    """Put an organisation that is not used for real on a test clock."""

    async def create(uow: UnitOfWork) -> ClockShown:
        await clocks.create_test_clock(uow, organization_id, name=body.name, shows=body.shows or uow.wall_now)
        return ClockShown.model_validate(await clock_turning.look(uow, organization_id))

    return await repeat.once(staff_work(who, clocks.NEEDED), create, owner=who.actor.id)


@router.post(
    "/organizations/{organization_id}/clock/turn", response_model=ClockShown, responses=failures(404, 409)
)
async def turn_clock(who: AnyCaller, organization_id: str, body: Turn, repeat: RepeatOnce) -> Response:
    """Turn the clock forward. The worker takes it from moment to moment; look again to see how far it is."""

    async def turn(uow: UnitOfWork) -> ClockShown:
        return ClockShown.model_validate(
            await clock_turning.turn_by(uow, organization_id, by=_by(body), on=body.on, to=body.to)
        )

    return await repeat.once(staff_work(who, clocks.NEEDED), turn, owner=who.actor.id, status=200)


@router.post("/organizations/{organization_id}/clock/preview", responses=failures(404, 409))
async def preview_clock(who: AnyCaller, organization_id: str, body: Turn) -> ClockPreviewShown:
    """Every document that turning the clock would make, worked out by turning it and undone."""
    async with staff_work(who, clocks.NEEDED) as uow:
        there = await clock_turning.standing(uow, organization_id)
        to = clock_turning.moment(there, by=_by(body), on=body.on, to=body.to)
        return ClockPreviewShown.model_validate(await clock_preview.preview(uow, organization_id, to=to))


def _by(body: Turn) -> BillingInterval | None:
    return BillingInterval(body.by) if body.by else None
