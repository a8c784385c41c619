"""What those do who run this installation: organisations, upstreams, models and prices of everybody."""

from __future__ import annotations

from functools import partial

from fastapi import Request, Response
from pydantic import AwareDatetime, Field

from matrix_app.api.deps import AnyCaller, staff_work
from matrix_app.api.v1.etag import IfMatch, showing_current
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.members import MemberShown
from matrix_app.api.v1.models import PriceShown
from matrix_app.api.v1.repeat import RepeatOnce
from matrix_app.api.v1.route import failures
from matrix_app.api.v1.shape import (
    Body,
    Exact,
    Instant,
    Shown,
    resource,
)
from matrix_app.api.v1.staff_invoices import within
from models.types import BillingMode
from services.catalog import queries as catalog
from services.catalog import service as price_book
from services.core.permissions import Capability
from services.core.settings import settings
from services.core.work import UnitOfWork
from services.gateway import queries as gateway
from services.gateway import upstreams
from services.gateway.upstreams import ModelFields, UpstreamFields
from services.identity import organizations, queries
from services.identity import staff as identity_staff

router = resource("staff", prefix="/staff")


class StaffOrganizationShown(Shown):
    id: str
    kind: str
    name: str
    timezone: str
    currency: str
    billing_mode: str
    created_at: AwareDatetime
    suspended_at: AwareDatetime | None
    members: int
    active_keys: int
    on_clock: bool = Field(description="Whether it is on a test clock, and so not real")
    version: int


class MembersShown(Shown):
    data: list[MemberShown]


class HowBilled(Body):
    billing_mode: BillingMode
    version: int | None = Field(None, description="As it was read; or send it as If-Match")


class UpstreamShown(Shown):
    """Of its key only whether there is one."""

    id: str
    name: str
    kind: str
    base_url: str
    has_api_key: bool
    connect_timeout_s: int
    read_timeout_s: int
    on_hangup: str
    enabled: bool
    created_at: AwareDatetime
    version: int
    models: int


class NewUpstream(Body):
    name: str
    base_url: str = ""
    api_key: str | None = Field(None, description="Stored sealed; null keeps it as it is, empty removes it")
    connect_timeout_s: int = 5
    read_timeout_s: int = 120
    on_hangup: str = "drain"
    enabled: bool = True


class ChangedUpstream(NewUpstream):
    version: int


class StaffModelShown(Shown):
    id: str
    slug: str
    name: str
    description: str
    endpoints: list[str]
    context_tokens: int
    created_at: AwareDatetime
    upstream_id: str
    upstream_name: str
    upstream_model: str
    enabled: bool
    version: int


class NewModel(Body):
    slug: str
    name: str
    upstream_id: str
    upstream_model: str
    context_tokens: int
    endpoints: list[str] = Field(["chat", "completions"])
    description: str = ""
    enabled: bool = True


class ChangedModel(NewModel):
    """The slug stays what it is."""

    version: int


class NewPrice(Body):
    model: str
    meter: str
    currency: str
    unit_amount: Exact = Field(description="Decimal in text, at most 12 places", examples=["0.15"])
    per_units: int = 1_000_000
    valid_from: Instant | None = Field(None, description="Now if left out; never in the past")


@router.get("/organizations", **listed(queries.ORGANIZATIONS, StaffOrganizationShown))
async def list_organizations(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """All organisations by name."""
    work = partial(staff_work, who, Capability.STAFF_ORGANIZATIONS_READ)
    return await answer(request, queries.ORGANIZATIONS, StaffOrganizationShown, asked, work)


@router.get("/organizations/{organization_id}")
async def get_organization(who: AnyCaller, organization_id: str) -> StaffOrganizationShown:
    """One organisation. That staff looked at it is in its audit log."""
    async with staff_work(who, Capability.STAFF_ORGANIZATIONS_READ) as uow:
        return StaffOrganizationShown.model_validate(
            await identity_staff.look_at_organization(uow, organization_id)
        )


@router.get("/organizations/{organization_id}/members", responses=failures(404))
async def list_members_of_organization(who: AnyCaller, organization_id: str) -> MembersShown:
    """The people of one organisation, the first 50 as they joined. That staff looked is in its audit log."""
    async with within(who, organization_id, Capability.STAFF_ORGANIZATIONS_READ) as uow:
        found = await identity_staff.look_at_members(uow)
        return MembersShown(data=[MemberShown.model_validate(one) for one in found])


@router.post("/organizations/{organization_id}/suspend", response_model=StaffOrganizationShown)
async def suspend(who: AnyCaller, organization_id: str, repeat: RepeatOnce) -> Response:
    """Stop an organisation's keys and changes at once. Its people can still read. Needs a recent proof."""

    async def act(uow: UnitOfWork) -> StaffOrganizationShown:
        await organizations.suspend_organization(uow, organization_id)
        return await _organization(uow, organization_id)

    return await repeat.once(
        staff_work(who, Capability.STAFF_ORGANIZATIONS_WRITE), act, owner=who.actor.id, status=200
    )


@router.post("/organizations/{organization_id}/resume", response_model=StaffOrganizationShown)
async def resume(who: AnyCaller, organization_id: str, repeat: RepeatOnce) -> Response:
    """Undo a suspension."""

    async def act(uow: UnitOfWork) -> StaffOrganizationShown:
        await organizations.resume_organization(uow, organization_id)
        return await _organization(uow, organization_id)

    return await repeat.once(
        staff_work(who, Capability.STAFF_ORGANIZATIONS_WRITE), act, owner=who.actor.id, status=200
    )


@router.put("/organizations/{organization_id}/billing-mode")
async def set_billing_mode(
    who: AnyCaller, organization_id: str, body: HowBilled, expected: IfMatch
) -> StaffOrganizationShown:
    """Let an organisation pay for calls by invoice, or ahead from its wallet: then they stop at zero."""
    version = expected.version(body.version)
    async with (
        staff_work(who, Capability.STAFF_ORGANIZATIONS_WRITE) as uow,
        showing_current(lambda: _organization(uow, organization_id)),
    ):
        await organizations.set_billing_mode(uow, organization_id, body.billing_mode, version=version)
        return await _organization(uow, organization_id)


async def _organization(uow: UnitOfWork, organization_id: str) -> StaffOrganizationShown:
    return StaffOrganizationShown.model_validate(await queries.staff_organization(uow, organization_id))


@router.get("/upstreams", **listed(gateway.UPSTREAMS, UpstreamShown))
async def list_upstreams(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """Where models run, by name, the built-in server first."""
    work = partial(staff_work, who, Capability.STAFF_UPSTREAMS_READ)
    return await answer(request, gateway.UPSTREAMS, UpstreamShown, asked, work)


@router.post("/upstreams", status_code=201, response_model=UpstreamShown)
async def add_upstream(who: AnyCaller, body: NewUpstream, repeat: RepeatOnce) -> Response:
    """Add a server that speaks the OpenAI API."""

    async def add(uow: UnitOfWork) -> UpstreamShown:
        row = await upstreams.add_upstream(
            uow,
            UpstreamFields(**body.model_dump(exclude={"api_key"})),
            api_key=body.api_key or "",
            allowed_private=settings().allow_private_upstreams,
        )
        return UpstreamShown.model_validate(await gateway.staff_upstream(uow, row.id))

    work = staff_work(who, Capability.STAFF_UPSTREAMS_WRITE)
    return await repeat.once(work, add, owner=who.actor.id)


@router.get("/upstreams/{upstream_id}")
async def get_upstream(who: AnyCaller, upstream_id: str) -> UpstreamShown:
    """One upstream."""
    async with staff_work(who, Capability.STAFF_UPSTREAMS_READ) as uow:
        return await _upstream(uow, upstream_id)


async def _upstream(uow: UnitOfWork, upstream_id: str) -> UpstreamShown:
    return UpstreamShown.model_validate(await gateway.staff_upstream(uow, upstream_id))


@router.put("/upstreams/{upstream_id}")
async def change_upstream(
    who: AnyCaller, upstream_id: str, body: ChangedUpstream, expected: IfMatch
) -> UpstreamShown:
    """Replace what is said of an upstream. Another key or address needs a recent proof."""
    expected.version(body.version)
    async with (
        staff_work(who, Capability.STAFF_UPSTREAMS_WRITE) as uow,
        showing_current(lambda: _upstream(uow, upstream_id)),
    ):
        await upstreams.update_upstream(
            uow,
            upstream_id,
            UpstreamFields(**body.model_dump(exclude={"api_key", "version"})),
            version=body.version,
            api_key=body.api_key,
            allowed_private=settings().allow_private_upstreams,
        )
        return await _upstream(uow, upstream_id)


@router.get("/models", **listed(gateway.MODELS, StaffModelShown))
async def list_models(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """All models by slug, also those that are switched off."""
    work = partial(staff_work, who, Capability.STAFF_UPSTREAMS_READ)
    return await answer(request, gateway.MODELS, StaffModelShown, asked, work)


@router.post("/models", status_code=201, response_model=StaffModelShown, responses=failures(404))
async def add_model(who: AnyCaller, body: NewModel, repeat: RepeatOnce) -> Response:
    """Offer a model to clients."""

    async def add(uow: UnitOfWork) -> StaffModelShown:
        row = await upstreams.add_model(uow, ModelFields(**body.model_dump()))
        return StaffModelShown.model_validate(await gateway.staff_model(uow, row.id))

    work = staff_work(who, Capability.STAFF_UPSTREAMS_WRITE)
    return await repeat.once(work, add, owner=who.actor.id)


@router.get("/models/{model_id}")
async def get_model(who: AnyCaller, model_id: str) -> StaffModelShown:
    """One model, also one that is switched off."""
    async with staff_work(who, Capability.STAFF_UPSTREAMS_READ) as uow:
        return await _model(uow, model_id)


async def _model(uow: UnitOfWork, model_id: str) -> StaffModelShown:
    return StaffModelShown.model_validate(await gateway.staff_model(uow, model_id))


@router.put("/models/{model_id}")
async def change_model(
    who: AnyCaller, model_id: str, body: ChangedModel, expected: IfMatch
) -> StaffModelShown:
    """Replace what is said of a model."""
    expected.version(body.version)
    async with (
        staff_work(who, Capability.STAFF_UPSTREAMS_WRITE) as uow,
        showing_current(lambda: _model(uow, model_id)),
    ):
        fields = ModelFields(**body.model_dump(exclude={"version"}))
        await upstreams.update_model(uow, model_id, fields, version=body.version)
        return await _model(uow, model_id)


@router.get("/prices", **listed(catalog.PRICES, PriceShown))
async def list_prices(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """Every price there is, was or will be, by model, currency and meter, the newest first."""
    work = partial(staff_work, who, Capability.STAFF_PRICES_READ)
    return await answer(request, catalog.PRICES, PriceShown, asked, work)


@router.post("/prices", status_code=201, response_model=PriceShown, responses=failures(404))
async def set_price(who: AnyCaller, body: NewPrice, repeat: RepeatOnce) -> Response:
    """Let a model cost something from now or a later time on. The price before it ends then."""

    async def create(uow: UnitOfWork) -> PriceShown:
        price = await price_book.set_price(uow, **body.model_dump())
        state = "planned" if price.valid_from > uow.wall_now else "current"
        return PriceShown.model_validate({**price.model_dump(), "state": state})

    work = staff_work(who, Capability.STAFF_PRICES_WRITE)
    return await repeat.once(work, create, owner=who.actor.id)
