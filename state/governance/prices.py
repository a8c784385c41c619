"""The price book: what is charged now, what was, and what is planned."""

from __future__ import annotations

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
ROWS_PER_PAGE = 50


class PricesState(FilteredState, rx.State):
    """One page of the prices of the chosen model; without a choice of those of all models that hold now or are
    planned."""

    _filter_keys: ClassVar[tuple[str, ...]] = ("model", "state")

    rows: list[dict[str, Any]] = []
    models: list[dict[str, str]] = []
    next_cursor: str = ""
    is_first: bool = True
    open_dialog: bool = False

    @page_event(Capability.STAFF_PRICES_READ, reads=True)
    async def load(self) -> None:
        chosen = self._show_filters()
        cursor = self._query.get("after", "")
        async with self._staff_work() as uow:
            prices = await catalog.history(
                uow,
                model=chosen.get("model"),
                states=_states(chosen.get("state", "")),
                after=cursor or None,
                limit=ROWS_PER_PAGE + 1,
            )
            models = await gateway.staff_models(uow)
        self.models = [{"id": model.slug, "label": f"{model.name} ({model.slug})"} for model in models]
        shown = prices[:ROWS_PER_PAGE]
        self.rows = [_shown(price) for price in shown]
        self.next_cursor = shown[-1].id if len(prices) > ROWS_PER_PAGE else ""
        self.is_first = not cursor

    @page_event(Capability.STAFF_PRICES_READ)
    async def next_page(self) -> Any:
        return self._go(self._chosen_filters() | {"after": self.next_cursor})

    @page_event(Capability.STAFF_PRICES_READ)
    async def first_page(self) -> Any:
        return self._go(self._chosen_filters())

    @page_event(Capability.STAFF_PRICES_WRITE)
    async def ask(self, is_open: bool) -> None:
        self.open_dialog = is_open

    @page_event(Capability.STAFF_PRICES_READ)
    async def changed(self, answer: dict[str, Any]) -> Any:
        """A price was set through the API."""
        self.open_dialog = False
        return PricesState.load


def _states(chosen: str) -> tuple[PriceState, ...]:
    """The states of an address; without a choice what holds now or is planned."""
    if chosen == "all":
        return tuple(PriceState)
    return (PriceState(chosen),) if chosen in set(PriceState) else (PriceState.CURRENT, PriceState.PLANNED)


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
