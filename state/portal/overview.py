"""What the portal's overview shows first; from then on its figures come from the live hub."""

from __future__ import annotations

from typing import Any

import orjson
import reflex as rx

from models.money import Money
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.dunning import queries as dunning
from services.gateway import queries as gateway
from services.identity import key_queries
from services.metering import queries as metering
from state.base import PageState, page_event
from state.format import decimal_text, instant_text
from state.portal.keys import expiries
from state.portal.snippets import first_call


class OverviewState(PageState, rx.State):
    """First paint of the overview, by the very query the live hub sends, and what a first call needs.

    `step` is which step of the guide somebody is at who has made no call yet: key, call, or done.
    """

    figures: dict[str, Any] = {}
    latest: list[dict[str, Any]] = []
    read_at: str = ""
    step: str = "done"
    models: list[dict[str, str]] = []
    expiries: list[str] = ["", "", ""]
    example: str = ""
    overdue: dict[str, Any] = {}  # the invoice that is to be paid first, if one is overdue

    @page_event(Capability.USAGE_READ, reads=True)
    async def load(self) -> None:
        async with self._unit_of_work() as uow:
            found = await metering.overview(uow)
            self.read_at = instant_text(uow.wall_now)
            late = await dunning.overdue(uow) if self._actor.may(Capability.PAYMENTS_READ) else None
            self.overdue = {} if late is None else _overdue_shown(late)
            if found.latest or not self._actor.may(Capability.KEYS_READ):
                self.step = "done"
            else:
                await self._show_guide(uow)
        self.figures = orjson.loads(orjson.dumps(found))
        self.latest = self.figures.pop("latest")

    async def _show_guide(self, uow: UnitOfWork) -> None:
        keys = await key_queries.list_keys(uow, include_ended=False, limit=1)
        offered = await gateway.models(uow)
        self.step = "call" if keys else "key"
        self.models = [{"id": model.slug, "label": model.name} for model in offered]
        self.expiries = expiries()
        self.example = first_call(offered)

    @page_event(Capability.KEYS_READ)
    async def key_made(self, key_id: str) -> Any:
        """The first key was shown to its owner and put away."""
        return OverviewState.load


def _overdue_shown(late: dunning.Overdue) -> dict[str, Any]:
    return {
        "href": f"/portal/invoices/{late.invoice_id}",
        "number": late.number,
        "due": decimal_text(Money(late.due_minor, late.currency).amount),
        "currency": late.currency,
        "due_date": late.due_date.isoformat(),
        "days": late.days or 0,
        "restricts": late.restricts,
        "more": late.invoices - 1,
    }
