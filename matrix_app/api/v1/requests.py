"""Calls of the gateway, one by one, each with the reason for its cost."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query
from pydantic import AwareDatetime, Field

from matrix_app.api.deps import Member
from matrix_app.api.v1.figures import From, Names, To
from matrix_app.api.v1.shape import (
    PAGE_ROWS,
    Cursor,
    Exact,
    Limit,
    Page,
    Shown,
    cursor_for,
    position_in,
    resource,
)
from services.core.work import unit_of_work
from services.metering import requests
from services.metering.requests import RequestFilter

router = resource("requests", prefix="/requests")

Outcome = Annotated[Literal["ok", "failed"] | None, Query(description="`failed` from status 400 on")]


class RequestShown(Shown):
    id: str
    key_id: str = Field(description="Empty for a call from the playground")
    account_id: str
    model: str
    endpoint: str
    streamed: bool
    status: int
    error_code: str
    prompt_tokens: int
    completion_tokens: int
    tokens_source: str = Field(description="`upstream`, or `counted` for a stream that broke off")
    started_at: AwareDatetime
    latency_ms: int
    first_token_ms: int | None
    attempts: int
    cost: Exact | None = Field(description="Exact; null when unpriced or not for this caller to see")
    currency: str


class CostLineShown(Shown):
    """amount = quantity * unit_amount / per_units"""

    meter: str
    quantity: Exact
    unit_amount: Exact
    per_units: int
    amount: Exact
    price_id: str


class RequestExplained(RequestShown):
    explanation: list[CostLineShown] = Field(description="Adds up to the cost")
    unpriced: list[str] = Field(description="Meters whose missing price left the call without a cost")


@router.get("")
async def list_requests(
    who: Member,
    key: Names = [],  # noqa: B006 - FastAPI copies it
    model: Names = [],  # noqa: B006
    project: Names = [],  # noqa: B006
    status: Outcome = None,
    start: From = None,
    end: To = None,
    cursor: Cursor = None,
    limit: Limit = PAGE_ROWS,
) -> Page[RequestShown]:
    """Calls, the latest first."""
    filters = {
        "organization": who.actor.organization_id,
        "key": key,
        "model": model,
        "project": project,
        "status": status,
        "from": start,
        "to": end,
    }
    position = position_in("requests", filters, cursor)
    where = RequestFilter(
        models=tuple(model),
        keys=tuple(key),
        projects=tuple(project),
        failed=None if status is None else status == "failed",
        start=start,
        end=end,
    )
    async with unit_of_work(who.actor) as uow:
        page = await requests.page(uow, limit=limit, after=position[0] if position else None, where=where)
    return Page(
        data=[RequestShown.model_validate(row) for row in page.rows],
        next_cursor=cursor_for("requests", filters, [page.next]) if page.next else None,
    )


@router.get("/{request_id}")
async def get_request(who: Member, request_id: str) -> RequestExplained:
    """One call, and the prices that made its cost."""
    async with unit_of_work(who.actor) as uow:
        detail = await requests.detail(uow, request_id)
    shown = RequestShown.model_validate(detail.row).__dict__
    return RequestExplained(
        **shown,
        explanation=[CostLineShown.model_validate(line) for line in detail.explanation],
        unpriced=list(detail.unpriced),
    )
