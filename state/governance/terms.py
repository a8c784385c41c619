"""Versions of the terms of service, and publishing the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import reflex as rx

from services.core.listing import Listing
from services.core.permissions import Capability
from services.terms import queries
from services.terms.queries import VersionRow
from state.base import page_event
from state.dialogs import DialogsState
from state.format import instant_text
from state.listed import ListedState

READ, WRITE = Capability.STAFF_INVOICES_READ, Capability.STAFF_INVOICES_WRITE


class StaffTermsState(DialogsState, ListedState, rx.State):
    """One page of versions, the newest first; a new one begins with the text of the newest."""

    _listing: ClassVar[Listing[Any]] = queries.VERSIONS
    _file_url: ClassVar[str] = "/api/v1/staff/terms"
    _dialogs: ClassVar[Mapping[str, Capability]] = {"publish": WRITE}

    text: str = ""

    @page_event(READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, queries.VERSIONS)
            newest = await queries.current(uow)
        self.rows, self.text = [_shown(row) for row in found], "" if newest is None else newest.text

    @page_event(WRITE)
    async def begin(self) -> None:
        """Open the dialog."""
        self._open("publish")


def _shown(row: VersionRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "number": row.number,
        "author": row.author,
        "accepted": row.accepted,
        "sha256": row.sha256[:16],
        "published_at": instant_text(row.published_at),
    }
