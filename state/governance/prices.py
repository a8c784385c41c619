"""The price book: what is charged now, what was, and what is planned."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

import reflex as rx

from services.catalog import queries as catalog
from services.catalog.queries import PriceRow
from services.core.listing import Listing
from services.core.permissions import Capability
from services.gateway import queries as gateway
from state.base import page_event
from state.format import decimal_text, instant_text
from state.listed import ListedState

MILLION = Decimal(1_000_000)


class PricesState(ListedState, rx.State):
    """One page of the prices of the chosen model; without a choice of those of all models that hold now or are
    planned."""

    _listing: ClassVar[Listing[Any]] = catalog.PRICES
    _file_url: ClassVar[str] = "/api/v1/staff/prices"
    _filter_keys: ClassVar[tuple[str, ...]] = ("model", "state[in]")
    _preset: ClassVar[dict[str, str]] = dict([catalog.VALID])

    models: list[dict[str, str]] = []
    open_dialog: bool = False

    @page_event(Capability.STAFF_PRICES_READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, catalog.PRICES)
            models = await gateway.staff_models(uow)
        self.models = [{"id": model.slug, "label": f"{model.name} ({model.slug})"} for model in models]
        self.rows = [_shown(price) for price in found]

    @page_event(Capability.STAFF_PRICES_WRITE)
    async def ask(self, is_open: bool) -> None:
        self.open_dialog = is_open

    @page_event(Capability.STAFF_PRICES_READ)
    async def changed(self, answer: dict[str, Any]) -> Any:
        """A price was set through the API."""
        self.open_dialog = False
        return PricesState.load


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
        "state": price.state,
    }
