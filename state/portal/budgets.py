"""The organisation's budgets, with what is used of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import reflex as rx

from services.budgets import budgets, queries
from services.core.errors import Conflict, Invalid, NotFound
from services.core.listing import Listing
from services.core.permissions import Capability
from services.gateway import queries as gateway
from services.identity import key_queries
from state import wallets_view
from state.base import page_event
from state.dialogs import DialogsState
from state.listed import ListedState
from state.portal import budget_forms
from state.portal.requests import KEYS_OFFERED_MAX

WRITE = Capability.BUDGETS_WRITE


class BudgetsState(DialogsState, ListedState, rx.State):
    """One page of budgets, and the form of a new one or of the one that was chosen."""

    _listing: ClassVar[Listing[Any]] = queries.BUDGETS
    _file_url: ClassVar[str] = "/api/v1/budgets"
    _filter_keys: ClassVar[tuple[str, ...]] = wallets_view.BUDGET_FILTERS
    _dialogs: ClassVar[Mapping[str, Capability]] = dict.fromkeys(("new", "edit", "archive"), WRITE)

    form: dict[str, str] = {}
    errors: dict[str, str] = {}
    error: str = ""
    currency: str = ""
    keys: list[dict[str, str]] = []
    models: list[dict[str, str]] = []

    @page_event(Capability.BUDGETS_READ, reads=True)
    async def load(self) -> None:
        async with self._unit_of_work() as uow:
            found = await self._read(uow, queries.BUDGETS)
            if self._actor.may(WRITE):
                models = await gateway.models(uow)
                keys = await key_queries.list_keys(uow, limit=KEYS_OFFERED_MAX)
                self.models = [{"id": one.slug, "label": one.name} for one in models]
                self.keys = [{"id": one.id, "label": f"{one.name} ({one.prefix}\u2026)"} for one in keys]
        self.currency = self._currency
        self.rows = [wallets_view.budget_shown(row) for row in found]

    @page_event(WRITE)
    async def choose_measure(self, measure: str) -> None:
        """A limit is in money or in tokens."""
        if measure in set(budget_forms.CHOICES["measure"]):
            self.form = self.form | {"measure": measure}

    @page_event(WRITE)
    async def save(self, values: dict[str, Any]) -> Any:
        """Make the budget. What is refused is told at its field."""
        typed = {name: str(values[name] or "") for name in budget_forms.FIELDS if name in values}
        self.form = budget_forms.BLANK | self.form | typed
        try:
            given = budget_forms.budget_of(self.form)
            async with self._unit_of_work() as uow:
                await budgets.create_budget(uow, given)
        except (Invalid, Conflict, NotFound) as refused:
            said = f"{refused.message} {refused.next_step}".strip()
            field = refused.field if isinstance(refused, Invalid) else ""
            self.errors, self.error = ({field: said}, "") if field in budget_forms.FIELDS else ({}, said)
            return None
        self._open("")
        return BudgetsState.load

    @page_event(WRITE)
    async def archive(self) -> Any:
        """Count and stop nothing by the chosen one any more."""
        async with self._unit_of_work() as uow:
            await budgets.archive_budget(uow, str(self.chosen.get("id", "")))
        self._open("")
        return BudgetsState.load

    def _open(self, name: str) -> None:
        super()._open(name)
        if name in ("", "new"):
            self.chosen = {}
        self.errors, self.error, self.form = {}, "", dict(budget_forms.BLANK)

    @page_event(WRITE)
    async def ask(self, row_id: str, name: str) -> None:
        """Open the dialog `name` for one of the rows, its form filled with what is there."""
        self._open(name)
        found = [row for row in self.rows if row["id"] == row_id]
        self.chosen = found[0] if found else {}
        if not self.chosen:
            self.open_dialog = ""
        self.form = self.form | {
            field: str(self.chosen[field]) for field in budget_forms.FIELDS if field in self.chosen
        }
