"""Brands of legal entities: names under which documents are issued. For staff."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Literal

from fastapi import Request, Response
from pydantic import AwareDatetime, Field

from matrix_app.api.deps import AnyCaller, Caller, staff_work
from matrix_app.api.v1.etag import IfMatch, showing_current
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.repeat import RepeatOnce
from matrix_app.api.v1.route import failures
from matrix_app.api.v1.shape import Body, Shown, resource
from models.brands import Brand
from services.billing import brand_queries, brands
from services.billing.brand_queries import BRANDS
from services.core.permissions import Capability
from services.core.work import UnitOfWork

router = resource("staff", prefix="/staff/brands")

READ, WRITE = Capability.STAFF_INVOICES_READ, Capability.STAFF_INVOICES_WRITE


class BrandShown(Shown):
    id: str
    legal_entity_id: str
    legal_entity: str = Field(description="Code of whose it is")
    code: str = Field(description="As numbers have it")
    name: str = Field(description="As documents have it")
    status: Literal["active", "archived"]
    is_default: bool = Field(description="Bills whom nobody gave another brand")
    customers: int = Field(description="Billed under it by choice")
    created_at: AwareDatetime
    archived_at: AwareDatetime | None
    version: int


class BrandSaid(Shown):
    """As a document has it."""

    code: str
    name: str


class NewBrand(Body):
    legal_entity_id: str
    code: str = Field(description="1 to 10 of A-Z and 0-9, for ever", examples=["BLUE"])
    name: str


class RenamedBrand(Body):
    name: str
    version: int | None = Field(None, description="As it was read; or send it as If-Match")


@router.get("", **listed(BRANDS, BrandShown))
async def list_brands(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """Brands, by legal entity."""
    return await answer(request, BRANDS, BrandShown, asked, partial(staff_work, who, READ))


@router.post("", status_code=201, response_model=BrandShown, responses=failures(404, 409))
async def add_brand(who: AnyCaller, body: NewBrand, repeat: RepeatOnce) -> Response:
    """Have a legal entity issue documents under one more name. The code is never changed and never given again."""

    async def add(uow: UnitOfWork) -> BrandShown:
        row = await brands.add_brand(uow, body.legal_entity_id, code=body.code, name=body.name)
        return await _shown(uow, row.id)

    return await repeat.once(staff_work(who, WRITE), add, owner=who.actor.id)


@router.get("/{brand_id}")
async def get_brand(who: AnyCaller, brand_id: str) -> BrandShown:
    """One brand."""
    async with staff_work(who, READ) as uow:
        return await _shown(uow, brand_id)


@router.patch("/{brand_id}")
async def rename_brand(who: AnyCaller, brand_id: str, body: RenamedBrand, expected: IfMatch) -> BrandShown:
    """Change its name. Documents that are final keep the one they have."""
    version = expected.version(body.version)
    async with staff_work(who, WRITE) as uow, showing_current(lambda: _shown(uow, brand_id)):
        await brands.rename_brand(uow, brand_id, name=body.name, version=version)
        return await _shown(uow, brand_id)


@router.post("/{brand_id}/make-default", response_model=BrandShown, responses=failures(409))
async def make_brand_default(who: AnyCaller, brand_id: str, repeat: RepeatOnce) -> Response:
    """Have it bill whom nobody gave another brand, from the next draft on."""
    return await _act(who, brand_id, repeat, brands.make_default)


@router.post("/{brand_id}/archive", response_model=BrandShown, responses=failures(409))
async def archive_brand(who: AnyCaller, brand_id: str, repeat: RepeatOnce) -> Response:
    """Bill nobody new under it. The default one, and one that customers are billed under by choice, stay."""
    return await _act(who, brand_id, repeat, brands.archive_brand)


@router.post("/{brand_id}/restore", response_model=BrandShown)
async def restore_brand(who: AnyCaller, brand_id: str, repeat: RepeatOnce) -> Response:
    """Have customers billed under it again."""
    return await _act(who, brand_id, repeat, brands.restore_brand)


async def _act(
    who: Caller, brand_id: str, repeat: RepeatOnce, verb: Callable[[UnitOfWork, str], Awaitable[Brand]]
) -> Response:
    async def act(uow: UnitOfWork) -> BrandShown:
        await verb(uow, brand_id)
        return await _shown(uow, brand_id)

    return await repeat.once(staff_work(who, WRITE), act, owner=who.actor.id, status=200)


async def _shown(uow: UnitOfWork, brand_id: str) -> BrandShown:
    return BrandShown.model_validate(await brand_queries.brand(uow, brand_id))
