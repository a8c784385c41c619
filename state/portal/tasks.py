"""Tasks of the organisation, and asking for exports from the pages of lists."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import reflex as rx

from services.core.errors import Invalid
from services.core.listing_grammar import understood
from services.core.permissions import Capability
from services.files import service as files
from services.tasks import exports, queries, service
from services.tasks.kinds import EXPORT
from services.tasks.queries import TaskRow
from state import addresses
from state.base import PageState, leave_for, page_event
from state.format import instant_text
from state.places import place_in, place_text

ROWS_PER_PAGE = queries.LIVE_ROWS
EXPORT_ADDRESS_CHARACTERS_MAX = 64_000  # a page's own is shorter, but may be written out longer
PAGE = "/portal/tasks"


class TasksState(PageState, rx.State):
    """One page of tasks, the newest first. The first page moves by itself; what is here is its first look."""

    rows: list[dict[str, Any]] = []
    next_cursor: str = ""
    is_first: bool = True

    @page_event(Capability.TASKS_READ, reads=True)
    async def load(self) -> None:
        after = self._query.get("after", "")
        async with self._unit_of_work() as uow:
            found = await queries.list_tasks(uow, after=place_in(after), limit=ROWS_PER_PAGE + 1)
        shown = found[:ROWS_PER_PAGE]
        self.rows = [task_shown(row) for row in shown]
        self.next_cursor = (
            place_text(shown[-1].created_at, shown[-1].id) if len(found) > ROWS_PER_PAGE else ""
        )
        self.is_first = not after

    @page_event(Capability.TASKS_WRITE)
    async def cancel(self, task_id: str) -> Any:
        async with self._unit_of_work() as uow:
            await service.cancel(uow, task_id)
        return TasksState.load

    @page_event(Capability.TASKS_WRITE)
    async def retry(self, task_id: str) -> Any:
        async with self._unit_of_work() as uow:
            await service.retry(uow, task_id)
        return TasksState.load

    @page_event(Capability.FILES_READ)
    async def download(self, file_id: str) -> Any:
        """Have the browser save a file; the link is made for this one time."""
        async with self._unit_of_work() as uow:
            return leave_for((await files.link_to(uow, file_id)).url)

    @page_event(Capability.TASKS_READ)
    async def next_page(self) -> Any:
        return rx.redirect(addresses.with_query(PAGE, {"after": self.next_cursor}))

    @page_event(Capability.TASKS_READ)
    async def first_page(self) -> Any:
        return rx.redirect(PAGE)


class ExportState(PageState, rx.State):
    """Asks for what a page shows as a file: its list, with the filters of the address at which the API has it."""

    @page_event(Capability.TASKS_WRITE)
    async def ask(self, listing: str, address: str) -> Any:
        declared = exports.LISTS.get(listing)
        if declared is None:
            raise Invalid("This list cannot be exported.", next_step="Open the page from the menu again.")
        if len(address) > EXPORT_ADDRESS_CHARACTERS_MAX:
            raise Invalid("These filters are too long for an export.", next_step="Leave out some of them.")
        query = understood(declared, parse_qsl(urlsplit(address).query))
        wanted = {"list": listing, "filters": [list(pair) for pair in query.parameters]}
        said = f"{EXPORT.name} {wanted} {self._actor.id}"
        key = hashlib.sha256(said.encode()).hexdigest()
        async with self._unit_of_work() as uow:
            await service.ask(uow, EXPORT.name, wanted, dedupe_key=key)
        return rx.redirect(PAGE)


def task_shown(row: TaskRow) -> dict[str, Any]:
    """As the live topic has it."""
    return {
        "id": row.id,
        "kind": row.kind,
        "title": row.title,
        "state": row.state,
        "done": row.done,
        "total": row.total,
        "error": row.error,
        "file_id": row.file_id,
        "asked_by_name": row.asked_by_name,
        "cancelling": row.cancelling,
        "created_at": instant_text(row.created_at),
    }
