"""What the pages around one's own account know: signing in, confirming an address, founding an organisation."""

from __future__ import annotations

import zoneinfo
from typing import Any

import reflex as rx

from state.base import ANYONE, SIGNED_IN, PageState, page_event

TOKEN_CHARACTERS_MAX = 200
EMAIL_CHARACTERS_MAX = 254


class SignInState(PageState, rx.State):
    """What the address bar brings to the sign-in page."""

    confirmed: bool = False
    email: str = ""

    @page_event(ANYONE)
    async def load(self) -> None:
        self.confirmed = self._query.get("confirmed") == "1"
        self.email = self._query.get("email", "")[:EMAIL_CHARACTERS_MAX]


class ConfirmState(PageState, rx.State):
    """The token of the link that was followed; it is the visitor's own, and goes on to the API."""

    token: str = ""

    @page_event(ANYONE)
    async def load(self) -> None:
        self.token = self._query.get("token", "")[:TOKEN_CHARACTERS_MAX]


class WelcomeState(PageState, rx.State):
    """The timezone that the browser is in, as the form's first value."""

    zone: str = "UTC"
    zones: list[dict[str, str]] = []

    @page_event(SIGNED_IN, reads=True)
    async def load(self) -> Any:
        self.zones = [
            {"id": name, "label": name.replace("_", " ")} for name in sorted(zoneinfo.available_timezones())
        ]
        return rx.call_script("Intl.DateTimeFormat().resolvedOptions().timeZone", callback=WelcomeState.guess)

    @page_event(SIGNED_IN)
    async def guess(self, zone: str) -> None:
        """Take over what the browser says, if it is a timezone we know."""
        if zone in zoneinfo.available_timezones():
            self.zone = zone
