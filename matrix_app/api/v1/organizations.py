"""Organisations of the signed-in person."""

from __future__ import annotations

from typing import Literal

from fastapi import Response
from pydantic import Field

from matrix_app.api.deps import Member, Person
from matrix_app.api.v1.etag import IfMatch, showing_current
from matrix_app.api.v1.repeat import RepeatOnce
from matrix_app.api.v1.shape import Body, Shown, resource
from services.core.crossing import Reason, crossing
from services.core.permissions import Capability
from services.core.work import UnitOfWork, unit_of_work
from services.identity import organizations, policies

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
    member_suspended: bool = Field(False, description="Whether the one who asks is kept out of it")


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
    own = await policies.own_organization(uow, Capability.ORGANIZATION_READ)
    return OrganizationState.model_validate(own)


@router.patch("/organization")
async def update_organization(who: Member, body: OrganizationChanges, expected: IfMatch) -> OrganizationState:
    """Change the organisation one works in."""
    version = expected.version(body.version)
    async with unit_of_work(who.actor) as uow, showing_current(lambda: _own(uow)):
        row = await organizations.update_organization(
            uow, name=body.name, timezone=body.timezone, version=version
        )
        return OrganizationState.model_validate(row)
