"""The people of the organisation, and who was invited. Changes go through the REST API, which ends sessions."""

from __future__ import annotations

from typing import Any

import reflex as rx

from models.types import OrganizationKind
from services.core import listing_grammar, listing_sql
from services.core.listing_position import position_of
from services.core.permissions import Capability
from services.identity import invitations, policies, queries
from services.identity.invitations import InvitationRow
from services.identity.queries import Member
from state.base import page_event
from state.filters import FilteredState
from state.format import instant_text

MEMBERS_PER_PAGE = 100
ACTS = {"role", "suspend", "resume", "remove"}
INVITATION_ACTS = {"resend", "revoke"}


class MembersState(FilteredState, rx.State):
    """One page of members, all invitations that wait, and which dialog is open for whom.

    `leads` says whether the one who looks may make owners, `operates` whether staff roles exist here.
    """

    rows: list[dict[str, Any]] = []
    invited: list[dict[str, Any]] = []
    next_cursor: str = ""
    is_first: bool = True
    chosen: dict[str, Any] = {}
    open_dialog: str = ""
    leads: bool = False
    operates: bool = False

    @page_event(Capability.MEMBERS_READ, reads=True)
    async def load(self) -> None:
        organization = self._signed_in.organization
        kind = organization.kind if organization else ""
        self.leads = self._actor.role in policies.leading_roles(kind)
        self.operates = kind == OrganizationKind.OPERATOR
        after = self._query.get("after", "")
        async with self._unit_of_work() as uow:
            query = listing_grammar.read(queries.MEMBERS, [])
            at = position_of(query, after, field="after") if after else None
            found = await listing_sql.page(uow, query, limit=MEMBERS_PER_PAGE, at=at)
            waiting = await invitations.waiting(uow)
        self.rows = [self._shown(row) for row in found.rows]
        self.next_cursor = found.next.text if found.next else ""
        self.is_first = not after
        self.invited = [_invitation_shown(row) for row in waiting]

    @page_event(Capability.MEMBERS_READ)
    async def next_page(self) -> Any:
        return self._go({"after": self.next_cursor})

    @page_event(Capability.MEMBERS_READ)
    async def first_page(self) -> Any:
        return self._go({})

    @page_event(Capability.MEMBERS_WRITE)
    async def ask(self, account_id: str, act: str) -> None:
        """Open the dialog for one act on one member."""
        self._choose(self.rows, account_id, act if act in ACTS else "")

    @page_event(Capability.MEMBERS_WRITE)
    async def ask_about(self, invitation_id: str, act: str) -> None:
        """Open the dialog for one act on one invitation."""
        self._choose(self.invited, invitation_id, act if act in INVITATION_ACTS else "")

    @page_event(Capability.MEMBERS_WRITE)
    async def ask_invite(self, is_open: bool) -> None:
        self.open_dialog = "invite" if is_open else ""

    @page_event(Capability.MEMBERS_READ)
    async def ask_leave(self, is_open: bool) -> None:
        self.open_dialog = "leave" if is_open else ""

    @page_event(Capability.MEMBERS_READ)
    async def dismiss(self, is_open: bool) -> None:
        if not is_open:
            self.open_dialog = ""

    @page_event(Capability.MEMBERS_READ)
    async def changed(self) -> Any:
        """Somebody was changed through the API."""
        self.open_dialog = ""
        return MembersState.load

    def _choose(self, rows: list[dict[str, Any]], row_id: str, act: str) -> None:
        found = [row for row in rows if row["id"] == row_id]
        self.chosen = found[0] if found else {}
        self.open_dialog = act if found else ""

    def _shown(self, row: Member) -> dict[str, Any]:
        return {
            "id": row.account_id,
            "name": row.name or row.email,
            "email": row.email,
            "role": row.role,
            "joined_at": instant_text(row.joined_at),
            "last_seen_at": instant_text(row.last_seen_at),
            "two_step": "on" if row.two_step else "off",
            "status": "suspended" if row.suspended_at else "active",
            "active_keys": row.active_keys,
            "version": row.version,
            "self": row.account_id == self._actor.account_id,
        }


def _invitation_shown(row: InvitationRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "email": row.email,
        "role": row.role,
        "status": row.status,
        "invited_by": row.invited_by_name,
        "created_at": instant_text(row.created_at),
        "expires_at": instant_text(row.expires_at),
    }
