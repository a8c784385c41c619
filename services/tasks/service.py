"""Asking for long work, ending it, trying it again. The work itself is done in services/tasks/running.py."""

from __future__ import annotations

from typing import Any

from models.tasks import Task
from services.core.errors import Invalid
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.tasks import rules
from services.tasks.events import TaskAsked, TaskCancelAsked, TaskCancelled, TaskRetried
from services.tasks.kinds import KINDS
from services.tasks.policies import life_of, live, own_task_for, task_for
from services.tasks.rules import State

UNDER_WAY_MAX = 20  # tasks of one organisation


class TooManyTasks(Invalid):
    status = 429
    code = "too_many_tasks"
    title = "Too many tasks are under way"

    def __init__(self) -> None:
        super().__init__(
            f"{UNDER_WAY_MAX} tasks of your organisation are under way.",
            next_step="Wait until one has ended, or cancel one.",
        )


async def ask(uow: UnitOfWork, kind: str, parameters: dict[str, Any], *, dedupe_key: str = "") -> Task:
    """Have `kind` done. Asked again under one key while it is under way, it is the same task.

    Needs tasks.write and what the kind needs. Raises Invalid for parameters that the kind does not know.
    """
    uow.actor.require(Capability.TASKS_WRITE)
    wanted = KINDS[kind].admit(uow.actor, parameters)
    task_id = new_id("task")
    under_way = await _under_way(uow)
    if dedupe_key and dedupe_key in under_way:
        return await task_for(uow, under_way[dedupe_key], Capability.TASKS_WRITE)
    if len(under_way) >= UNDER_WAY_MAX:
        raise TooManyTasks
    task = Task(
        id=task_id,
        organization_id=uow.organization_id,
        asked_by=uow.actor.id,
        kind=kind,
        parameters=wanted,
        dedupe_key=dedupe_key or task_id,
        due_at=uow.wall_now,
        created_at=uow.wall_now,
    )
    uow.add(task)
    uow.record(TaskAsked(aggregate_id=task.id, organization_id=task.organization_id, kind=kind))
    return task


async def _under_way(uow: UnitOfWork) -> dict[str, str]:
    """The ids of the organisation's tasks by their keys; until the transaction ends nobody adds another one."""
    await uow.execute(
        "select pg_advisory_xact_lock(hashtextextended(:key, 51))", key=f"tasks {uow.organization_id}"
    )
    found = await uow.execute(
        "select id, dedupe_key from task where organization_id = :organization_id"
        " and state in ('waiting', 'running') limit :most",
        organization_id=uow.organization_id,
        most=UNDER_WAY_MAX,
    )
    return {row.dedupe_key: row.id for row in found}


async def cancel(uow: UnitOfWork, task_id: str) -> Task:
    """End a task: at once while it waits, before its next step while it runs. One's own, or any
    for who looks after members. Raises Forbidden, NotFound and TaskEnded."""
    task = await own_task_for(uow, task_id)
    before = life_of(task)
    after = rules.cancel_asked(before, uow.wall_now)
    if after == before:
        return task
    live(task, after)
    happened = TaskCancelled if after.state is State.CANCELLED else TaskCancelAsked
    uow.record(happened(aggregate_id=task.id, organization_id=task.organization_id, kind=task.kind))
    return task


async def retry(uow: UnitOfWork, task_id: str) -> Task:
    """Have what failed or was cancelled done again, from its beginning. Raises NotFound, TaskNotOver and
    TooManyTasks."""
    task = await own_task_for(uow, task_id)
    again = rules.retried(life_of(task), uow.wall_now)
    if len(await _under_way(uow)) >= UNDER_WAY_MAX:
        raise TooManyTasks
    live(task, again)
    task.checkpoint, task.result, task.done, task.total = {}, {}, 0, None
    task.dedupe_key = task.id  # somebody may have asked for the same again meanwhile
    uow.record(TaskRetried(aggregate_id=task.id, organization_id=task.organization_id, kind=task.kind))
    return task
