"""What a person was told, and what they want to be told: theirs alone, wherever they work."""

from __future__ import annotations

from typing import Any

import reflex as rx

from services.notify import notices
from services.notify.notices import NoticeRow
from state import addresses
from state.base import SIGNED_IN, PageState, leave_for, page_event
from state.format import instant_text
from state.places import place_in, place_text

ROWS_PER_PAGE = 50
PAGE = "/notifications"


class NoticesState(PageState, rx.State):
    """One page of the person's own, the newest first."""

    rows: list[dict[str, Any]] = []
    next_cursor: str = ""
    is_first: bool = True
    has_unread: bool = False
    read_at: str = ""

    @page_event(SIGNED_IN, reads=True)
    async def load(self) -> None:
        after = self._query.get("after", "")
        found = await notices.notices_of(self._actor, after=place_in(after), limit=ROWS_PER_PAGE + 1)
        shown = found[:ROWS_PER_PAGE]
        self.rows = [_shown(row) for row in shown]
        self.next_cursor = (
            place_text(shown[-1].created_at, shown[-1].id) if len(found) > ROWS_PER_PAGE else ""
        )
        self.is_first = not after
        self.has_unread = await notices.unread_of(self._actor) > 0

    @page_event(SIGNED_IN)
    async def open(self, notification_id: str) -> Any:
        """Mark one as read and go where it leads."""
        await notices.mark_read(self._actor, notification_id)
        found = [row for row in self.rows if row["id"] == notification_id]
        if not found or not found[0]["href"]:
            return NoticesState.load
        return leave_for(addresses.own_path(found[0]["href"], PAGE))

    @page_event(SIGNED_IN)
    async def read_all(self) -> Any:
        await notices.mark_all_read(self._actor)
        return NoticesState.load

    @page_event(SIGNED_IN)
    async def next_page(self) -> Any:
        return rx.redirect(addresses.with_query(PAGE, {"after": self.next_cursor}))

    @page_event(SIGNED_IN)
    async def first_page(self) -> Any:
        return rx.redirect(PAGE)


class PreferencesState(PageState, rx.State):
    """What holds for the person by topic and channel."""

    topics: list[dict[str, Any]] = []

    @page_event(SIGNED_IN, reads=True)
    async def load(self) -> None:
        self.topics = [
            {"topic": one.topic, "in_app": one.in_app, "mail": one.mail, "locked": one.locked}
            for one in await notices.preferences_of(self._actor)
        ]

    @page_event(SIGNED_IN)
    async def prefer(self, topic: str, channel: str, wanted: bool) -> Any:
        await notices.prefer(self._actor, topic, channel, wanted=wanted is True)
        return PreferencesState.load


def _shown(row: NoticeRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "topic": row.topic,
        "title": row.title,
        "body": row.body,
        "href": row.href,
        "organization": row.organization_name,
        "created_at": instant_text(row.created_at),
        "state": "read" if row.read_at else "unread",
    }
