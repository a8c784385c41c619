"""How something that is due can be paid from its page: with what is kept, at a provider, or by transfer."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import reflex as rx

from services.core import listing_sql
from services.core.permissions import Capability
from services.payments import queries, transfer_details
from services.payments.transfer_details import Asked
from services.terms import queries as terms
from state import payments_view
from state.base import PageState, page_event
from state.portal.payments import HOME as PAYMENTS

METHODS_SHOWN_MAX = 50


class Paying(PageState, mixin=True):
    """The page class calls `_look_at_ways` with what is due, and draws its dialog by matrix_app/pages/paying.py."""

    ways: list[dict[str, Any]] = []
    kept: list[dict[str, str]] = []  # methods that it can be paid with at once, the usual one first
    bank: dict[str, str] = {}  # where a transfer goes to; empty where the seller has said nothing
    takes_play_money: bool = False  # one of the ways is a test provider's
    terms: int = 0  # the version that paying accepts

    async def _look_at_ways(self, asked: Asked) -> None:
        async with self._unit_of_work() as uow:
            ways = [way for way in await queries.ways(uow) if way.takes(asked.money)]
            kept = await listing_sql.select(uow, queries.METHODS, limit=METHODS_SHOWN_MAX)
            self.terms = await terms.current_number(uow)
        there = {way.id for way in ways}
        usual_first = sorted(kept, key=lambda one: not one.is_default)
        self.kept = [
            {"id": one.id, "label": payments_view.method_label(one)}
            for one in usual_first
            if one.provider_account_id in there
        ]
        self.ways = [payments_view.way_shown(way) for way in ways]
        self.takes_play_money = any(way.is_test for way in ways)
        bank = await transfer_details.bank_of(asked.brand_id)
        self.bank = asdict(bank) if bank else {}

    @page_event(Capability.PAYMENTS_WRITE)
    async def go_on(self, answer: dict[str, Any]) -> Any:
        """A payment was begun through the API: go on at the provider, or see what became of it."""
        async with self._unit_of_work() as uow:
            found = await queries.payment(uow, str(answer.get("id", "")))
        if found.action_url is not None:
            return rx.redirect(found.action_url, is_external=False)
        return rx.redirect(f"{PAYMENTS}/{found.payment.id}")
