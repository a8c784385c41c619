"""What happened in the whole installation, and who did it."""

from __future__ import annotations

from typing import Any, ClassVar

import reflex as rx

from services.audit.queries import STAFF_AUDIT
from services.core.listing import Listing
from services.core.permissions import Capability
from state.audit_view import FILTER_KEYS, STAFF_PLACES, entries_shown
from state.base import page_event
from state.listed import ListedState

PAGE = "/governance/audit"


class StaffAuditState(ListedState, rx.State):
    """One page of the installation's log, the latest first."""

    _listing: ClassVar[Listing[Any]] = STAFF_AUDIT
    _file_url: ClassVar[str] = "/api/v1/staff/audit"
    _filter_keys: ClassVar[tuple[str, ...]] = (*FILTER_KEYS, "organization_id")

    @page_event(Capability.STAFF_AUDIT_READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, STAFF_AUDIT)
            self.rows = await entries_shown(uow, found, PAGE, STAFF_PLACES)
