"""What banks take back and what customers contest: the lists, and one dispute with what speaks for us."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import reflex as rx

from models.disputes import ContestState
from services.core.listing import Listing
from services.core.permissions import Capability
from services.disputes import evidence, evidence_files
from services.disputes import queries as dispute_queries
from services.payments.providers import registry
from services.payments.providers.capabilities import EvidenceTerms
from services.payments.providers.values import Evidence
from state import disputes_view
from state.base import PageState, leave_for, page_event
from state.dialogs import DialogsState
from state.governance.payments import INVOICES
from state.listed import ListedState

READ, WRITE = Capability.STAFF_PAYMENTS_READ, Capability.STAFF_PAYMENTS_WRITE
HOME, CONTESTS = "/governance/disputes", "/governance/contests"


class StaffDisputesState(ListedState, rx.State):
    """One page of what banks take back, what has to be answered soonest first."""

    _listing: ClassVar[Listing[Any]] = dispute_queries.DISPUTES
    _file_url: ClassVar[str] = "/api/v1/staff/disputes"
    _filter_keys: ClassVar[tuple[str, ...]] = ("organization_id", "state", *disputes_view.DAYS)
    _sort: ClassVar[str] = "due_at"

    @page_event(READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, dispute_queries.DISPUTES)
        self.rows = [disputes_view.dispute_shown(row, HOME) for row in found]


class StaffContestsState(DialogsState, ListedState, rx.State):
    """One page of what customers contest, and the answer that is given: what waits for one unless the address says
    otherwise, the soonest first."""

    _listing: ClassVar[Listing[Any]] = dispute_queries.STAFF_CONTESTS
    _file_url: ClassVar[str] = "/api/v1/staff/contests"
    _filter_keys: ClassVar[tuple[str, ...]] = ("organization_id", "state[in]", *disputes_view.DAYS)
    _preset: ClassVar[dict[str, str]] = {"state": ContestState.OPEN.value}
    _sort: ClassVar[str] = "due_at"
    _dialogs: ClassVar[Mapping[str, Capability]] = {"credit": WRITE, "refuse": WRITE}

    @page_event(READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, dispute_queries.STAFF_CONTESTS)
        self.rows = [disputes_view.contest_shown(row, INVOICES) for row in found]


class StaffDisputeState(PageState, rx.State):
    """One dispute, what happened to it, what would be said to the bank, and the files that go along as `rows`."""

    dispute: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    removing: str = ""  # the file that is asked about
    steps: list[dict[str, Any]] = []
    said: list[dict[str, str]] = []
    takes_answers: bool = False  # the provider takes them from here
    fields: list[dict[str, str]] = []  # what a file may show, in the provider's word
    about: str = ""  # what the next one shows
    takes_files: bool = False  # another one goes along still
    kinds: str = ""  # of files, as a browser's file field takes them
    bytes_max: int = 0

    @page_event(READ, reads=True)
    async def load(self) -> None:
        self.dispute, self.steps, self.said, self.takes_answers = {}, [], [], False
        self.rows, self.fields, self.about, self.takes_files, self.removing = [], [], "", False, ""
        dispute_id = self._address_id
        async with self._staff_work() as uow:
            found = await dispute_queries.dispute(uow, dispute_id)
            steps = await dispute_queries.timeline(uow, found.id)
            files = await evidence_files.listed(uow, found.id)
            # Where people signed in is for whoever answers, and for nobody else.
            may = self._actor.may(WRITE)
            pack = await evidence.gather(uow, found.id) if may else None
        worded = evidence.worded(pack, found.provider) if pack is not None else Evidence({})
        self.steps = [disputes_view.step_shown(step) for step in steps]
        self.said = [{"field": name, "text": text} for name, text in worded.texts.items()]
        self.rows = [disputes_view.file_shown(row) for row in files]
        terms = registry.kind(found.provider).capabilities.evidence
        self.takes_answers = terms is not None
        if terms is not None and may and found.asks and found.answering_at is None:
            self._offer(terms, [row.field for row in files])
        self.dispute = disputes_view.dispute_shown(found, HOME)

    def _offer(self, terms: EvidenceTerms, taken: list[str]) -> None:
        """What may be added yet."""
        free = [one for one in terms.fields if not (terms.is_one_each and one in taken)]
        self.fields = [{"id": one, "label": disputes_view.field_words(one)} for one in free]
        self.about = free[0] if free else ""
        self.takes_files = bool(free) and len(taken) < terms.files_max
        self.kinds, self.bytes_max = ",".join(sorted(terms.kinds)), terms.bytes_max

    @page_event(WRITE)
    async def say(self, about: Any) -> None:
        """What the next file shows."""
        self.about = str(about) if any(one["id"] == about for one in self.fields) else self.about

    @page_event(WRITE)
    async def do(self, file_id: str, act: str) -> Any:
        """Ask whether to take a file away, or have the browser save it; the link is made for this one time."""
        if act != "save":
            self.removing = next((file_id for row in self.rows if row["id"] == file_id), "")
            return None
        async with self._staff_work() as uow:
            found = await dispute_queries.dispute(uow, str(self.dispute.get("id", "")))
        async with self._staff_work(within=found.organization_id) as uow:
            return leave_for((await evidence_files.link_to(uow, found.id, file_id)).url)

    @page_event(WRITE)
    async def leave(self, is_open: bool) -> None:
        self.removing = self.removing if is_open else ""

    @page_event(READ)
    async def changed(self) -> Any:
        """It was answered, or its files were changed, through the API: read it again."""
        return type(self).load
