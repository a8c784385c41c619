"""Filters that live in the page's address, so that Back, reload and a sent link all show the same rows."""

from __future__ import annotations

from typing import Any, ClassVar

import reflex as rx

from state import addresses
from state.base import SIGNED_IN, PageState, page_event

FILTER_CHARACTERS_MAX = 200


class FilteredState(PageState, mixin=True):
    """A page whose rows are chosen by `_filter_keys` in its address; any other key there is ignored.

    Changing a filter only changes the address; the page then reads its rows as after any navigation.
    """

    _filter_keys: ClassVar[tuple[str, ...]] = ()

    filters: dict[str, str] = {}
    filtered: bool = False

    @page_event(SIGNED_IN)
    async def narrow(self, key: str, value: str) -> Any:
        """Set one filter, or take it away by an empty value. Typing on makes no second entry in the history."""
        if key not in self._filter_keys:
            return None
        chosen = self._chosen_filters()
        goes_on = key in chosen and bool(value)
        return self._go(chosen | {key: str(value)[:FILTER_CHARACTERS_MAX]}, replace=goes_on)

    @page_event(SIGNED_IN)
    async def widen(self) -> Any:
        """Take all filters away."""
        return self._go({})

    def _chosen_filters(self) -> dict[str, str]:
        """What the address says, typed by anyone: parse before use."""
        query = self._query
        return {key: query[key][:FILTER_CHARACTERS_MAX] for key in self._filter_keys if query.get(key)}

    def _show_filters(self) -> dict[str, str]:
        """Put the address's filters on screen; call it first when reading rows."""
        chosen = self._chosen_filters()
        self.filters = {key: chosen.get(key, "") for key in self._filter_keys}
        self.filtered = bool(chosen)
        return chosen

    def _go(self, parameters: dict[str, str], *, replace: bool = False) -> Any:
        return rx.redirect(addresses.with_query(self.router.url.path, parameters), replace=replace)
