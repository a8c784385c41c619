"""Organisations as staff sees them."""

from __future__ import annotations

from typing import Any, ClassVar

import orjson
import reflex as rx

from models.types import OrganizationKind
from services.core.permissions import Capability
from services.identity import queries as identity
from services.identity import staff
from services.identity.queries import StaffOrganization
from services.metering import queries as metering
from state.base import PageState, page_event
from state.filters import FilteredState
from state.format import instant_text

ROWS_PER_PAGE = 50
_CURSOR_PARTS = "\n"  # no sorting key holds a line break


class OrganizationsState(FilteredState, rx.State):
    """One page of all organisations by name."""

    _filter_keys: ClassVar[tuple[str, ...]] = ("q", "kind")

    rows: list[dict[str, Any]] = []
    next_cursor: str = ""
    is_first: bool = True

    @page_event(Capability.STAFF_ORGANIZATIONS_READ, reads=True)
    async def load(self) -> None:
        chosen = self._show_filters()
        cursor = self._query.get("after", "")
        name_key, _, organization_id = cursor.partition(_CURSOR_PARTS)
        kind = chosen.get("kind", "")
        async with self._staff_work() as uow:
            rows = await identity.staff_organizations(
                uow,
                search=chosen.get("q", ""),
                kind=kind if kind in set(OrganizationKind) else None,
                after=(name_key, organization_id) if organization_id else None,
                limit=ROWS_PER_PAGE + 1,
            )
        shown = rows[:ROWS_PER_PAGE]
        self.rows = [_shown(row) for row in shown]
        more = len(rows) > ROWS_PER_PAGE
        self.next_cursor = f"{shown[-1].name_key}{_CURSOR_PARTS}{shown[-1].id}" if more else ""
        self.is_first = not cursor

    @page_event(Capability.STAFF_ORGANIZATIONS_READ)
    async def next_page(self) -> Any:
        return self._go(self._chosen_filters() | {"after": self.next_cursor})

    @page_event(Capability.STAFF_ORGANIZATIONS_READ)
    async def first_page(self) -> Any:
        return self._go(self._chosen_filters())


class OrganizationState(PageState, rx.State):
    """One organisation: its facts, people and usage of this month by its own calendar."""

    organization: dict[str, Any] = {}
    members: list[dict[str, Any]] = []
    month: dict[str, Any] = {}
    asking: bool = False

    @page_event(Capability.STAFF_ORGANIZATIONS_READ, reads=True)
    async def load(self) -> None:
        self.asking = False
        organization_id = self.router.url.path.rstrip("/").rsplit("/", 1)[-1]
        if self.organization.get("id") != organization_id:
            self.organization, self.members, self.month = {}, [], {}
        async with self._staff_work(within=organization_id) as uow:
            found = await identity.staff_organization(uow, organization_id)
            people = await staff.look_at_members(uow)
            used = await metering.overview(uow)
        self.organization = _shown(found)
        self.members = [
            {
                "id": person.account_id,
                "name": person.name or person.email,
                "email": person.email,
                "role": person.role,
                "joined_at": instant_text(person.joined_at),
            }
            for person in people
        ]
        self.month = orjson.loads(orjson.dumps(used.month))

    @page_event(Capability.STAFF_ORGANIZATIONS_WRITE)
    async def ask(self, is_open: bool) -> None:
        """Open or close the question whether to suspend or resume."""
        self.asking = is_open


def _shown(row: StaffOrganization) -> dict[str, Any]:
    return {
        "id": row.id,
        "href": f"/governance/organizations/{row.id}",
        "name": row.name,
        "kind": row.kind,
        "timezone": row.timezone,
        "currency": row.currency,
        "billing_mode": row.billing_mode,
        "created_at": instant_text(row.created_at),
        "status": "suspended" if row.suspended_at else "active",
        "members": row.members,
        "active_keys": row.active_keys,
    }
