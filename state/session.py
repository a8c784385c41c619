"""Who looks at the page, and where that person may go."""

from __future__ import annotations

from typing import Any

import reflex as rx

from models.types import OrganizationKind
from services.core.permissions import Capability
from services.core.settings import settings
from services.identity.queries import SignedIn
from services.notify.notices import unread_of
from state import addresses
from state.base import ANYONE, SIGNED_IN, PageState, leave_for, page_event

PORTAL_HOME = "/portal"
GOVERNANCE_HOME = "/governance/organizations"


class SessionState(PageState, rx.State):
    """The signed-in person and organisation, for the shell of every page. `capabilities` shows or hides what a

    page offers; what it does is checked again when it is done.
    """

    demo: bool = False
    signed_in: bool = False
    account_name: str = ""
    account_email: str = ""
    organization_id: str = ""
    organization_name: str = ""
    organizations: list[dict[str, str]] = []
    staff: bool = False
    capabilities: list[str] = []
    without_organization: bool = False
    unread: int = 0
    zone: str = "UTC"
    currency: str = "USD"

    @page_event(SIGNED_IN)
    async def load(self) -> Any:
        """For a page of a console: who is in no organisation yet makes one first."""
        await self._show_own()
        return leave_for(addresses.NEW_ORGANIZATION) if self._signed_in.organization is None else None

    @page_event(SIGNED_IN)
    async def load_own(self) -> None:
        """For a page of one's own account, which is there without an organisation."""
        await self._show_own()

    @page_event(ANYONE)
    async def look(self) -> None:
        """For a page that is open to anyone."""
        self._show(self._caller)

    async def _show_own(self) -> None:
        self._show(self._signed_in)
        self.unread = await unread_of(self._actor)

    def _show(self, caller: SignedIn | None) -> None:
        self.demo = settings().mode == "demo"
        self.signed_in = caller is not None
        self.account_name = caller.account.name if caller else ""
        self.account_email = caller.account.email if caller else ""
        self.capabilities = sorted(caller.actor.capabilities) if caller else []
        organization = caller.organization if caller else None
        self.without_organization = caller is not None and organization is None
        self.organization_id = organization.id if organization else ""
        self.organization_name = organization.name if organization else ""
        self.zone = organization.timezone if organization else "UTC"
        self.currency = organization.currency if organization else "USD"
        self.organizations = [
            {"id": one.id, "label": one.name, "detail": one.kind}
            for one in (caller.organizations if caller else ())
        ]
        self.staff = caller is not None and is_staff(caller)


def is_staff(caller: SignedIn) -> bool:
    """Whether the governance console is open to somebody in the organisation of now."""
    organization = caller.organization
    operates = organization is not None and organization.kind == OrganizationKind.OPERATOR
    return operates and caller.actor.may(Capability.STAFF_ORGANIZATIONS_READ)


def home_of(caller: SignedIn) -> str:
    """Where somebody who has just signed in begins."""
    if caller.organization is None:
        return addresses.NEW_ORGANIZATION
    return GOVERNANCE_HOME if is_staff(caller) else PORTAL_HOME
