"""The demo mailbox: mail of one address for whoever asks, all of it for staff, none in production."""

from __future__ import annotations

import re
from typing import Any

import reflex as rx

from services.core.errors import NotFound
from services.core.permissions import Capability
from services.core.settings import settings
from services.notify import queries as mail
from services.notify.queries import MailRow
from state import addresses
from state.base import ANYONE, PageState, page_event
from state.format import instant_text

EMAIL_CHARACTERS_MAX = 254
_LINK = re.compile(r"https?://\S+")


class MailboxState(PageState, rx.State):
    """Mail to `address`."""

    address: str = ""
    sees_all: bool = False
    rows: list[dict[str, Any]] = []

    @page_event(ANYONE, reads=True)
    async def load(self) -> None:
        self.address = self._query.get("address", "").strip()[:EMAIL_CHARACTERS_MAX]
        self.sees_all = self._is_staff
        self.rows = [_shown(row) for row in await self._mails()]

    @page_event(ANYONE)
    async def ask(self, values: dict[str, Any]) -> Any:
        """Show the mail of another address."""
        address = str(values.get("address", ""))[:EMAIL_CHARACTERS_MAX]
        return rx.redirect(addresses.with_query("/mailbox", {"address": address}))

    @property
    def _is_staff(self) -> bool:
        return self._caller is not None and self._caller.actor.may(Capability.STAFF_MAILBOX_READ)

    async def _mails(self) -> list[MailRow]:
        mode = settings().mode
        if mode != "demo":
            raise NotFound(
                "There is no mailbox here: this installation sends mail.", next_step="Look into your own."
            )
        if self.address:
            return await mail.mails_for(self.address, mode=mode)
        if not self._is_staff:
            return []
        async with self._staff_work() as uow:
            return await mail.mailbox(uow)


def _shown(row: MailRow) -> dict[str, Any]:
    """`link` is the first address in the mail that leads to this installation. Links of `html` open beside it: the
    frame it is drawn in is no place for our pages."""
    own = [found for found in _LINK.findall(row.body) if found.startswith(settings().public_url)]
    return {
        "id": row.id,
        "recipient": row.recipient,
        "subject": row.subject,
        "body": row.body,
        "html": row.html.replace("<head>", '<head><base target="_blank">', 1),
        "created_at": instant_text(row.created_at),
        "link": own[0].removeprefix(settings().public_url) if own else "",
    }
