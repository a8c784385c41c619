"""Wallets of all organisations."""

from __future__ import annotations

from typing import Any, ClassVar

import reflex as rx

from services.core.listing import Listing
from services.core.permissions import Capability
from services.wallets import queries
from state import wallets_view
from state.base import page_event
from state.listed import ListedState


class StaffWalletsState(ListedState, rx.State):
    """One page of wallets."""

    _listing: ClassVar[Listing[Any]] = queries.STAFF_WALLETS
    _file_url: ClassVar[str] = "/api/v1/staff/wallets"
    _filter_keys: ClassVar[tuple[str, ...]] = ("organization_id", "currency")

    @page_event(Capability.STAFF_WALLETS_READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, queries.STAFF_WALLETS)
        self.rows = [wallets_view.wallet_shown(row) for row in found]
