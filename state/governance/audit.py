"""What happened in the whole installation, and who did it."""

from __future__ import annotations

from typing import Any, ClassVar

import reflex as rx

from services.audit import queries as audit
from services.core.permissions import Capability
from state.audit_view import FILTER_KEYS, audit_filter, csv_address, entry_shown
from state.base import page_event
from state.filters import FilteredState

ROWS_PER_PAGE = 50
PAGE = "/governance/audit"


class StaffAuditState(FilteredState, rx.State):
    """One page of the installation's log, the latest first."""

    _filter_keys: ClassVar[tuple[str, ...]] = (*FILTER_KEYS, "organization")

    rows: list[dict[str, Any]] = []
    next_cursor: str = ""
    is_first: bool = True
    csv_href: str = ""

    @page_event(Capability.STAFF_AUDIT_READ, reads=True)
    async def load(self) -> None:
        where = audit_filter(self._show_filters(), self._zone)
        after = self._query.get("after", "")
        async with self._staff_work() as uow:
            found = await audit.staff_entries(uow, limit=ROWS_PER_PAGE, after=after or None, where=where)
        self.rows = [entry_shown(entry, PAGE) for entry in found.rows]
        self.next_cursor = found.next or ""
        self.is_first = not after
        self.csv_href = csv_address("/api/v1/staff/audit", where)

    @page_event(Capability.STAFF_AUDIT_READ)
    async def next_page(self) -> Any:
        return self._go(self._chosen_filters() | {"after": self.next_cursor})

    @page_event(Capability.STAFF_AUDIT_READ)
    async def first_page(self) -> Any:
        return self._go(self._chosen_filters())
