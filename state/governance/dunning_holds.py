"""Customers who are left alone, and whether the one on screen is."""

from __future__ import annotations

from typing import Any, ClassVar

import reflex as rx

from services.core.listing import Listing
from services.core.permissions import Capability
from services.dunning import hold_queries, holds
from services.dunning.hold_queries import HoldRow
from state.base import PageState, page_event
from state.format import instant_text
from state.listed import ListedState

READ, WRITE = Capability.STAFF_PAYMENTS_READ, Capability.STAFF_PAYMENTS_WRITE


class HoldsState(ListedState, rx.State):
    """One page of holds, those that are open unless the address says otherwise."""

    _listing: ClassVar[Listing[Any]] = hold_queries.HOLDS
    _file_url: ClassVar[str] = "/api/v1/staff/dunning-holds"
    _filter_keys: ClassVar[tuple[str, ...]] = ("organization_id", "state")

    @page_event(READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, hold_queries.HOLDS)
        self.rows = [_shown(row) for row in found]

    @page_event(WRITE)
    async def release(self, hold_id: str) -> Any:
        async with self._staff_work() as uow:
            found = await hold_queries.hold(uow, hold_id)
        async with self._staff_work(within=found.organization_id) as uow:
            await holds.release(uow, found.id)
        return HoldsState.load


class CustomerHoldState(PageState, rx.State):
    """The hold of the organisation whose page this is; empty where it is not held."""

    hold: dict[str, Any] = {}
    is_open: bool = False  # the dialog that places one

    @page_event(READ, reads=True)
    async def load(self) -> None:
        self.hold, self.is_open = {}, False
        async with self._staff_work(within=self._address_id) as uow:
            row = await hold_queries.in_force(uow)
        self.hold = _shown(row) if row is not None else {}

    @page_event(WRITE)
    async def turn(self, is_open: bool) -> None:
        self.is_open = is_open

    @page_event(READ)
    async def placed(self) -> Any:
        """It was held through the API."""
        return CustomerHoldState.load

    @page_event(WRITE)
    async def release(self) -> Any:
        async with self._staff_work(within=self._address_id) as uow:
            row = await hold_queries.in_force(uow)
            if row is not None:
                await holds.release(uow, row.id)
        return CustomerHoldState.load


def _shown(row: HoldRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "href": f"/governance/organizations/{row.organization_id}",
        "organization": row.organization_name,
        "state": row.state,
        "reason": row.reason,
        "lifts": "lifts" if row.lifts else "keeps",
        "until": instant_text(row.until),
        "placed_by": row.placed_by,
        "created_at": instant_text(row.created_at),
        "ended_at": instant_text(row.ended_at),
    }
