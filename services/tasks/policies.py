"""The way to tasks: of one's organisation, or of whoever a worker works for."""

from __future__ import annotations

from dataclasses import fields

from models.tasks import Task
from services.core.errors import not_found
from services.core.ids import is_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.tasks.rules import Life, Overtaken, State

DUE_LOOKED_AT_MAX = 500  # tasks; one organisation has 20 of them at most

# What is at work has a lease that ends later. So both parts walk ix_task_due.
_DUE = """
with due as (
  select id from task where state in ('waiting', 'running') and due_at <= :now order by due_at, id limit :most
), working as (
  select organization_id, count(*) as tasks from task where state in ('waiting', 'running') and state = 'running'
    and due_at > :now group by organization_id
)
select t.id from task t join due on due.id = t.id left join working w on w.organization_id = t.organization_id
where t.state in ('waiting', 'running') and t.due_at <= :now
order by coalesce(w.tasks, 0), t.due_at, t.id limit 1 for update of t skip locked
"""


async def task_for(uow: UnitOfWork, task_id: str, capability: Capability, *, lock: bool = False) -> Task:
    """The organisation's task, if the actor may. Raises Forbidden, and NotFound also for others' tasks."""
    uow.actor.require(capability)
    task = await uow.get(Task, task_id, lock=lock) if is_id(str(task_id), "task") else None
    if task is None or task.organization_id != uow.organization_id:
        raise not_found("task", task_id)
    return task


async def own_task_for(uow: UnitOfWork, task_id: str) -> Task:
    """A task that the actor asked for, locked; whoever looks after members may have any. Raises as `task_for` does."""
    task = await task_for(uow, task_id, Capability.TASKS_WRITE, lock=True)
    if task.asked_by != uow.actor.id:
        uow.actor.require(Capability.MEMBERS_WRITE)
    return task


async def due_task(uow: UnitOfWork) -> Task | None:
    """The task to take next that nobody else is just taking, locked; in work that crosses tenants.

    It is one of the organisation with the fewest at work, so that nobody's many hold up another's one; among those the
    one that has been due longest.
    """
    found = await uow.execute(_DUE, now=uow.wall_now, most=DUE_LOOKED_AT_MAX)
    task_id = found.scalar_one_or_none()
    return None if task_id is None else await uow.get(Task, task_id, lock=True)


async def held_task(uow: UnitOfWork, task_id: str, holder: str) -> Task:
    """The task that a worker is at, locked. Raises Overtaken when it is no longer that worker's."""
    task = await uow.get(Task, task_id, lock=True)
    if task is None or task.state != State.RUNNING or task.holder != holder:
        raise Overtaken
    return task


def life_of(task: Task) -> Life:
    return Life(
        State(task.state),
        task.due_at,
        task.attempts,
        task.holder,
        task.error,
        task.cancel_asked_at,
        task.started_at,
        task.finished_at,
    )


def live(task: Task, life: Life) -> None:
    """Write a move down on the row."""
    for one in fields(life):
        setattr(task, one.name, getattr(life, one.name))
