"""What sealed things of the organisation were opened, by whom and why."""

from __future__ import annotations

from typing import Any, ClassVar

import reflex as rx

from services.audit.queries import OPENINGS
from services.core.listing import Listing
from services.core.permissions import Capability
from state.base import page_event
from state.listed import ListedState
from state.openings_view import FILTER_KEYS, opening_shown

PAGE = "/portal/audit/openings"


class OpeningsState(ListedState, rx.State):
    """One page of openings of what is the organisation's, the latest first."""

    _listing: ClassVar[Listing[Any]] = OPENINGS
    _file_url: ClassVar[str] = "/api/v1/secret-openings"
    _filter_keys: ClassVar[tuple[str, ...]] = FILTER_KEYS

    @page_event(Capability.AUDIT_READ, reads=True)
    async def load(self) -> None:
        async with self._unit_of_work() as uow:
            found = await self._read(uow, OPENINGS)
        self.rows = [opening_shown(entry, PAGE) for entry in found]
