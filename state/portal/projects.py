"""Projects of the organisation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import reflex as rx

from services.core.listing import Listing
from services.core.permissions import Capability
from services.identity import projects
from services.identity.projects import ProjectRow
from state.addresses import with_query
from state.base import page_event
from state.dialogs import DialogsState
from state.format import instant_text
from state.listed import ListedState


class ProjectsState(DialogsState, ListedState, rx.State):
    """One page of projects, active ones if nothing else is asked for, and which dialog is open for which."""

    _listing: ClassVar[Listing[Any]] = projects.PROJECTS
    _file_url: ClassVar[str] = "/api/v1/projects"
    _filter_keys: ClassVar[tuple[str, ...]] = ("name[contains]", "status[in]")
    _preset: ClassVar[dict[str, str]] = dict([projects.ACTIVE])
    _dialogs: ClassVar[Mapping[str, Capability]] = dict.fromkeys(
        ("new", "edit", "archive", "restore"), Capability.PROJECTS_WRITE
    )

    @page_event(Capability.PROJECTS_READ, reads=True)
    async def load(self) -> None:
        async with self._unit_of_work() as uow:
            found = await self._read(uow, projects.PROJECTS)
        self.rows = [_shown(row) for row in found]


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
