"""The people of the organisation, and who was invited. Changes go through the REST API, which ends sessions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import reflex as rx

from models.types import OrganizationKind
from services.core.listing import Listing
from services.core.permissions import Capability
from services.identity import invitations, policies, queries
from services.identity.invitations import InvitationRow
from services.identity.queries import Member, SignedIn
from state.base import page_event
from state.dialogs import DialogsState
from state.format import instant_text
from state.listed import ListedState

TWO_STEP: dict[bool | None, str] = {True: "true", False: "false"}  # as the address says it


class MembersState(DialogsState, ListedState, rx.State):
    """One page of members, and which dialog is open for whom.

    `leads` says whether the one who looks may make owners, `operates` whether staff roles exist here.
    """

    _listing: ClassVar[Listing[Any]] = queries.MEMBERS
    _file_url: ClassVar[str] = "/api/v1/organization/members"
    _filter_keys: ClassVar[tuple[str, ...]] = ("search", "role", "status", "two_step")
    _dialogs: ClassVar[Mapping[str, Capability]] = {
        **dict.fromkeys(("invite", "role", "suspend", "resume", "remove"), Capability.MEMBERS_WRITE),
        "leave": Capability.MEMBERS_READ,
    }

    leads: bool = False
    operates: bool = False

    @page_event(Capability.MEMBERS_READ, reads=True)
    async def load(self) -> None:
        self.leads, self.operates = _leads(self._signed_in), _operates(self._signed_in)
        async with self._unit_of_work() as uow:
            found = await self._read(uow, queries.MEMBERS)
        self.rows = [self._shown(row) for row in found]

    def _shown(self, row: Member) -> dict[str, Any]:
        return {
            "id": row.account_id,
            "name": row.name or row.email,
            "email": row.email,
            "role": row.role,
            "joined_at": instant_text(row.joined_at),
            "last_seen_at": instant_text(row.last_seen_at),
            "two_step": TWO_STEP.get(row.two_step, ""),
            "status": "suspended" if row.suspended_at else "active",
            "active_keys": row.active_keys,
            "version": row.version,
            "self": row.account_id == self._actor.account_id,
        }


class InvitationsState(DialogsState, ListedState, rx.State):
    """One page of the invitations that wait, and which dialog is open for which; `leads` and `operates` as above."""

    _listing: ClassVar[Listing[Any]] = invitations.INVITATIONS
    _file_url: ClassVar[str] = "/api/v1/organization/invitations"
    _filter_keys: ClassVar[tuple[str, ...]] = ("email[contains]", "role", "status")
    _dialogs: ClassVar[Mapping[str, Capability]] = dict.fromkeys(
        ("invite", "resend", "revoke"), Capability.MEMBERS_WRITE
    )

    leads: bool = False
    operates: bool = False

    @page_event(Capability.MEMBERS_READ, reads=True)
    async def load(self) -> None:
        self.leads, self.operates = _leads(self._signed_in), _operates(self._signed_in)
        async with self._unit_of_work() as uow:
            found = await self._read(uow, invitations.INVITATIONS)
        self.rows = [_invitation_shown(row) for row in found]


def _leads(caller: SignedIn) -> bool:
    kind = caller.organization.kind if caller.organization else ""
    return caller.actor.role in policies.leading_roles(kind)


def _operates(caller: SignedIn) -> bool:
    return caller.organization is not None and caller.organization.kind == OrganizationKind.OPERATOR


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
