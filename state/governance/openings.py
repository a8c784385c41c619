"""What sealed things were opened, by whom and why."""

from __future__ import annotations

from typing import Any, ClassVar

import reflex as rx

from services.audit.queries import STAFF_OPENINGS, OpeningEntry
from services.core.listing import Listing
from services.core.permissions import Capability
from state import addresses
from state.base import page_event
from state.format import instant_text
from state.listed import ListedState

PAGE = "/governance/audit/openings"


class OpeningsState(ListedState, rx.State):
    """One page of openings of the whole installation, the latest first."""

    _listing: ClassVar[Listing[Any]] = STAFF_OPENINGS
    _file_url: ClassVar[str] = "/api/v1/staff/secret-openings"
    _filter_keys: ClassVar[tuple[str, ...]] = (
        "purpose", "place", "actor", "tenant", "opened_at[gte]", "opened_at[lt]",
    )  # fmt: skip

    @page_event(Capability.STAFF_AUDIT_READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, STAFF_OPENINGS)
        self.rows = [_shown(entry) for entry in found]


def _shown(entry: OpeningEntry) -> dict[str, Any]:
    """A row of the table; who, whose and the row lead to all other openings of the same."""
    return {
        "id": entry.id,
        "opened_at": instant_text(entry.opened_at),
        "purpose": entry.purpose,
        "place": entry.place,
        "row_id": entry.row_id,
        "row_href": addresses.with_query(PAGE, {"place": entry.place, "row_id": entry.row_id}),
        "tenant": entry.tenant_name or entry.tenant,
        "tenant_kind": entry.tenant_kind,
        "tenant_href": addresses.with_query(PAGE, {"tenant": entry.tenant}),
        "actor": entry.actor_name or entry.actor_id,
        "actor_kind": entry.actor_kind,
        "actor_href": addresses.with_query(PAGE, {"actor": entry.actor_id}),
    }
