"""Credit notes and credits of all customers."""

from __future__ import annotations

from typing import Any, ClassVar

import reflex as rx

from services.billing import credit_queries
from services.core.listing import Listing
from services.core.permissions import Capability
from state import credits_view
from state.base import page_event
from state.governance.invoices import HOME as INVOICES
from state.listed import ListedState

PAYMENTS = "/governance/payments"


class StaffCreditNotesState(ListedState, rx.State):
    """One page of credit notes."""

    _listing: ClassVar[Listing[Any]] = credit_queries.STAFF_NOTES
    _file_url: ClassVar[str] = "/api/v1/staff/credit-notes"
    _filter_keys: ClassVar[tuple[str, ...]] = (
        "organization_id",
        *credits_view.NOTE_FILTERS,
    )

    @page_event(Capability.STAFF_INVOICES_READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, credit_queries.STAFF_NOTES)
        self.rows = [credits_view.note_shown(row, INVOICES) for row in found]


class StaffCreditsState(ListedState, rx.State):
    """One page of credits."""

    _listing: ClassVar[Listing[Any]] = credit_queries.STAFF_CREDITS
    _file_url: ClassVar[str] = "/api/v1/staff/credits"
    _filter_keys: ClassVar[tuple[str, ...]] = (
        "organization_id",
        *credits_view.CREDIT_FILTERS,
    )

    @page_event(Capability.STAFF_INVOICES_READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, credit_queries.STAFF_CREDITS)
        self.rows = [credits_view.credit_shown(row, INVOICES, PAYMENTS) for row in found]
