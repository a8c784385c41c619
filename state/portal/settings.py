"""The organisation's settings."""

from __future__ import annotations

from typing import Any

import reflex as rx

from services.core import listing_sql
from services.core.permissions import Capability
from services.identity import policies
from services.identity.user_agents import device_words
from services.terms import queries
from services.terms.queries import AcceptanceRow
from state.base import PageState, page_event
from state.format import instant_text
from state.session import SessionState

ACCEPTANCES_SHOWN_MAX = 50  # the API has all of them


class SettingsState(PageState, rx.State):
    """What is set, at which version: saving over a newer one shows both."""

    name: str = ""
    timezone: str = ""
    currency: str = ""
    billing_mode: str = ""
    organization_id: str = ""
    version: int = 0
    accepted: list[
        dict[str, Any]
    ] = []  # who has accepted which terms, for whoever looks after the organisation

    @page_event(Capability.ORGANIZATION_READ, reads=True)
    async def load(self) -> None:
        async with self._unit_of_work() as uow:
            found = await policies.own_organization(uow, Capability.ORGANIZATION_READ)
            rows: list[AcceptanceRow] = []
            if self._actor.may(Capability.ORGANIZATION_WRITE):
                rows = await listing_sql.select(uow, queries.ACCEPTANCES, limit=ACCEPTANCES_SHOWN_MAX)
        self.accepted = [_shown(row) for row in rows]
        self.name, self.timezone, self.currency = found.name, found.timezone, found.currency
        self.billing_mode, self.organization_id, self.version = found.billing_mode, found.id, found.version

    @page_event(Capability.ORGANIZATION_READ)
    async def saved(self) -> Any:
        """It was saved through the API; the shell shows the name and goes by the timezone, too."""
        return [SettingsState.load, SessionState.load]


def _shown(row: AcceptanceRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "number": row.number,
        "who": row.name or row.email or row.account_id,
        "occasion": row.occasion,
        "address": row.address,
        "device": device_words(row.user_agent),
        "accepted_at": instant_text(row.accepted_at),
    }
