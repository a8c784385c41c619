"""Credit notes and credits of the organisation."""

from __future__ import annotations

from typing import Any, ClassVar

import reflex as rx

from services.billing import credit_queries
from services.core.listing import Listing
from services.core.permissions import Capability
from state import credits_view
from state.base import page_event
from state.listed import ListedState
from state.portal.invoices import HOME as INVOICES

PAYMENTS = "/portal/payments"


class CreditNotesState(ListedState, rx.State):
    """One page of credit notes."""

    _listing: ClassVar[Listing[Any]] = credit_queries.NOTES
    _file_url: ClassVar[str] = "/api/v1/credit-notes"
    _filter_keys: ClassVar[tuple[str, ...]] = (*credits_view.NOTE_FILTERS,)

    @page_event(Capability.INVOICES_READ, reads=True)
    async def load(self) -> None:
        async with self._unit_of_work() as uow:
            found = await self._read(uow, credit_queries.NOTES)
        self.rows = [credits_view.note_shown(row, INVOICES) for row in found]


class CreditsState(ListedState, rx.State):
    """One page of credits."""

    _listing: ClassVar[Listing[Any]] = credit_queries.CREDITS
    _file_url: ClassVar[str] = "/api/v1/credits"
    _filter_keys: ClassVar[tuple[str, ...]] = (*credits_view.CREDIT_FILTERS,)

    @page_event(Capability.INVOICES_READ, reads=True)
    async def load(self) -> None:
        async with self._unit_of_work() as uow:
            found = await self._read(uow, credit_queries.CREDITS)
        self.rows = [credits_view.credit_shown(row, INVOICES, PAYMENTS) for row in found]
