"""Cases about money: what somebody has to look at, and one with what it proposes."""

from __future__ import annotations

from typing import Any, ClassVar

import reflex as rx

from services.core.listing import Listing
from services.core.permissions import Capability
from services.reconciliation import queries
from state import reconciliation_view
from state.base import PageState, page_event
from state.listed import ListedState

READ, WRITE = Capability.STAFF_PAYMENTS_READ, Capability.STAFF_PAYMENTS_WRITE


class PaymentCasesState(ListedState, rx.State):
    """One page of cases, the open ones unless the address says otherwise."""

    _listing: ClassVar[Listing[Any]] = queries.CASES
    _file_url: ClassVar[str] = "/api/v1/staff/payment-cases"
    _filter_keys: ClassVar[tuple[str, ...]] = (
        "kind",
        "state[in]",
        "organization_id",
        "created_at[gte]",
        "created_at[lt]",
    )

    _preset: ClassVar[dict[str, str]] = {"state": "open"}

    @page_event(READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, queries.CASES)
        self.rows = [reconciliation_view.case_shown(row) for row in found]


class PaymentCaseState(PageState, rx.State):
    """One case, and what accepting it does."""

    case: dict[str, Any] = {}
    entries: list[dict[str, Any]] = []
    asking: str = ""  # accept, dismiss or nothing

    @page_event(READ, reads=True)
    async def load(self) -> None:
        self.case, self.entries, self.asking = {}, [], ""
        case_id = self._address_id
        async with self._staff_work() as uow:
            found = await queries.case(uow, case_id)
        self.case = reconciliation_view.case_shown(found)
        entries = found.proposed.entries if found.proposed is not None else ()
        self.entries = [reconciliation_view.entry_shown(number, one) for number, one in enumerate(entries)]

    @page_event(WRITE)
    async def ask(self, what: str) -> None:
        self.asking = what if what in ("accept", "dismiss") else ""

    @page_event(WRITE)
    async def leave(self, is_open: bool) -> None:
        self.asking = self.asking if is_open else ""

    @page_event(WRITE)
    async def changed(self) -> Any:
        """It was decided through the API: read it again."""
        return PaymentCaseState.load
