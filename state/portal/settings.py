"""The organisation's settings."""

from __future__ import annotations

from typing import Any

import reflex as rx

from services.core.permissions import Capability
from services.identity import policies
from state.base import PageState, page_event
from state.session import SessionState


class SettingsState(PageState, rx.State):
    """What is set, at which version: saving over a newer one shows both."""

    name: str = ""
    timezone: str = ""
    currency: str = ""
    billing_mode: str = ""
    organization_id: str = ""
    version: int = 0

    @page_event(Capability.ORGANIZATION_READ, reads=True)
    async def load(self) -> None:
        async with self._unit_of_work() as uow:
            found = await policies.own_organization(uow, Capability.ORGANIZATION_READ)
        self.name, self.timezone, self.currency = found.name, found.timezone, found.currency
        self.billing_mode, self.organization_id, self.version = found.billing_mode, found.id, found.version

    @page_event(Capability.ORGANIZATION_READ)
    async def saved(self) -> Any:
        """It was saved through the API; the shell shows the name and goes by the timezone, too."""
        return [SettingsState.load, SessionState.load]
