"""Wallets of all organisations: balances, what came in and went out, and the top-ups that are due."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import reflex as rx

from services.core.listing import Listing
from services.core.permissions import Capability
from services.wallets import queries
from state import addresses, wallets_view
from state.base import page_event
from state.dialogs import DialogsState
from state.format import instant_text
from state.listed import ListedState

READ, WRITE = Capability.STAFF_WALLETS_READ, Capability.STAFF_WALLETS_WRITE
HOME = "/governance/wallets"
USES = f"{HOME}/uses"
PLACES = wallets_view.Places("/governance/invoices")
WHOSE = "organization_id"


class StaffWalletsState(DialogsState, ListedState, rx.State):
    """One page of wallets."""

    _listing: ClassVar[Listing[Any]] = queries.STAFF_WALLETS
    _file_url: ClassVar[str] = "/api/v1/staff/wallets"
    _filter_keys: ClassVar[tuple[str, ...]] = (WHOSE, "currency")
    _dialogs: ClassVar[Mapping[str, Capability]] = {"grant": WRITE}

    read_at: str = ""

    @page_event(READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, queries.STAFF_WALLETS)
        self.read_at = instant_text(uow.wall_now)
        self.rows = [
            wallets_view.wallet_shown(row)
            | {
                "href": addresses.with_query(
                    f"{HOME}/lots", {WHOSE: row.organization_id, "currency": row.currency}
                )
            }
            for row in found
        ]


class StaffLotsState(ListedState, rx.State):
    """One page of what came in."""

    _listing: ClassVar[Listing[Any]] = queries.STAFF_LOTS
    _file_url: ClassVar[str] = "/api/v1/staff/wallet-lots"
    _filter_keys: ClassVar[tuple[str, ...]] = (WHOSE, *wallets_view.LOT_FILTERS)

    read_at: str = ""

    @page_event(READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, queries.STAFF_LOTS)
        self.read_at = instant_text(uow.wall_now)
        self.rows = [wallets_view.lot_shown(row, USES) for row in found]


class StaffWalletDebitsState(ListedState, rx.State):
    """One page of what was taken."""

    _listing: ClassVar[Listing[Any]] = queries.STAFF_DEBITS
    _file_url: ClassVar[str] = "/api/v1/staff/wallet-debits"
    _filter_keys: ClassVar[tuple[str, ...]] = (WHOSE, *wallets_view.DEBIT_FILTERS)

    read_at: str = ""

    @page_event(READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, queries.STAFF_DEBITS)
        self.read_at = instant_text(uow.wall_now)
        self.rows = [wallets_view.debit_shown(row, USES, PLACES) for row in found]


class StaffWalletUsesState(ListedState, rx.State):
    """One page of what was taken of which lot."""

    _listing: ClassVar[Listing[Any]] = queries.STAFF_USES
    _file_url: ClassVar[str] = "/api/v1/staff/wallet-uses"
    _filter_keys: ClassVar[tuple[str, ...]] = (WHOSE, *wallets_view.USE_FILTERS)

    read_at: str = ""

    @page_event(READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, queries.STAFF_USES)
        self.read_at = instant_text(uow.wall_now)
        self.rows = [wallets_view.use_shown(row, PLACES) for row in found]


class StaffTopUpsState(DialogsState, ListedState, rx.State):
    """One page of the top-ups that rules asked for, and recording that one was paid."""

    _listing: ClassVar[Listing[Any]] = queries.STAFF_TOP_UPS
    _file_url: ClassVar[str] = "/api/v1/staff/wallet-top-ups"
    _filter_keys: ClassVar[tuple[str, ...]] = (WHOSE, *wallets_view.TOP_UP_FILTERS)
    _dialogs: ClassVar[Mapping[str, Capability]] = {"record": WRITE}

    read_at: str = ""

    @page_event(READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, queries.STAFF_TOP_UPS)
        self.read_at = instant_text(uow.wall_now)
        self.rows = [wallets_view.top_up_shown(row) for row in found]
