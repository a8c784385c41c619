"""The organisation's wallets: what is left in each, what came in, and when more is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import reflex as rx

from models.money import Money, figure_text
from models.wallets import TopUpState
from services.core import listing_sql
from services.core.listing import Listing
from services.core.permissions import Capability
from services.payments import transfer_details
from services.wallets import queries
from state import wallets_view
from state.base import page_event
from state.dialogs import DialogsState
from state.format import instant_text
from state.listed import ListedState
from state.paying import Paying

WALLETS_SHOWN_MAX = 20  # one for each currency that is used
WRITE = Capability.WALLET_WRITE
HOME = "/portal/wallet"
USES = f"{HOME}/uses"
PLACES = wallets_view.Places("/portal/invoices", "/portal/requests")


class WalletState(DialogsState, ListedState, rx.State):
    """One page of lots, and each wallet with its balance and its rule for top-ups."""

    _listing: ClassVar[Listing[Any]] = queries.LOTS
    _file_url: ClassVar[str] = "/api/v1/wallet-lots"
    _filter_keys: ClassVar[tuple[str, ...]] = wallets_view.LOT_FILTERS
    _dialogs: ClassVar[Mapping[str, Capability]] = dict.fromkeys(("rule", "remove"), WRITE)

    balances: list[dict[str, Any]] = []
    read_at: str = ""
    due: str = ""  # a top-up that waits to be paid
    may_begin: bool = False  # there is no wallet in the organisation's own currency that has a rule

    @page_event(Capability.WALLET_READ, reads=True)
    async def load(self) -> None:
        async with self._unit_of_work() as uow:
            found = await self._read(uow, queries.LOTS)
            balances = await listing_sql.select(uow, queries.WALLETS, limit=WALLETS_SHOWN_MAX)
            due = await listing_sql.select(uow, queries.TOP_UPS, ("state", TopUpState.DUE.value), limit=1)
        self.read_at = instant_text(uow.wall_now)
        self.rows = [wallets_view.lot_shown(row, USES) for row in found]
        self.balances = [wallets_view.wallet_shown(row) for row in balances]
        self.due = "".join(Money(row.minor, row.currency).said() for row in due)
        self.may_begin = not any(
            row.currency == self._currency and row.threshold_minor is not None for row in balances
        )

    @page_event(WRITE)
    async def ask_rule(self, currency: str, name: str) -> None:
        """Open a dialog about the rule of the wallet in `currency`, or of one that is made with it: in the
        organisation's own currency if none is named."""
        self._open(name)
        wanted = currency or self._currency
        there = next((row for row in self.balances if row["currency"] == wanted), None)
        self.chosen = there if there is not None else wallets_view.no_wallet(self._currency)


class WalletDebitsState(ListedState, rx.State):
    """One page of what was taken."""

    _listing: ClassVar[Listing[Any]] = queries.DEBITS
    _file_url: ClassVar[str] = "/api/v1/wallet-debits"
    _filter_keys: ClassVar[tuple[str, ...]] = wallets_view.DEBIT_FILTERS

    read_at: str = ""

    @page_event(Capability.WALLET_READ, reads=True)
    async def load(self) -> None:
        async with self._unit_of_work() as uow:
            found = await self._read(uow, queries.DEBITS)
        self.read_at = instant_text(uow.wall_now)
        self.rows = [wallets_view.debit_shown(row, USES, PLACES) for row in found]


class WalletUsesState(ListedState, rx.State):
    """One page of what was taken of which lot."""

    _listing: ClassVar[Listing[Any]] = queries.USES
    _file_url: ClassVar[str] = "/api/v1/wallet-uses"
    _filter_keys: ClassVar[tuple[str, ...]] = wallets_view.USE_FILTERS

    read_at: str = ""

    @page_event(Capability.WALLET_READ, reads=True)
    async def load(self) -> None:
        async with self._unit_of_work() as uow:
            found = await self._read(uow, queries.USES)
        self.read_at = instant_text(uow.wall_now)
        self.rows = [wallets_view.use_shown(row, PLACES) for row in found]


class WalletTopUpsState(Paying, DialogsState, ListedState, rx.State):
    """One page of the top-ups that the rule asked for, and how to pay one that is due."""

    _listing: ClassVar[Listing[Any]] = queries.TOP_UPS
    _file_url: ClassVar[str] = "/api/v1/wallet-top-ups"
    _filter_keys: ClassVar[tuple[str, ...]] = wallets_view.TOP_UP_FILTERS
    _dialogs: ClassVar[Mapping[str, Capability]] = dict.fromkeys(
        ("pay", "link", "revoke"), Capability.PAYMENTS_WRITE
    )

    read_at: str = ""
    asked: str = ""  # how much the one is that the dialog is about

    @page_event(Capability.WALLET_READ, reads=True)
    async def load(self) -> None:
        async with self._unit_of_work() as uow:
            found = await self._read(uow, queries.TOP_UPS)
        self.read_at = instant_text(uow.wall_now)
        self.rows = [wallets_view.top_up_shown(row) for row in found]

    @page_event(Capability.PAYMENTS_WRITE)
    async def pay_now(self, top_up_id: str) -> None:
        """Open the dialog that says how a top-up is paid."""
        self.open_dialog = ""
        async with self._unit_of_work() as uow:
            asked = await transfer_details.of_top_up(uow, top_up_id)
        await self._look_at_ways(asked)
        self.asked = figure_text(asked.money.amount, asked.money.currency)
        self.chosen = {"id": top_up_id}
        self._open("pay")
