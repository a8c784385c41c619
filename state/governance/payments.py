"""Payments of all organisations, and recording a transfer."""

from __future__ import annotations

from typing import Any, ClassVar

import reflex as rx

from services.core.listing import Listing
from services.core.permissions import Capability
from services.payments import queries
from state import payments_view
from state.base import page_event
from state.listed import ListedState

INVOICES = "/governance/invoices"
HOME = "/governance/payments"


class StaffPaymentsState(ListedState, rx.State):
    """One page of all payments."""

    _listing: ClassVar[Listing[Any]] = queries.STAFF_PAYMENTS
    _file_url: ClassVar[str] = "/api/v1/staff/payments"
    _filter_keys: ClassVar[tuple[str, ...]] = ("organization_id", *payments_view.FILTERS)

    @page_event(Capability.STAFF_PAYMENTS_READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, queries.STAFF_PAYMENTS)
        self.rows = [payments_view.row_shown(row, HOME) for row in found]

    @page_event(Capability.STAFF_PAYMENTS_WRITE)
    async def changed(self) -> Any:
        """A transfer was recorded through the API: read the rows again."""
        return type(self).load
