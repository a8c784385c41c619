"""The price book: what is charged now, what was, and what is planned."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar

import reflex as rx

from services.catalog import queries as catalog
from services.catalog.queries import PriceRow, PriceState
from services.core.permissions import Capability
from services.gateway import queries as gateway
from state.base import page_event
from state.filters import FilteredState
from state.format import decimal_text, instant_text

MILLION = Decimal(1_000_000)
METERS = ("prompt_tokens", "completion_tokens", "requests")


class PricesState(FilteredState, rx.State):
    """Prices of the chosen model; without a choice those of all models that hold now or are planned."""

    _filter_keys: ClassVar[tuple[str, ...]] = ("model", "state")

    rows: list[dict[str, Any]] = []
    models: list[dict[str, str]] = []
    open_dialog: bool = False

    @page_event(Capability.STAFF_PRICES_READ, reads=True)
    async def load(self) -> None:
        chosen = self._show_filters()
        async with self._staff_work() as uow:
            prices = await catalog.history(uow, model=chosen.get("model"))
            models = await gateway.staff_models(uow)
        self.models = [{"id": model.slug, "label": f"{model.name} ({model.slug})"} for model in models]
        shown = sorted(_chosen(prices, chosen.get("state", "")), key=_order)
        self.rows = [_shown(price) for price in shown]

    @page_event(Capability.STAFF_PRICES_WRITE)
    async def ask(self, is_open: bool) -> None:
        self.open_dialog = is_open

    @page_event(Capability.STAFF_PRICES_READ)
    async def changed(self, answer: dict[str, Any]) -> Any:
        """A price was set through the API."""
        self.open_dialog = False
        return PricesState.load


def _chosen(prices: Sequence[PriceRow], state: str) -> list[PriceRow]:
    if state == "all":
        return list(prices)
    wanted = {PriceState(state)} if state in set(PriceState) else {PriceState.CURRENT, PriceState.PLANNED}
    return [price for price in prices if price.state in wanted]


def _order(price: PriceRow) -> tuple[str, str, int, float]:
    """By model and currency, what goes in before what comes out, the newest first."""
    return price.model, price.currency, METERS.index(price.meter), -price.valid_from.timestamp()


def _shown(price: PriceRow) -> dict[str, Any]:
    return {
        "id": price.id,
        "model": price.model,
        "meter": price.meter,
        "currency": price.currency,
        "per_million": decimal_text(price.unit_amount * MILLION / price.per_units),
        "unit_amount": decimal_text(price.unit_amount),
        "per_units": price.per_units,
        "valid_from": instant_text(price.valid_from),
        "valid_to": instant_text(price.valid_to),
        "state": price.state.value,
    }
