"""What banks take back and what customers contest: the lists, and one dispute with what speaks for us."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import reflex as rx

from services.core.listing import Listing
from services.core.permissions import Capability
from services.disputes import evidence
from services.disputes import queries as dispute_queries
from services.payments.providers import registry
from services.payments.providers.values import Evidence
from state import disputes_view
from state.base import PageState, page_event
from state.dialogs import DialogsState
from state.governance.payments import INVOICES
from state.listed import ListedState

READ, WRITE = Capability.STAFF_PAYMENTS_READ, Capability.STAFF_PAYMENTS_WRITE
HOME, CONTESTS = "/governance/disputes", "/governance/contests"


class StaffDisputesState(ListedState, rx.State):
    """One page of what banks take back."""

    _listing: ClassVar[Listing[Any]] = dispute_queries.DISPUTES
    _file_url: ClassVar[str] = "/api/v1/staff/disputes"
    _filter_keys: ClassVar[tuple[str, ...]] = ("organization_id", *disputes_view.FILTERS)

    @page_event(READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, dispute_queries.DISPUTES)
        self.rows = [disputes_view.dispute_shown(row, HOME) for row in found]


class StaffContestsState(DialogsState, ListedState, rx.State):
    """One page of what customers contest, and the answer that is given."""

    _listing: ClassVar[Listing[Any]] = dispute_queries.STAFF_CONTESTS
    _file_url: ClassVar[str] = "/api/v1/staff/contests"
    _filter_keys: ClassVar[tuple[str, ...]] = ("organization_id", *disputes_view.FILTERS)
    _dialogs: ClassVar[Mapping[str, Capability]] = {"credit": WRITE, "refuse": WRITE}

    @page_event(READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, dispute_queries.STAFF_CONTESTS)
        self.rows = [disputes_view.contest_shown(row, INVOICES) for row in found]


class StaffDisputeState(PageState, rx.State):
    """One dispute, what happened to it, and what would be said to the bank."""

    dispute: dict[str, Any] = {}
    steps: list[dict[str, Any]] = []
    said: list[dict[str, str]] = []
    takes_answers: bool = False  # the provider takes them from here

    @page_event(READ, reads=True)
    async def load(self) -> None:
        self.dispute, self.steps, self.said, self.takes_answers = {}, [], [], False
        dispute_id = self.router.url.path.rstrip("/").rsplit("/", 1)[-1]
        async with self._staff_work() as uow:
            found = await dispute_queries.dispute(uow, dispute_id)
            steps = await dispute_queries.timeline(uow, found.id)
            # Where people signed in is for whoever answers, and for nobody else.
            may = self._actor.may(WRITE)
            pack = await evidence.gather(uow, found.id) if may else None
        worded = evidence.worded(pack, found.provider) if pack is not None else Evidence({})
        self.steps = [disputes_view.step_shown(step) for step in steps]
        self.said = [{"field": name, "text": text} for name, text in worded.texts.items()]
        self.takes_answers = registry.kind(found.provider).capabilities.answers_disputes
        self.dispute = disputes_view.dispute_shown(found, HOME)

    @page_event(READ)
    async def changed(self) -> Any:
        """It was answered through the API: read it again."""
        return type(self).load
