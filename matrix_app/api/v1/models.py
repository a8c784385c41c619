"""Models on offer and what they cost."""

from __future__ import annotations

from pydantic import AwareDatetime

from matrix_app.api.deps import Member
from matrix_app.api.v1.shape import Exact, Instant, Shown, resource
from services.catalog import queries as catalog
from services.core.work import unit_of_work
from services.gateway import queries as gateway

router = resource("models")


class ModelShown(Shown):
    id: str
    slug: str
    name: str
    description: str
    endpoints: list[str]
    context_tokens: int
    created_at: AwareDatetime


class Models(Shown):
    data: list[ModelShown]


class PriceShown(Shown):
    """`per_units` of `meter` on `model` cost `unit_amount` of `currency` in [valid_from, valid_to)."""

    id: str
    model: str
    meter: str
    currency: str
    unit_amount: Exact
    per_units: int
    valid_from: AwareDatetime
    valid_to: AwareDatetime | None
    state: str


class Prices(Shown):
    data: list[PriceShown]


@router.get("/models")
async def models(who: Member) -> Models:
    """Models that can be called at /v1, by slug."""
    async with unit_of_work(who.actor) as uow:
        return Models(data=[ModelShown.model_validate(row) for row in await gateway.models(uow)])


@router.get("/prices")
async def prices(who: Member, at: Instant | None = None, currency: str | None = None) -> Prices:
    """Prices valid at `at`, which is now if left out."""
    async with unit_of_work(who.actor) as uow:
        rows = await catalog.current(uow, at=at, currency=currency)
    return Prices(data=[PriceShown.model_validate(row) for row in rows])
