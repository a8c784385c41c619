"""Service accounts of the organisation one works in: programs with a role of their own."""

from __future__ import annotations

from typing import Literal

from fastapi import Request, Response
from pydantic import AwareDatetime, Field

from matrix_app.api.deps import Member
from matrix_app.api.v1.etag import IfMatch, showing_current
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.repeat import RepeatOnce
from matrix_app.api.v1.shape import Body, Shown, resource
from services.core.work import UnitOfWork, unit_of_work
from services.identity import service_accounts

router = resource("service accounts", prefix="/service-accounts")


class ServiceAccountShown(Shown):
    id: str
    name: str
    role: str
    status: Literal["active", "disabled"]
    created_at: AwareDatetime
    created_by_name: str
    disabled_at: AwareDatetime | None
    last_used_at: AwareDatetime | None = Field(description="Of its keys")
    active_keys: int
    version: int


class NewServiceAccount(Body):
    name: str
    role: str = Field(description="admin, billing, developer or viewer: as far as its keys go")


class ChangedServiceAccount(Body):
    """What is left out stays."""

    name: str | None = None
    role: str | None = None
    version: int | None = Field(None, description="Refuse if somebody changed the account since this version")


@router.get("", **listed(service_accounts.SERVICE_ACCOUNTS, ServiceAccountShown))
async def list_service_accounts(request: Request, who: Member, asked: Asked) -> Answer:
    """Service accounts by name."""
    return await answer(
        request,
        service_accounts.SERVICE_ACCOUNTS,
        ServiceAccountShown,
        asked,
        lambda: unit_of_work(who.actor),
    )


@router.post("", status_code=201, response_model=ServiceAccountShown)
async def create_service_account(who: Member, body: NewServiceAccount, repeat: RepeatOnce) -> Response:
    """A program that acts by keys, at most as far as its role goes."""

    async def create(uow: UnitOfWork) -> ServiceAccountShown:
        made = await service_accounts.create_service_account(uow, name=body.name, role=body.role)
        return await _shown(uow, made.id)

    return await repeat.once(unit_of_work(who.actor), create, owner=who.actor.organization_id or "")


@router.get("/{service_account_id}")
async def get_service_account(who: Member, service_account_id: str) -> ServiceAccountShown:
    """One service account."""
    async with unit_of_work(who.actor) as uow:
        return await _shown(uow, service_account_id)


@router.patch("/{service_account_id}")
async def update_service_account(
    who: Member, service_account_id: str, body: ChangedServiceAccount, expected: IfMatch
) -> ServiceAccountShown:
    """Change name or role; a role counts for its keys at once."""
    version = expected.version(body.version)
    async with (
        unit_of_work(who.actor) as uow,
        showing_current(lambda: _shown(uow, service_account_id)),
    ):
        await service_accounts.update_service_account(
            uow, service_account_id, name=body.name, role=body.role, version=version
        )
        return await _shown(uow, service_account_id)


@router.post("/{service_account_id}/disable", response_model=ServiceAccountShown)
async def disable_service_account(who: Member, service_account_id: str, repeat: RepeatOnce) -> Response:
    """Stop all of its keys at once, until it is enabled again."""

    async def act(uow: UnitOfWork) -> ServiceAccountShown:
        await service_accounts.disable_service_account(uow, service_account_id)
        return await _shown(uow, service_account_id)

    return await repeat.once(unit_of_work(who.actor), act, owner=who.actor.organization_id or "", status=200)


@router.post("/{service_account_id}/enable", response_model=ServiceAccountShown)
async def enable_service_account(who: Member, service_account_id: str, repeat: RepeatOnce) -> Response:
    """Let its keys go on."""

    async def act(uow: UnitOfWork) -> ServiceAccountShown:
        await service_accounts.enable_service_account(uow, service_account_id)
        return await _shown(uow, service_account_id)

    return await repeat.once(unit_of_work(who.actor), act, owner=who.actor.organization_id or "", status=200)


async def _shown(uow: UnitOfWork, service_account_id: str) -> ServiceAccountShown:
    return ServiceAccountShown.model_validate(await service_accounts.service_account(uow, service_account_id))
