"""Service accounts of the organisation."""

from __future__ import annotations

from typing import Any

import reflex as rx

from services.core.permissions import Capability
from services.identity import service_accounts
from services.identity.service_accounts import ServiceAccountRow
from state.base import PageState, page_event
from state.format import instant_text


class ServiceAccountsState(PageState, rx.State):
    """All service accounts there can be, and which dialog is open for which."""

    rows: list[dict[str, Any]] = []
    chosen: dict[str, Any] = {}
    open_dialog: str = ""

    @page_event(Capability.SERVICE_ACCOUNTS_READ, reads=True)
    async def load(self) -> None:
        async with self._unit_of_work() as uow:
            found = await service_accounts.service_accounts(uow)
        self.rows = [_shown(row) for row in found]

    @page_event(Capability.SERVICE_ACCOUNTS_WRITE)
    async def ask(self, service_account_id: str, act: str) -> None:
        """Open the dialog for one act on one account."""
        found = [row for row in self.rows if row["id"] == service_account_id]
        self.chosen = found[0] if found else {}
        self.open_dialog = act if found and act in {"edit", "disable", "enable"} else ""

    @page_event(Capability.SERVICE_ACCOUNTS_WRITE)
    async def ask_new(self, is_open: bool) -> None:
        self.open_dialog = "new" if is_open else ""

    @page_event(Capability.SERVICE_ACCOUNTS_READ)
    async def dismiss(self, is_open: bool) -> None:
        if not is_open:
            self.open_dialog = ""

    @page_event(Capability.SERVICE_ACCOUNTS_READ)
    async def changed(self) -> Any:
        """An account was made or changed through the API."""
        self.open_dialog = ""
        return ServiceAccountsState.load


def _shown(row: ServiceAccountRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "role": row.role,
        "active_keys": row.active_keys,
        "status": row.status,
        "last_used_at": instant_text(row.last_used_at),
        "created_at": instant_text(row.created_at),
        "created_by": row.created_by_name,
        "version": row.version,
    }
