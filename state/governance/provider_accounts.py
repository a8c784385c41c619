"""Accounts with payment providers. Their secrets are written through the API and never read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import reflex as rx

from services.core.listing import Listing
from services.core.permissions import Capability
from services.core.settings import settings
from services.payments import queries
from services.payments.providers import registry
from services.payments.queries import AccountRow
from state.base import page_event
from state.dialogs import DialogsState
from state.format import instant_text
from state.listed import ListedState

ADD = "add-"  # begins the names of dialogs that add an account, one for each provider
EDIT = "edit-"


class ProviderAccountsState(DialogsState, ListedState, rx.State):
    """One page of accounts, and which dialog is open for which. A change replaces all that is said of an account but
    its secrets: `kept` is what a dialog has to say besides its fields."""

    _listing: ClassVar[Listing[Any]] = queries.ACCOUNTS
    _file_url: ClassVar[str] = "/api/v1/staff/provider-accounts"
    _dialogs: ClassVar[Mapping[str, Capability]] = {
        "check": Capability.STAFF_PAYMENTS_WRITE,
        "address": Capability.STAFF_PAYMENTS_READ,
    }

    kept: dict[str, Any] = {}

    @page_event(Capability.STAFF_PAYMENTS_READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, queries.ACCOUNTS)
        self.rows = [_shown(row) for row in found]

    @page_event(Capability.STAFF_PAYMENTS_WRITE)
    async def add(self, provider: str) -> None:
        """Open the dialog that adds an account with this provider."""
        self.chosen, self.kept = {}, {}
        self.open_dialog = f"{ADD}{provider}"

    @page_event(Capability.STAFF_PAYMENTS_READ)
    async def choose(self, row_id: str, act: str) -> None:
        """Open a dialog for one account: edit, check or address."""
        found = [row for row in self.rows if row["id"] == row_id]
        self.chosen = found[0] if found else {}
        self.kept = {name: self.chosen.get(name) for name in ("provider", "is_test")}
        if act == "edit" and found:
            self._actor.require(Capability.STAFF_PAYMENTS_WRITE)
            self.open_dialog = f"{EDIT}{self.chosen['provider']}"
        else:
            self._open(act if found else "")

    @page_event(Capability.STAFF_PAYMENTS_WRITE)
    async def checked(self, answer: dict[str, Any]) -> Any:
        """The provider was asked through the API: say what it said."""
        self.open_dialog = ""
        tell = rx.toast.success if answer.get("is_well") is True else rx.toast.error
        said = str(answer.get("message") or "")[:500]
        return tell(said) if said else None


def _shown(row: AccountRow) -> dict[str, Any]:
    base = row.settings.get("base", "")
    return {
        "id": row.id,
        "provider": row.provider,
        "name": row.name,
        "is_test": row.is_test,
        "enabled": row.enabled,
        "money": "test" if row.is_test else "real",
        "status": "disabled"
        if not row.enabled
        else "read"
        if row.provider in registry.OUR_BANKS
        else "enabled",
        "settings": {name: str(value) for name, value in row.settings.items()},
        "address": f"{settings().public_url}/api/v1/provider-accounts/{row.id}/events",
        "control": f"{base}/_control" if row.is_test and base else "",
        "created_at": instant_text(row.created_at),
        "version": row.version,
    }
