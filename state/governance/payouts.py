"""Payouts of providers, what they consist of, and what providers hold of ours."""

from __future__ import annotations

from typing import Any, ClassVar

import reflex as rx

from services.core.listing import Listing
from services.core.listing_grammar import Query, understood
from services.core.permissions import Capability
from services.reconciliation import payout_queries, pulling
from state import reconciliation_view
from state.base import page_event
from state.listed import ListedState

READ, WRITE = Capability.STAFF_PAYMENTS_READ, Capability.STAFF_PAYMENTS_WRITE


class PayoutsState(ListedState, rx.State):
    """One page of payouts, and what providers hold beside our books."""

    _listing: ClassVar[Listing[Any]] = payout_queries.PAYOUTS
    _file_url: ClassVar[str] = "/api/v1/staff/payouts"
    _filter_keys: ClassVar[tuple[str, ...]] = ("state", "happened_at[gte]", "happened_at[lt]")

    clearing: list[dict[str, Any]] = []

    @page_event(READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, payout_queries.PAYOUTS)
            balances = await payout_queries.clearing(uow)
        self.rows = [reconciliation_view.payout_shown(row) for row in found]
        self.clearing = [reconciliation_view.clearing_shown(row) for row in balances]

    @page_event(WRITE)
    async def read_now(self, provider_account_id: str) -> Any:
        """Have a worker read an account within a minute."""
        async with self._staff_work() as uow:
            await pulling.ask(uow, provider_account_id)
        return PayoutsState.load


class PayoutState(ListedState, rx.State):
    """One payout, and a page of the movements that it consists of."""

    _listing: ClassVar[Listing[Any]] = payout_queries.MOVEMENTS
    _file_url: ClassVar[str] = "/api/v1/staff/provider-movements"
    _filter_keys: ClassVar[tuple[str, ...]] = ("kind", "match")

    payout: dict[str, Any] = {}

    @page_event(READ, reads=True)
    async def load(self) -> None:
        self.payout = {}
        async with self._staff_work() as uow:
            payout = await payout_queries.payout(uow, self._address_id)
            found = await self._read(uow, payout_queries.MOVEMENTS)
        self.payout = reconciliation_view.payout_shown(payout)
        self.rows = [reconciliation_view.movement_shown(row) for row in found]

    def _asked(self) -> Query[Any]:
        """Of the payout of the page, whatever the address says."""
        asked = super()._asked()
        said = [(name, value) for name, value in asked.parameters if not name.startswith("payout_id")]
        return understood(self._listing, [*said, ("payout_id", self._address_id)])
