"""Jobs that failed for good, and which one somebody is asked about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import reflex as rx

from services.core.listing import Listing
from services.core.permissions import Capability
from services.operations import held_jobs
from services.operations.held_jobs import HeldJob
from state.base import page_event
from state.dialogs import DialogsState
from state.format import instant_text
from state.listed import ListedState


class HeldJobsState(DialogsState, ListedState, rx.State):
    """One page of held jobs, the oldest first. It is read again as they come and go."""

    _listing: ClassVar[Listing[Any]] = held_jobs.HELD
    _file_url: ClassVar[str] = "/api/v1/staff/jobs"
    _filter_keys: ClassVar[tuple[str, ...]] = ("name",)
    _dialogs: ClassVar[Mapping[str, Capability]] = {"retry": Capability.STAFF_JOBS_WRITE}

    read_at: str = ""

    @page_event(Capability.STAFF_HEALTH_READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, held_jobs.HELD)
            self.read_at = instant_text(uow.wall_now)
        self.rows = [_shown(row) for row in found]


def _shown(row: HeldJob) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "name": row.name,
        "tries": row.tries,
        "enqueued_at": instant_text(row.enqueued_at),
        "held_at": instant_text(row.held_at),
        "error": row.error,
    }
