"""What happened in the organisation, and who did it."""

from __future__ import annotations

from typing import Any, ClassVar

import reflex as rx

from services.audit.queries import AUDIT
from services.core.listing import Listing
from services.core.permissions import Capability
from state.audit_view import FILTER_KEYS, PORTAL_PLACES, entries_shown
from state.base import page_event
from state.listed import ListedState

PAGE = "/portal/audit"


class AuditState(ListedState, rx.State):
    """One page of the organisation's log, the latest first."""

    _listing: ClassVar[Listing[Any]] = AUDIT
    _file_url: ClassVar[str] = "/api/v1/audit"
    _filter_keys: ClassVar[tuple[str, ...]] = FILTER_KEYS

    @page_event(Capability.AUDIT_READ, reads=True)
    async def load(self) -> None:
        async with self._unit_of_work() as uow:
            found = await self._read(uow, AUDIT)
            self.rows = await entries_shown(uow, found, PAGE, PORTAL_PLACES)
