"""Choosing a plan for one's own organisation."""

from __future__ import annotations

from typing import ClassVar

import reflex as rx

from services.core.permissions import Capability
from services.terms import queries as terms
from state.base import page_event
from state.choosing import Choosing

HOME = "/portal/subscriptions"
START = "/portal/subscribe"


class ChoiceState(Choosing, rx.State):
    """A new subscription of the organisation, or one that is to change."""

    _needs: ClassVar[Capability] = Capability.SUBSCRIPTIONS_WRITE
    _home: ClassVar[str] = HOME

    accepts: int = 0  # the version of the terms that subscribing accepts

    @page_event(Capability.SUBSCRIPTIONS_WRITE, reads=True)
    async def load(self) -> None:
        path = self.router.url.path.rstrip("/")
        standing = "" if path == START else path.removesuffix("/change").rsplit("/", 1)[-1]
        async with self._unit_of_work() as uow:
            await self._open(uow, self._currency, subscription_id=standing)
            self.accepts = 0 if standing else await terms.current_number(uow)
        await self._look()
