"""Projects of the organisation one works in."""

from __future__ import annotations

from typing import Literal

from fastapi import Request, Response
from pydantic import AwareDatetime, Field

from matrix_app.api.deps import Member
from matrix_app.api.v1.etag import IfMatch, showing_current
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.repeat import RepeatOnce
from matrix_app.api.v1.shape import Body, Shown, resource
from services.core.work import UnitOfWork, unit_of_work
from services.identity import projects

router = resource("projects", prefix="/projects")


class ProjectShown(Shown):
    id: str
    name: str
    description: str
    status: Literal["active", "archived"]
    created_at: AwareDatetime
    created_by_name: str
    archived_at: AwareDatetime | None
    active_keys: int | None = Field(description="Keys that work; null without `keys.read`")
    version: int


class NewProject(Body):
    name: str
    description: str = ""


class ChangedProject(Body):
    """What is left out stays."""

    name: str | None = None
    description: str | None = None
    version: int | None = Field(None, description="Refuse if somebody changed the project since this version")


class Archiving(Body):
    end_keys: bool = Field(description="End the keys that work; without it, a project that has some stays")


@router.get("", **listed(projects.PROJECTS, ProjectShown))
async def list_projects(request: Request, who: Member, asked: Asked) -> Answer:
    """Projects by name."""
    return await answer(request, projects.PROJECTS, ProjectShown, asked, lambda: unit_of_work(who.actor))


@router.post("", status_code=201, response_model=ProjectShown)
async def create_project(who: Member, body: NewProject, repeat: RepeatOnce) -> Response:
    """A part of the organisation's work, with keys of its own."""

    async def create(uow: UnitOfWork) -> ProjectShown:
        made = await projects.create_project(uow, name=body.name, description=body.description)
        return await _shown(uow, made.id)

    return await repeat.once(unit_of_work(who.actor), create, owner=who.actor.organization_id or "")


@router.get("/{project_id}")
async def get_project(who: Member, project_id: str) -> ProjectShown:
    """One project."""
    async with unit_of_work(who.actor) as uow:
        return await _shown(uow, project_id)


@router.patch("/{project_id}")
async def update_project(
    who: Member, project_id: str, body: ChangedProject, expected: IfMatch
) -> ProjectShown:
    """Change name or description."""
    version = expected.version(body.version)
    async with unit_of_work(who.actor) as uow, showing_current(lambda: _shown(uow, project_id)):
        await projects.update_project(
            uow, project_id, name=body.name, description=body.description, version=version
        )
        return await _shown(uow, project_id)


@router.post("/{project_id}/archive", response_model=ProjectShown)
async def archive_project(who: Member, project_id: str, body: Archiving, repeat: RepeatOnce) -> Response:
    """Put a project aside. Its usage stays, and its keys end at once if that is meant: by a person who proved who it is
    a moment ago. With an API key, revoke them first."""

    async def act(uow: UnitOfWork) -> ProjectShown:
        await projects.archive_project(uow, project_id, end_keys=body.end_keys)
        return await _shown(uow, project_id)

    return await repeat.once(unit_of_work(who.actor), act, owner=who.actor.organization_id or "", status=200)


@router.post("/{project_id}/restore", response_model=ProjectShown)
async def restore_project(who: Member, project_id: str, repeat: RepeatOnce) -> Response:
    """Have keys made in it again. Those that ended stay ended."""

    async def act(uow: UnitOfWork) -> ProjectShown:
        await projects.restore_project(uow, project_id)
        return await _shown(uow, project_id)

    return await repeat.once(unit_of_work(who.actor), act, owner=who.actor.organization_id or "", status=200)


async def _shown(uow: UnitOfWork, project_id: str) -> ProjectShown:
    return ProjectShown.model_validate(await projects.project(uow, project_id))
