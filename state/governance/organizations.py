"""Organisations as staff sees them."""

from __future__ import annotations

from datetime import date
from typing import Any, ClassVar

import orjson
import reflex as rx

from models.types import BillingInterval
from services.billing import queries as billing
from services.billing_runs import clock_preview, clock_turning, run_records
from services.billing_runs.clock_preview import ClockPreview
from services.billing_runs.clock_turning import ClockShown
from services.core import listing_sql
from services.core.errors import Conflict, Invalid
from services.core.listing import Listing
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.identity import clocks, staff
from services.identity import queries as identity
from services.identity.queries import StaffOrganization
from services.metering import queries as metering
from state import invoices_view, subscriptions_view
from state.base import PageState, page_event
from state.format import instant_text
from state.governance.invoices import HOME
from state.listed import ListedState
from state.problems import problem_of

BY_DATE = "on"  # and not by a length of the calendar
LOOK, TURN = "look", "turn"  # what the form of a clock is sent to do


class OrganizationsState(ListedState, rx.State):
    """One page of all organisations, by name if nothing else is asked for."""

    _listing: ClassVar[Listing[Any]] = identity.ORGANIZATIONS
    _file_url: ClassVar[str] = "/api/v1/staff/organizations"
    _filter_keys: ClassVar[tuple[str, ...]] = ("search", "kind", "status", "on_clock")

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
    clock: dict[str, Any] = {}  # its test clock, if it has one
    papers: list[dict[str, Any]] = []  # the newest documents made by that clock
    foreseen: dict[str, Any] = {}  # how far one has looked ahead, and what is made by then
    parked: list[str] = []  # why its subscriptions cannot be billed
    way: str = BillingInterval.MONTH.value  # how far to turn it
    clock_errors: dict[str, str] = {}
    clock_refusal: str = ""
    at_clock: bool = False  # it is being turned or looked ahead by, which of a year takes a while
    asking: bool = False
    read_at: str = ""

    @page_event(Capability.STAFF_ORGANIZATIONS_READ, reads=True)
    async def load(self) -> None:
        self.asking = self.at_clock = False
        organization_id = self._address_id
        if self.organization.get("id") != organization_id:
            self.organization, self.members, self.month = {}, [], {}
            self.clock, self.papers, self.parked = {}, [], []
        self._look_away()
        async with self._staff_work(within=organization_id) as uow:
            found = await identity.staff_organization(uow, organization_id)
            people = await staff.look_at_members(uow)
            used = await metering.overview(uow)
            await self._look_at_clock(uow, organization_id)
        self.read_at = instant_text(uow.wall_now)
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

    @page_event(Capability.STAFF_ORGANIZATIONS_READ)
    async def follow(self) -> None:
        """The clock went on: show where it stands, and what was made."""
        organization_id = str(self.organization.get("id", ""))
        if not self.clock or not organization_id:
            return
        async with self._staff_work(within=organization_id) as uow:
            await self._look_at_clock(uow, organization_id)
        self.read_at = instant_text(uow.wall_now)

    @page_event(clocks.NEEDED)
    async def choose(self, way: str) -> None:
        """By which length the clock goes, or to a date."""
        self.way = way

    @page_event(clocks.NEEDED)
    async def use_clock(self, values: dict[str, Any]) -> Any:
        """Say that it is at work, and have it done: the page hears of the one before the other."""
        self._look_away()
        if self.at_clock:
            return None
        self.at_clock = True
        return OrganizationState.turn_or_look(values)

    @page_event(clocks.NEEDED)
    async def turn_or_look(self, values: dict[str, Any]) -> None:
        """Turn the clock, or show what turning it would make and leave it where it is."""
        self._look_away()
        organization_id = str(self.organization.get("id", ""))
        try:
            by, on = _how_far(values)
            async with self._staff_work() as uow:
                if values.get("act") == TURN:
                    self.clock = _clock_shown(await clock_turning.turn_by(uow, organization_id, by=by, on=on))
                    return
                there = await clock_turning.standing(uow, organization_id)
                to = clock_turning.moment(there, by=by, on=on)
                found = await clock_preview.preview(uow, organization_id, to=to)
        except Invalid as error:
            self.clock_errors = {"on" if self.way == BY_DATE else "by": problem_of(error, "").text}
        except Conflict as error:
            self.clock_refusal = problem_of(error, "").text
        else:
            self.foreseen = _foreseen_shown(found)
        finally:
            self.at_clock = False

    @page_event(clocks.NEEDED)
    async def look_away(self) -> None:
        self._look_away()

    def _look_away(self) -> None:
        self.foreseen, self.clock_errors, self.clock_refusal = {}, {}, ""

    async def _look_at_clock(self, uow: UnitOfWork, organization_id: str) -> None:
        there = await clock_turning.look(uow, organization_id)
        papers = (
            await listing_sql.select(uow, billing.STAFF_INVOICES, ("organization_id", organization_id))
            if there is not None
            else []
        )
        may = uow.actor.may(Capability.STAFF_SUBSCRIPTIONS_READ) and there is not None
        self.parked = await run_records.why_parked(uow, organization_id) if may else []
        self.clock = _clock_shown(there) if there is not None else {}
        self.papers = [invoices_view.row_shown(row, HOME) for row in papers]

    @page_event(Capability.STAFF_ORGANIZATIONS_WRITE)
    async def ask(self, is_open: bool) -> None:
        """Open or close the question whether to suspend or resume."""
        self.asking = is_open


def _clock_shown(there: ClockShown) -> dict[str, Any]:
    return {
        "id": there.id,
        "name": there.name,
        "shows": instant_text(there.shows),
        "target_at": instant_text(there.target_at),
        "timezone": there.timezone,
    }


def _how_far(values: dict[str, Any]) -> tuple[BillingInterval | None, date | None]:
    """Raises Invalid, at the field for the date."""
    by, on = str(values.get("by") or ""), str(values.get("on") or "")
    try:
        return (None, date.fromisoformat(on)) if by == BY_DATE else (BillingInterval(by), None)
    except ValueError:
        raise Invalid("Say to which day.", field="on") from None


def _foreseen_shown(found: ClockPreview) -> dict[str, Any]:
    """By subscription, in the order in which each is billed first."""
    groups: dict[str, dict[str, Any]] = {}
    for place, one in enumerate(found.documents):
        key = one.subscription_id or ""
        group = groups.setdefault(key, {"id": key, "name": one.plan_name, "documents": []})
        group["documents"].append(subscriptions_view.document_shown(place, one.document))
    return {
        "until": instant_text(found.until),
        "more": found.more,
        "count": len(found.documents),
        "parked": list(found.parked),
        "groups": [group | {"count": len(group["documents"])} for group in groups.values()],
    }


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
        "time": "clock" if row.on_clock else "wall",
        "members": row.members,
        "active_keys": row.active_keys,
    }
