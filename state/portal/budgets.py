"""The organisation's budgets, with what is used of each."""

from __future__ import annotations

from typing import Any, ClassVar

import reflex as rx

from services.budgets import queries
from services.core.listing import Listing
from services.core.permissions import Capability
from state import wallets_view
from state.base import page_event
from state.listed import ListedState


class BudgetsState(ListedState, rx.State):
    """One page of budgets."""

    _listing: ClassVar[Listing[Any]] = queries.BUDGETS
    _file_url: ClassVar[str] = "/api/v1/budgets"
    _filter_keys: ClassVar[tuple[str, ...]] = wallets_view.BUDGET_FILTERS

    @page_event(Capability.BUDGETS_READ, reads=True)
    async def load(self) -> None:
        async with self._unit_of_work() as uow:
            found = await self._read(uow, queries.BUDGETS)
        self.rows = [wallets_view.budget_shown(row) for row in found]
