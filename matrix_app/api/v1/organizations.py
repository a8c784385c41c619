"""Organisations of the signed-in person."""

from __future__ import annotations

from typing import Literal

from fastapi import Response
from pydantic import Field

from matrix_app.api.deps import Member, Person
from matrix_app.api.v1.repeat import RepeatOnce
from matrix_app.api.v1.shape import Body, Shown, resource
from services.core.crossing import Reason, crossing
from services.core.work import UnitOfWork, unit_of_work
from services.identity import organizations

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


@router.patch("/organization")
async def update_organization(who: Member, body: OrganizationChanges) -> OrganizationState:
    """Change the organisation one works in."""
    async with unit_of_work(who.actor) as uow:
        return OrganizationState.model_validate(
            await organizations.update_organization(uow, **body.model_dump())
        )
