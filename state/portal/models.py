"""Models that may be called, with their prices, and the playground that calls them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import reflex as rx

from services.catalog import queries as catalog
from services.catalog.queries import PriceRow
from services.core.permissions import Capability
from services.core.settings import settings
from services.gateway import queries as gateway
from services.gateway.queries import ModelRow
from state.base import PageState, page_event
from state.format import decimal_text
from state.portal.snippets import curl_for

MILLION = 1_000_000


class ModelsState(PageState, rx.State):
    """The models, each with what a million tokens cost in the organisation's currency."""

    rows: list[dict[str, Any]] = []

    @page_event(Capability.MODELS_READ, reads=True)
    async def load(self) -> None:
        async with self._unit_of_work() as uow:
            offered = await gateway.models(uow)
            prices = await catalog.current(uow, currency=self._currency)
        self.rows = [_card(model, prices, self._currency) for model in offered]


class PlaygroundState(PageState, rx.State):
    """Which models can be talked to. The conversation stays in the browser."""

    models: list[dict[str, str]] = []
    model: str = ""

    @page_event(Capability.INFERENCE, reads=True)
    async def load(self) -> None:
        async with self._unit_of_work() as uow:
            offered = await gateway.models(uow)
        self.models = [{"id": one.slug, "label": one.name} for one in offered if "chat" in one.endpoints]
        asked = self._query.get("model", "")
        self.model = asked if any(one["id"] == asked for one in self.models) else ""


def per_million(prices: Sequence[PriceRow], model: str, meter: str) -> str:
    """What a million units cost; empty when there is no price, which is not the same as nothing."""
    found = next((one for one in prices if one.model == model and one.meter == meter), None)
    return decimal_text(found.unit_amount * Decimal(MILLION) / found.per_units) if found else ""


def _card(model: ModelRow, prices: Sequence[PriceRow], currency: str) -> dict[str, Any]:
    return {
        "id": model.id,
        "slug": model.slug,
        "name": model.name,
        "description": model.description,
        "endpoints": model.endpoints,
        "context_tokens": model.context_tokens,
        "input": per_million(prices, model.slug, "prompt_tokens"),
        "output": per_million(prices, model.slug, "completion_tokens"),
        "currency": currency,
        "answers": model.endpoints != ["embeddings"],
        "chat": "chat" in model.endpoints,
        "snippet": curl_for(settings().public_url, model.slug, model.endpoints, "$MATRIX_API_KEY"),
    }
