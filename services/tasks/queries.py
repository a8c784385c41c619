"""Reads of tasks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.core.errors import not_found
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.tasks.kinds import KINDS

LIVE_ROWS = 50  # as many as the page shows first


@dataclass(frozen=True, slots=True)
class TaskRow:
    """`done` of `total`, None while that is not known; `title` names what it is about, as its kind calls it.

    `file_id` is there once it is done, until the file has expired. `cancelling` while somebody asked to end it and it
    has not noticed yet.
    """

    id: str
    kind: str
    title: str
    state: str
    done: int
    total: int | None
    result: dict[str, Any]
    error: str
    file_id: str | None
    asked_by: str
    asked_by_name: str
    cancelling: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


_TASKS = """
select t.id, t.kind, t.parameters, t.state, t.done, t.total, t.result, t.error,
  case when f.deleted_at is null and (f.expires_at is null or f.expires_at > :now) then f.id end as file_id,
  t.asked_by, coalesce(nullif(a.name, ''), a.email, k.name, '') as asked_by_name,
  t.state = 'running' and t.cancel_asked_at is not null as cancelling, t.created_at, t.started_at, t.finished_at
from {tasks} t
left join stored_file f on f.id = t.file_id
left join account a on a.id = t.asked_by
left join api_key k on k.id = t.asked_by
order by t.created_at desc, t.id
"""


async def list_tasks(
    uow: UnitOfWork, *, after: tuple[datetime, str] | None = None, limit: int = 50
) -> list[TaskRow]:
    """The organisation's tasks, newest first, from behind `after` = (created_at, id). Needs tasks.read."""
    uow.actor.require(Capability.TASKS_READ)
    rows = await uow.execute(
        _TASKS.format(
            tasks="(select * from task where organization_id = :organization_id"
            " and (cast(:at as timestamptz) is null or created_at < :at or (created_at = :at and id > :last))"
            " order by created_at desc, id limit :limit)"
        ),
        organization_id=uow.organization_id,
        now=uow.wall_now,
        at=after[0] if after else None,
        last=after[1] if after else "",
        limit=limit,
    )
    return [_row(row) for row in rows.mappings()]


async def get_task(uow: UnitOfWork, task_id: str) -> TaskRow:
    """One task. Raises NotFound, also for another organisation's."""
    uow.actor.require(Capability.TASKS_READ)
    found = await uow.execute(
        _TASKS.format(tasks="(select * from task where organization_id = :organization_id and id = :id)"),
        organization_id=uow.organization_id,
        now=uow.wall_now,
        id=task_id,
    )
    row = found.mappings().one_or_none()
    if row is None:
        raise not_found("task", task_id)
    return _row(row)


async def latest(uow: UnitOfWork) -> dict[str, list[TaskRow]]:
    """What the live page shows."""
    return {"rows": await list_tasks(uow, limit=LIVE_ROWS)}


def _row(row: Any) -> TaskRow:
    values = dict(row)
    parameters = values.pop("parameters")
    kind = KINDS.get(values["kind"])
    return TaskRow(title=kind.title(parameters) if kind else "", **values)
