"""What the organisation pays with, and what waits to be kept."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, ClassVar

import reflex as rx

from models.method_setups import MethodSetup
from services.core.errors import Unavailable
from services.core.listing import Listing
from services.core.permissions import Capability
from services.payments import policies, queries, setups
from services.payments.cashier import cashier
from services.payments.providers.base import RefusedByProvider
from services.payments.queries import MethodRow
from state import payments_view
from state.base import page_event
from state.dialogs import DialogsState
from state.format import instant_text
from state.listed import ListedState

HOME = setups.PAGE
EXPIRES_SOON = timedelta(days=45)  # before the end of its last month


class PaymentMethodsState(DialogsState, ListedState, rx.State):
    """One page of kept methods. Who comes back from the provider's page sees what was kept there."""

    _listing: ClassVar[Listing[Any]] = queries.METHODS
    _file_url: ClassVar[str] = "/api/v1/payment-methods"
    _dialogs: ClassVar[Mapping[str, Capability]] = dict.fromkeys(
        ("add", "name", "default", "remove"), Capability.PAYMENTS_WRITE
    )

    ways: list[dict[str, Any]] = []
    takes_play_money: bool = False
    waiting: list[dict[str, Any]] = []

    @page_event(Capability.PAYMENTS_READ, reads=True)
    async def load(self) -> None:
        async with self._unit_of_work() as uow:
            begun = await setups.open_ones(uow)
        for one in begun:
            await self._looked_up(one)
        async with self._unit_of_work() as uow:
            found = await self._read(uow, queries.METHODS)
            waiting = await setups.open_ones(uow) if begun else []
            ways = [way for way in await queries.ways(uow) if way.keeps_methods]
            today = uow.wall_now.astimezone(self._zone).date()
        self.rows = [_shown(row, today) for row in found]
        names = {way.id: way.name for way in ways}
        self.waiting = [_waiting(one, names.get(one.provider_account_id, "")) for one in waiting]
        self.ways = [payments_view.way_shown(way) for way in ways]
        self.takes_play_money = any(way.is_test for way in ways)

    @page_event(Capability.PAYMENTS_WRITE)
    async def go_on(self, answer: dict[str, Any]) -> Any:
        """Keeping one was begun through the API: go on at the provider, or see what is the matter."""
        self.open_dialog = ""
        async with self._unit_of_work() as uow:
            row = await policies.setup_for(uow, str(answer.get("id", "")), Capability.PAYMENTS_READ)
        if row.action is not None:
            return rx.redirect(row.action["url"], is_external=False)
        told = [rx.toast.error(row.message)] if row.message else []
        return [*told, type(self).load]

    async def _looked_up(self, row: MethodSetup) -> None:
        """As the provider has it now; as it was, where it cannot be reached."""
        try:
            await setups.look(cashier(), row.id, row.organization_id)
        except (Unavailable, RefusedByProvider):
            return


def _waiting(row: MethodSetup, account: str) -> dict[str, Any]:
    return {
        "id": row.id,
        "account": account,
        "message": row.message,
        "action_url": (row.action or {}).get("url") or "",
        "created_at": instant_text(row.created_at),
    }


def _shown(row: MethodRow, today: date) -> dict[str, Any]:
    ends = _ends(row)
    return {
        "id": row.id,
        "label": payments_view.method_label(row),
        "method": payments_view.method_told(row),
        "name": row.name,
        "account": row.account,
        "expires": ends.isoformat()[:7] if ends else "",
        "expiry": _expiry(ends, today),
        "is_default": row.is_default,
        "use": "default" if row.is_default else "",
        "created_at": instant_text(row.created_at),
        "version": row.version,
    }


def _ends(row: MethodRow) -> date | None:
    if row.expires_year is None or row.expires_month is None or not 1 <= row.expires_year <= date.max.year:
        return None
    return date(row.expires_year, row.expires_month, monthrange(row.expires_year, row.expires_month)[1])


def _expiry(ends: date | None, today: date) -> str:
    """never, good, soon or over."""
    if ends is None:
        return "never"
    return "over" if ends < today else "soon" if ends - today < EXPIRES_SOON else "good"
