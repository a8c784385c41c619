"""Models on offer and what they cost."""

from __future__ import annotations

from fastapi import Request
from pydantic import AwareDatetime

from matrix_app.api.deps import Member
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.shape import (
    PAGE_ROWS,
    Cursor,
    Exact,
    Instant,
    Limit,
    Page,
    Shown,
    cursor_for,
    position_in,
    resource,
)
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


@router.get("/models", **listed(gateway.OFFERED, ModelShown))
async def models(request: Request, who: Member, asked: Asked) -> Answer:
    """Models that can be called at /v1, by slug."""
    return await answer(request, gateway.OFFERED, ModelShown, asked, lambda: unit_of_work(who.actor))


@router.get("/prices")
async def prices(
    who: Member,
    at: Instant | None = None,
    currency: str | None = None,
    cursor: Cursor = None,
    limit: Limit = PAGE_ROWS,
) -> Page[PriceShown]:
    """Prices valid at `at`, which is now if left out, by model, currency and meter."""
    filters: dict[str, object] = {"at": at, "currency": currency}
    position = position_in("prices", filters, cursor)
    async with unit_of_work(who.actor) as uow:
        rows = await catalog.current(
            uow, at=at, currency=currency, after=position[0] if position else None, limit=limit + 1
        )
    last = rows[limit - 1] if len(rows) > limit else None
    return Page(
        data=[PriceShown.model_validate(row) for row in rows[:limit]],
        next_cursor=cursor_for("prices", filters, [last.id]) if last else None,
    )
