"""Calls of the gateway, one by one, each with the reason for its cost."""

from __future__ import annotations

from fastapi import Request
from pydantic import AwareDatetime, Field

from matrix_app.api.deps import Member
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.shape import Exact, Shown, resource
from services.core.work import unit_of_work
from services.metering import requests

router = resource("requests", prefix="/requests")


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


@router.get("", **listed(requests.REQUESTS, RequestShown))
async def list_requests(request: Request, who: Member, asked: Asked) -> Answer:
    """Calls, the latest first."""
    return await answer(request, requests.REQUESTS, RequestShown, asked, lambda: unit_of_work(who.actor))


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
