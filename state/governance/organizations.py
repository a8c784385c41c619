"""Organisations as staff sees them."""

from __future__ import annotations

from typing import Any, ClassVar

import orjson
import reflex as rx

from services.core.listing import Listing
from services.core.permissions import Capability
from services.identity import queries as identity
from services.identity import staff
from services.identity.queries import StaffOrganization
from services.metering import queries as metering
from state.base import PageState, page_event
from state.format import instant_text
from state.listed import ListedState


class OrganizationsState(ListedState, rx.State):
    """One page of all organisations, by name if nothing else is asked for."""

    _listing: ClassVar[Listing[Any]] = identity.ORGANIZATIONS
    _file_url: ClassVar[str] = "/api/v1/staff/organizations"
    _filter_keys: ClassVar[tuple[str, ...]] = ("search", "kind", "status")

    @page_event(Capability.STAFF_ORGANIZATIONS_READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, identity.ORGANIZATIONS)
        self.rows = [_shown(row) for row in found]


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
