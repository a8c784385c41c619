"""The organisation's wallets: what is left in each, and what came in."""

from __future__ import annotations

from typing import Any, ClassVar

import reflex as rx

from services.core import listing_sql
from services.core.listing import Listing
from services.core.permissions import Capability
from services.wallets import queries
from state import wallets_view
from state.base import page_event
from state.listed import ListedState

WALLETS_SHOWN_MAX = 20  # one for each currency that is used


class WalletState(ListedState, rx.State):
    """One page of lots, and the balance of each wallet."""

    _listing: ClassVar[Listing[Any]] = queries.LOTS
    _file_url: ClassVar[str] = "/api/v1/wallet-lots"
    _filter_keys: ClassVar[tuple[str, ...]] = wallets_view.LOT_FILTERS

    balances: list[dict[str, Any]] = []

    @page_event(Capability.WALLET_READ, reads=True)
    async def load(self) -> None:
        async with self._unit_of_work() as uow:
            found = await self._read(uow, queries.LOTS)
            balances = await listing_sql.select(uow, queries.WALLETS, limit=WALLETS_SHOWN_MAX)
        self.rows = [wallets_view.lot_shown(row) for row in found]
        self.balances = [wallets_view.wallet_shown(row) for row in balances]
