"""Where payment providers tell us what happened. Each event is checked, stored as it came, and answered."""

from __future__ import annotations

from typing import Any

from fastapi import Depends, Request, Response

from matrix_app.api.deps import count_guess, require_few_guesses
from matrix_app.api.v1.route import failures
from matrix_app.api.v1.shape import resource
from services.payments.intake import Intake
from services.payments.providers.base import WebhookRefused

router = resource("payments")
_ANY_OBJECT: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object", "properties": {}}}},
    }
}


@router.post(
    "/provider-accounts/{provider_account_id}/events",
    status_code=204,
    openapi_extra=_ANY_OBJECT,
    responses=failures(400, 404),
    dependencies=[Depends(require_few_guesses)],
)
async def take_event(provider_account_id: str, request: Request) -> Response:
    """For the provider, which signs what it sends. An event that was stored before is taken and changes nothing."""
    intake: Intake = request.app.state.intake
    try:
        await intake.take(provider_account_id, request.headers, await request.body())
    except WebhookRefused:
        count_guess(request)
        raise
    return Response(status_code=204)
