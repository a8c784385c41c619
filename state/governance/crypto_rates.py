"""What coins cost, as staff says, and saying it anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import reflex as rx

from services.core import listing_sql
from services.core.listing import Listing
from services.core.permissions import Capability
from services.crypto import rates
from services.crypto.rates import RateRow
from services.payments import queries
from services.payments.providers import crypto
from services.payments.queries import AccountRow
from state.base import page_event
from state.dialogs import DialogsState
from state.format import decimal_text, instant_text
from state.listed import ListedState

READ, WRITE = Capability.STAFF_PAYMENTS_READ, Capability.STAFF_PAYMENTS_WRITE
ACCOUNTS_OFFERED_MAX = 50


class CryptoRatesState(DialogsState, ListedState, rx.State):
    """One page of rates, the newest first, and what a new one can be for."""

    _listing: ClassVar[Listing[Any]] = rates.STAFF_RATES
    _file_url: ClassVar[str] = "/api/v1/staff/crypto-rates"
    _filter_keys: ClassVar[tuple[str, ...]] = ("state", "asset", "currency")
    _dialogs: ClassVar[Mapping[str, Capability]] = {"say": WRITE}

    accounts: list[dict[str, str]] = []
    assets: list[dict[str, str]] = []
    begun: dict[str, str] = {}  # what the dialog begins with

    @page_event(READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, rates.STAFF_RATES)
            there = await listing_sql.select(
                uow, queries.ACCOUNTS, ("provider", "crypto"), limit=ACCOUNTS_OFFERED_MAX
            )
        self.rows = [_shown(row) for row in found]
        self.accounts = [{"id": row.id, "label": row.name} for row in there]
        self.assets = [{"id": one, "label": one} for one in sorted(_assets_of(there))]

    @page_event(WRITE)
    async def begin(self, row_id: str) -> None:
        """Open the dialog for what a row is for, with its price; empty with no row."""
        found = [row for row in self.rows if row["id"] == row_id]
        told = ("provider_account_id", "asset", "currency", "price", "source")
        self.begun = {name: str(found[0][name]) for name in told} if found else {}
        self._open("say")


def _assets_of(there: list[AccountRow]) -> set[str]:
    return {one.symbol for row in there for one in crypto.terms(row.settings).assets}


def _shown(row: RateRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "provider_account_id": row.provider_account_id,
        "account": row.account,
        "asset": row.asset,
        "currency": row.currency,
        "name": f"{row.asset}/{row.currency}",
        "price": decimal_text(row.price),
        "state": row.state,
        "source": row.source,
        "valid_from": instant_text(row.valid_from),
        "valid_until": instant_text(row.valid_until),
        "author": row.author,
        "created_at": instant_text(row.created_at),
    }
