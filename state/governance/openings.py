"""What sealed things were opened in the whole installation, by whom and why."""

from __future__ import annotations

from typing import Any, ClassVar

import reflex as rx

from services.audit.queries import STAFF_OPENINGS
from services.core.listing import Listing
from services.core.permissions import Capability
from state.base import page_event
from state.listed import ListedState
from state.openings_view import FILTER_KEYS, opening_shown

PAGE = "/governance/audit/openings"


class StaffOpeningsState(ListedState, rx.State):
    """One page of openings of the whole installation, the latest first."""

    _listing: ClassVar[Listing[Any]] = STAFF_OPENINGS
    _file_url: ClassVar[str] = "/api/v1/staff/secret-openings"
    _filter_keys: ClassVar[tuple[str, ...]] = (*FILTER_KEYS, "tenant")

    @page_event(Capability.STAFF_AUDIT_READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, STAFF_OPENINGS)
        self.rows = [opening_shown(entry, PAGE) for entry in found]
