"""Customers who are left alone: nothing is charged by itself, and no campaign goes on, until a hold is over."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from fastapi import Request, Response
from pydantic import AwareDatetime, Field

from matrix_app.api.deps import AnyCaller, staff_work
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.repeat import RepeatOnce
from matrix_app.api.v1.route import failures
from matrix_app.api.v1.shape import Body, Instant, Shown, resource
from matrix_app.api.v1.staff_invoices import within
from services.core.errors import Invalid
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.dunning import hold_queries, holds
from services.dunning.holds import HOLD_MAX, REASON_CHARACTERS_MAX

router = resource("staff", prefix="/staff")

READ, WRITE = Capability.STAFF_PAYMENTS_READ, Capability.STAFF_PAYMENTS_WRITE


class NewHold(Body):
    """Without `until` and `days` it lasts until it is released."""

    reason: str = Field(max_length=REASON_CHARACTERS_MAX)
    until: Instant | None = None
    days: int | None = Field(None, ge=1, le=HOLD_MAX.days, description="From now, instead of `until`")
    lifts: bool = Field(False, description="What was restricted works meanwhile")


class HoldShown(Shown):
    id: str
    organization_id: str
    organization_name: str
    state: str = Field(description="`open` until it is released, also when `until` has passed")
    reason: str
    lifts: bool
    until: AwareDatetime | None
    placed_by: str
    created_at: AwareDatetime
    ended_at: AwareDatetime | None
    ended_by: str | None
    version: int


@router.get("/dunning-holds", **listed(hold_queries.HOLDS, HoldShown))
async def list_dunning_holds(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """Customers who are or were held, the newest first."""
    return await answer(request, hold_queries.HOLDS, HoldShown, asked, partial(staff_work, who, READ))


@router.post(
    "/organizations/{organization_id}/dunning-holds",
    status_code=201,
    response_model=HoldShown,
    responses=failures(404, 409),
)
async def hold_dunning(who: AnyCaller, organization_id: str, body: NewHold, repeat: RepeatOnce) -> Response:
    """Charge nothing by itself, and do nothing of dunning, for an organisation."""

    async def place(uow: UnitOfWork) -> HoldShown:
        if body.until is not None and body.days is not None:
            raise Invalid("Say until when, or for how many days.", field="days")
        until = body.until if body.days is None else uow.now + timedelta(days=body.days)
        row = await holds.place(uow, reason=body.reason, until=until, lifts=body.lifts)
        return await _shown(uow, row.id)

    return await repeat.once(within(who, organization_id, WRITE), place, owner=who.actor.id)


@router.get("/dunning-holds/{dunning_hold_id}")
async def get_dunning_hold(who: AnyCaller, dunning_hold_id: str) -> HoldShown:
    """One hold."""
    async with staff_work(who, READ) as uow:
        return await _shown(uow, dunning_hold_id)


@router.post("/dunning-holds/{dunning_hold_id}/release")
async def release_dunning_hold(who: AnyCaller, dunning_hold_id: str) -> HoldShown:
    """Go on. What was held up comes one after the other, at its old distances."""
    async with staff_work(who, WRITE) as uow:
        found = await hold_queries.hold(uow, dunning_hold_id)
    async with within(who, found.organization_id, WRITE) as uow:
        await holds.release(uow, dunning_hold_id)
        return await _shown(uow, dunning_hold_id)


async def _shown(uow: UnitOfWork, hold_id: str) -> HoldShown:
    return HoldShown.model_validate(await hold_queries.hold(uow, hold_id))
