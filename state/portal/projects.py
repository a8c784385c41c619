"""Projects of the organisation."""

from __future__ import annotations

from typing import Any, ClassVar

import reflex as rx

from services.core.ids import is_id
from services.core.listing import Listing
from services.core.permissions import Capability
from services.identity import projects
from services.identity.projects import ProjectRow
from state.addresses import with_query
from state.base import page_event
from state.format import instant_text
from state.listed import ListedState


class ProjectsState(ListedState, rx.State):
    """One page of projects, active ones if nothing else is asked for, and which dialog is open for which."""

    _listing: ClassVar[Listing[Any]] = projects.PROJECTS
    _file_url: ClassVar[str] = "/api/v1/projects"
    _filter_keys: ClassVar[tuple[str, ...]] = ("name[contains]", "status[in]")
    _preset: ClassVar[dict[str, str]] = dict([projects.ACTIVE])

    chosen: dict[str, Any] = {}
    open_dialog: str = ""

    @page_event(Capability.PROJECTS_READ, reads=True)
    async def load(self) -> None:
        async with self._unit_of_work() as uow:
            found = await self._read(uow, projects.PROJECTS)
        self.rows = [_shown(row) for row in found]

    @page_event(Capability.PROJECTS_WRITE)
    async def ask(self, project_id: str, act: str) -> None:
        """Open the dialog for one act on one project."""
        found = [row for row in self.rows if row["id"] == project_id]
        self.chosen = found[0] if found else {}
        self.open_dialog = act if found and act in {"edit", "archive", "restore"} else ""

    @page_event(Capability.PROJECTS_WRITE)
    async def ask_new(self, is_open: bool) -> None:
        self.open_dialog = "new" if is_open else ""

    @page_event(Capability.PROJECTS_READ)
    async def dismiss(self, is_open: bool) -> None:
        if not is_open:
            self.open_dialog = ""

    @page_event(Capability.PROJECTS_WRITE)
    async def archive(self, project_id: str) -> Any:
        """The name was typed under the words that its keys stop."""
        self.open_dialog = ""
        if not is_id(str(project_id), "proj"):
            return None
        async with self._unit_of_work() as uow:
            await projects.archive_project(uow, project_id, end_keys=True)
        return ProjectsState.load

    @page_event(Capability.PROJECTS_READ)
    async def changed(self) -> Any:
        """A project was made or changed through the API."""
        self.open_dialog = ""
        return ProjectsState.load


def _shown(row: ProjectRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "active_keys": row.active_keys,
        "status": row.status,
        "created_at": instant_text(row.created_at),
        "created_by": row.created_by_name,
        "usage": with_query("/portal/usage", {"project": row.id}),
        "version": row.version,
    }
