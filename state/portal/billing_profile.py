"""To whom the organisation's invoices are addressed."""

from __future__ import annotations

from typing import Any

import reflex as rx

from services.billing import queries
from services.core.errors import NotFound
from services.core.permissions import Capability
from state.base import PageState, page_event
from state.format import instant_text

NOTHING = {"name": "", "address": "", "country": "", "language": "en", "tax": ""}


class BillingProfileState(PageState, rx.State):
    """The profile as it is, at which version; version 0 while there is none. `tax` is what is known of its number."""

    profile: dict[str, str] = {}
    tax: dict[str, str] = {}
    version: int = 0
    filled: int = 0  # how often the form was filled in
    read_at: str = ""

    @page_event(Capability.INVOICES_READ, reads=True)
    async def load(self) -> None:
        self.profile, self.tax, self.version = await self._read()
        self.filled += 1

    @page_event(Capability.INVOICES_READ, reads=True)
    async def follow(self) -> None:
        """The register answered, or somebody saved the profile. What is typed meanwhile stays: what somebody else
        changed of it is met when it is saved."""
        profile, self.tax, version = await self._read()
        if profile == self.profile:
            self.version = version

    async def _read(self) -> tuple[dict[str, str], dict[str, str], int]:
        async with self._unit_of_work() as uow:
            self.read_at = instant_text(uow.wall_now)
            try:
                found = await queries.profile(uow, needs=Capability.INVOICES_READ)
            except NotFound:
                return NOTHING, {}, 0
        number = found.tax_number or {}
        profile = {name: getattr(found, name) for name in ("name", "address", "country", "language")}
        known = ("number", "state", "checked_at", "source", "reference")
        said = {name: number.get(name) or "" for name in known} if number else {}
        return profile | {"tax": number.get("number", "")}, said, found.version

    @page_event(Capability.INVOICES_READ)
    async def saved(self) -> Any:
        """It was saved through the API."""
        return BillingProfileState.load
