"""The organisation's subscriptions: the list, and one with what can be done to it."""

from __future__ import annotations

from typing import Any, ClassVar

import reflex as rx

from services.core.listing import Listing
from services.core.permissions import Capability
from services.subscriptions import queries as subscription_queries
from services.subscriptions import retention
from state import subscriptions_view
from state.base import page_event
from state.format import instant_text
from state.listed import ListedState
from state.portal.choosing import HOME
from state.subscription_on_screen import SubscriptionOnScreen


class SubscriptionsState(ListedState, rx.State):
    """One page of the organisation's subscriptions."""

    _listing: ClassVar[Listing[Any]] = subscription_queries.SUBSCRIPTIONS
    _file_url: ClassVar[str] = "/api/v1/subscriptions"
    _filter_keys: ClassVar[tuple[str, ...]] = subscriptions_view.FILTERS

    read_at: str = ""

    @page_event(Capability.SUBSCRIPTIONS_READ, reads=True)
    async def load(self) -> None:
        async with self._unit_of_work() as uow:
            found = await self._read(uow, subscription_queries.SUBSCRIPTIONS)
        self.read_at = instant_text(uow.wall_now)
        self.rows = [subscriptions_view.row_shown(row, HOME) for row in found]


class SubscriptionState(SubscriptionOnScreen, rx.State):
    """One subscription of the organisation. `offer` is what whoever cancels is offered."""

    _acts_need: ClassVar[Capability] = Capability.SUBSCRIPTIONS_WRITE
    _invoices: ClassVar[str] = "/portal/invoices"

    offer: dict[str, Any] = {}

    @page_event(Capability.SUBSCRIPTIONS_READ, reads=True)
    async def load(self) -> None:
        await self._read_anew()

    @page_event(Capability.SUBSCRIPTIONS_READ)
    async def follow(self) -> None:
        await self._read_on()

    @page_event(Capability.SUBSCRIPTIONS_READ)
    async def changed(self) -> Any:
        """Something was done through the API."""
        self._forget()
        return SubscriptionState.load

    @page_event(Capability.SUBSCRIPTIONS_WRITE)
    async def stay(self) -> Any:
        """Take the offer that is on screen, and keep the subscription."""
        coupon = str(self.offer.get("coupon", ""))
        async with self._unit_of_work() as uow:
            await retention.accept(uow, self._address_id, coupon)
        self._forget()
        return SubscriptionState.load

    async def _ask_about(self, act: str) -> None:
        if act == "cancel":
            async with self._unit_of_work() as uow:
                offered = await retention.offer(uow, self._address_id)
            self.offer = subscriptions_view.offer_shown(offered) if offered is not None else {}
        await super()._ask_about(act)

    def _forget(self) -> None:
        super()._forget()
        self.offer = {}
