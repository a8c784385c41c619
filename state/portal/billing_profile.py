"""To whom the organisation's invoices are addressed."""

from __future__ import annotations

from typing import Any

import reflex as rx

from services.billing import queries
from services.core.errors import NotFound
from services.core.permissions import Capability
from state.base import PageState, page_event


class BillingProfileState(PageState, rx.State):
    """The profile as it is, at which version; version 0 while there is none."""

    profile: dict[str, Any] = {}
    version: int = 0

    @page_event(Capability.INVOICES_READ, reads=True)
    async def load(self) -> None:
        self.profile, self.version = (
            {"name": "", "address": "", "country": "", "language": "en", "tax": "", "tax_state": ""},
            0,
        )
        async with self._unit_of_work() as uow:
            try:
                found = await queries.profile(uow, needs=Capability.INVOICES_READ)
            except NotFound:
                return
        number = found.tax_number or {}
        self.profile = {
            "name": found.name,
            "address": found.address,
            "country": found.country,
            "language": found.language,
            "tax": number.get("number", ""),
            "tax_state": number.get("state", ""),
            "tax_checked_at": number.get("checked_at") or "",
            "tax_source": number.get("source", ""),
            "tax_reference": number.get("reference", ""),
        }
        self.version = found.version

    @page_event(Capability.INVOICES_READ)
    async def saved(self) -> Any:
        """It was saved through the API."""
        return BillingProfileState.load
