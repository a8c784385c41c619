"""What the pages on the way in know: signing up, confirming an address, a new password, founding an organisation."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import reflex as rx

from services.catalog import plan_queries
from services.catalog import queries as catalog
from services.core.crossing import Reason, crossing
from services.identity import rules
from services.terms import queries as terms
from state import addresses
from state.base import ANYONE, SIGNED_IN, PageState, page_event

TOKEN_CHARACTERS_MAX = 200
EMAIL_CHARACTERS_MAX = 254
USUAL_CURRENCY = "USD"


class ConfirmState(PageState, rx.State):
    """The token of the link that was followed; it is the visitor's own, and goes on to the API."""

    token: str = ""
    address: str = ""
    mailbox: str = ""

    @page_event(ANYONE)
    async def load(self) -> None:
        self.token = self._query.get("token", "")[:TOKEN_CHARACTERS_MAX]
        self.address = self._query.get("address", "")[:EMAIL_CHARACTERS_MAX]
        self.mailbox = addresses.with_query("/mailbox", {"address": self.address})

    @page_event(ANYONE)
    async def signed_up(self, answer: dict[str, Any]) -> Any:
        """Wait for the mail; in demo mode the API says where it lies, and so to which address it went."""
        query = parse_qs(urlsplit(str(answer.get("mailbox") or "")).query)
        return rx.redirect(addresses.with_query("/confirm", {"address": "".join(query.get("address", []))}))


class ResetState(PageState, rx.State):
    """The token of the link that was followed; it is the visitor's own, and goes on to the API."""

    token: str = ""

    @page_event(ANYONE)
    async def load(self) -> None:
        self.token = self._query.get("token", "")[:TOKEN_CHARACTERS_MAX]


class WelcomeState(PageState, rx.State):
    """First values of a new organisation: the browser's timezone, and the currencies there are prices in."""

    zone: str = "UTC"
    currencies: list[dict[str, str]] = []
    terms: int = 0  # the version that founding accepts

    @page_event(SIGNED_IN, reads=True)
    async def load(self) -> Any:
        async with crossing(Reason.CATALOG) as uow:
            priced = {price.currency for price in await catalog.current(uow)}
            priced |= await plan_queries.currencies_on_sale(uow)
            self.terms = await terms.current_number(uow)
        ordered = sorted(priced or {USUAL_CURRENCY}, key=lambda code: (code != USUAL_CURRENCY, code))
        self.currencies = [{"id": code, "label": code} for code in ordered]
        return rx.call_script("Intl.DateTimeFormat().resolvedOptions().timeZone", callback=WelcomeState.guess)

    @page_event(SIGNED_IN)
    async def guess(self, zone: str) -> None:
        """Take over what the browser says, if it is a timezone we know."""
        if zone in rules.timezones():
            self.zone = zone
