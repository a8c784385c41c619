"""Organisations of the signed-in person."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from fastapi import Response
from pydantic import Field

from matrix_app.api.deps import Member, Person
from matrix_app.api.v1.etag import IfMatch, showing_current
from matrix_app.api.v1.repeat import RepeatOnce
from matrix_app.api.v1.shape import (
    PAGE_ROWS,
    Body,
    Cursor,
    Limit,
    Page,
    Shown,
    cursor_for,
    position_in,
    resource,
)
from services.core.crossing import Reason, crossing
from services.core.work import UnitOfWork, unit_of_work
from services.identity import organizations, queries

router = resource("organizations")


class OrganizationShown(Shown):
    id: str
    kind: str
    name: str
    timezone: str
    currency: str
    billing_mode: str
    suspended: bool
    role: str = Field(description="Of the one who asks; empty for a key")


class Organizations(Shown):
    data: list[OrganizationShown]


class NewOrganization(Body):
    name: str
    kind: Literal["client", "partner", "developer", "operator"] = "client"
    timezone: str = "UTC"
    currency: str = "USD"


class OrganizationChanges(Body):
    """What is left out stays."""

    name: str | None = None
    timezone: str | None = None
    version: int | None = Field(None, description="Refuse if somebody changed it since this version")


class OrganizationState(Shown):
    id: str
    kind: str
    name: str
    timezone: str
    currency: str
    billing_mode: str
    version: int


class MemberShown(Shown):
    account_id: str
    email: str
    name: str
    role: str
    joined_at: datetime


@router.get("/organizations")
async def my_organizations(who: Person) -> Organizations:
    """All organisations one belongs to, by name."""
    return Organizations(data=[OrganizationShown.model_validate(o) for o in who.organizations])


@router.post("/organizations", status_code=201, response_model=OrganizationState)
async def create_organization(who: Person, body: NewOrganization, repeat: RepeatOnce) -> Response:
    """Found an organisation and own it. Switch to it to work in it."""

    async def create(uow: UnitOfWork) -> OrganizationState:
        made = await organizations.create_organization(uow, **body.model_dump())
        return OrganizationState.model_validate(made)

    work = crossing(Reason.SIGN_IN, actor=who.actor)
    return await repeat.once(work, create, owner=who.account.id)


@router.get("/organization")
async def own_organization(who: Member) -> OrganizationState:
    """The organisation one works in."""
    async with unit_of_work(who.actor) as uow:
        return await _own(uow)


async def _own(uow: UnitOfWork) -> OrganizationState:
    return OrganizationState.model_validate(await queries.own_organization(uow))


@router.patch("/organization")
async def update_organization(who: Member, body: OrganizationChanges, expected: IfMatch) -> OrganizationState:
    """Change the organisation one works in."""
    changes = body.model_dump(exclude={"version"})
    version = expected.version(body.version)
    async with unit_of_work(who.actor) as uow, showing_current(lambda: _own(uow)):
        changed = await organizations.update_organization(uow, **changes, version=version)
        return OrganizationState.model_validate(changed)


@router.get("/organization/members")
async def members(who: Member, cursor: Cursor = None, limit: Limit = PAGE_ROWS) -> Page[MemberShown]:
    """The people of the organisation one works in, as they joined."""
    filters = {"organization": who.actor.organization_id}
    position = position_in("members", filters, cursor)
    async with unit_of_work(who.actor) as uow:
        rows = await queries.members(uow, after=position[0] if position else "", limit=limit + 1)
    more = len(rows) > limit
    return Page(
        data=[MemberShown.model_validate(row) for row in rows[:limit]],
        next_cursor=cursor_for("members", filters, [rows[limit - 1].membership_id]) if more else None,
    )
