"""Following an invitation's link: what it invites to, and what whoever looks can do about it."""

from __future__ import annotations

import reflex as rx

from services.core.errors import MatrixError
from services.identity import joining
from services.identity.rules import parse_email
from state import addresses
from state.base import ANYONE, PageState, page_event
from state.format import instant_text

TOKEN_CHARACTERS_MAX = 200


class InvitationState(PageState, rx.State):
    """The token is the visitor's own, and goes on to the API.

    `stage` is accept, other_address, sign_in, sign_up, or ended, of which `ended_text` says how.
    """

    token: str = ""
    stage: str = ""
    ended_text: str = ""
    organization: str = ""
    invited_by: str = ""
    role: str = ""
    email: str = ""
    expires_at: str = ""
    signed_in_as: str = ""
    here: str = ""
    sign_in_href: str = ""

    @page_event(ANYONE, reads=True)
    async def load(self) -> None:
        self.token = self._query.get("token", "")[:TOKEN_CHARACTERS_MAX]
        self.here = addresses.with_query("/invitation", {"token": self.token})
        self.sign_in_href = addresses.sign_in_for(self.here)
        self.signed_in_as = self._caller.account.email if self._caller else ""
        try:
            found = await joining.look(self.token)
        except MatrixError as error:
            if error.status >= 500:
                raise
            self.stage, self.ended_text = "ended", f"{error.message} {error.next_step}"
            return
        self.organization, self.invited_by = found.organization_name, found.invited_by_name
        self.role, self.email, self.expires_at = found.role, found.email, instant_text(found.expires_at)
        if self.signed_in_as:
            fits = parse_email(self.signed_in_as).key == found.email_key
            self.stage = "accept" if fits else "other_address"
        else:
            self.stage = "sign_in" if found.has_account else "sign_up"
