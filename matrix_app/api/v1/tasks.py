"""Long work of the organisation one works in: asked for, followed, ended, tried again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Response
from pydantic import AwareDatetime, Field, StringConstraints

from matrix_app.api.deps import Member
from matrix_app.api.v1.repeat import RepeatOnce
from matrix_app.api.v1.shape import (
    PAGE_ROWS,
    Body,
    Cursor,
    Limit,
    Page,
    Shown,
    cursor_for,
    position_in,
    resource,
)
from services.core.listing_grammar import VALUE_CHARACTERS_MAX, VALUES_MAX
from services.core.work import UnitOfWork, unit_of_work
from services.tasks import exports, queries, service
from services.tasks.kinds import EXPORT

router = resource("tasks", prefix="/tasks")

Short = Annotated[str, StringConstraints(max_length=VALUE_CHARACTERS_MAX)]
Values = Annotated[str, StringConstraints(max_length=VALUES_MAX * (VALUE_CHARACTERS_MAX + 1))]  # with commas


class TaskShown(Shown):
    id: str
    kind: str
    title: str = Field(description="What it is about: the list, for an export")
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    done: int
    total: int | None = Field(description="About how many there are; null until that is known")
    result: dict[str, Any]
    error: str = Field(description="Why it failed, or why the last try did")
    file_id: str | None = Field(description="What it made, until that has expired")
    asked_by: str
    cancelling: bool = Field(description="It was asked to end and has not noticed yet")
    created_at: AwareDatetime
    started_at: AwareDatetime | None
    finished_at: AwareDatetime | None


class NewExport(Body):
    """A list as CSV, with all the rows that its filters let through."""

    list: Short = Field(description=f"One of: {', '.join(sorted(exports.LISTS))}")
    filters: dict[Short, Values] = Field(
        {},
        max_length=exports.PARAMETERS_MAX,
        description="As the list's own address has them: `status[in]`, `sort`",
    )


@router.get("")
async def list_tasks(who: Member, cursor: Cursor = None, limit: Limit = PAGE_ROWS) -> Page[TaskShown]:
    """Tasks, newest first."""
    filters = {"organization": who.actor.organization_id}
    position = position_in("tasks", filters, cursor)
    async with unit_of_work(who.actor) as uow:
        rows = await queries.list_tasks(
            uow,
            after=(datetime.fromisoformat(position[0]), position[1]) if position else None,
            limit=limit + 1,
        )
    last = rows[limit - 1] if len(rows) > limit else None
    return Page(
        data=[TaskShown.model_validate(row) for row in rows[:limit]],
        next_cursor=cursor_for("tasks", filters, [last.created_at.isoformat(), last.id]) if last else None,
    )


@router.post("/exports", status_code=201, response_model=TaskShown)
async def export_list(who: Member, body: NewExport, repeat: RepeatOnce) -> Response:
    """Have a list written to a file. Follow it by its id; its file is saved by a link."""

    async def ask(uow: UnitOfWork) -> TaskShown:
        wanted = {"list": body.list, "filters": [[name, value] for name, value in body.filters.items()]}
        return await _shown(uow, (await service.ask(uow, EXPORT.name, wanted)).id)

    return await repeat.once(unit_of_work(who.actor), ask, owner=who.actor.organization_id or "")


@router.get("/{task_id}")
async def get_task(who: Member, task_id: str) -> TaskShown:
    """One task and how far it is."""
    async with unit_of_work(who.actor) as uow:
        return await _shown(uow, task_id)


@router.post("/{task_id}/cancel", response_model=TaskShown)
async def cancel_task(who: Member, task_id: str, repeat: RepeatOnce) -> Response:
    """End a task: at once while it waits, before its next step while it runs."""

    async def act(uow: UnitOfWork) -> TaskShown:
        return await _shown(uow, (await service.cancel(uow, task_id)).id)

    return await repeat.once(unit_of_work(who.actor), act, owner=who.actor.organization_id or "", status=200)


@router.post("/{task_id}/retry", response_model=TaskShown)
async def retry_task(who: Member, task_id: str, repeat: RepeatOnce) -> Response:
    """Do again, from its beginning, what failed or was cancelled."""

    async def act(uow: UnitOfWork) -> TaskShown:
        return await _shown(uow, (await service.retry(uow, task_id)).id)

    return await repeat.once(unit_of_work(who.actor), act, owner=who.actor.organization_id or "", status=200)


async def _shown(uow: UnitOfWork, task_id: str) -> TaskShown:
    await uow.session.flush()
    return TaskShown.model_validate(await queries.get_task(uow, task_id))
