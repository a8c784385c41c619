"""Doing what was asked for: take the next task that is due, work in its asker's name, and write down how it ended.

Whoever is killed here leaves a row whose lease ends; another worker takes it and goes on from its last step.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

from models.tasks import Task
from services.core import metrics, tracing
from services.core.actor import Actor
from services.core.clock import Clock, SystemClock
from services.core.crossing import Reason, crossing
from services.core.database import Database, database
from services.core.errors import Busy, MatrixError, Unavailable
from services.core.events import DomainEvent, last_trace
from services.core.ids import new_secret
from services.core.logs import get_logger
from services.core.permissions import Capability
from services.core.settings import settings
from services.core.work import UnitOfWork
from services.files import service as files
from services.files.rules import ContentMissing, Kind
from services.files.service import Arrived
from services.files.stores import FilePlaces, places
from services.identity.acting import actor_of
from services.tasks import rules
from services.tasks.drafts import MADE
from services.tasks.events import TaskCancelled, TaskFailed, TaskFinished
from services.tasks.kinds import KINDS
from services.tasks.policies import due_task, held_task, life_of, live
from services.tasks.rules import Overtaken, State
from services.tasks.work import CancelAsked, Made, Work, remove_draft

log = get_logger(__name__)

LANES = 2  # tasks at once in one worker, so that a long one does not hold up the others


async def run_due(on: Database) -> None:
    """A turn of the schedule: task after task until none is due."""
    where = places(settings())
    while await run_next(where, on=on):
        pass


async def run_next(where: FilePlaces, *, on: Database | None = None, clock: Clock | None = None) -> bool:
    """Take one task and do it, or as much of it as goes well. Returns False when none is due."""
    on, clock = on or database(), clock or SystemClock()
    taken = await _take(where, on, clock)
    if isinstance(taken, Work):
        await _do(taken)
    return taken is not None


async def _take(where: FilePlaces, on: Database, clock: Clock) -> Work | str | None:
    """The next task, leased; only its id when it ended by being taken; None when there is none."""
    async with crossing(Reason.TASKS, on=on, clock=clock) as uow:
        task = await due_task(uow)
        if task is None:
            return None
        actor = await actor_of(uow, task.asked_by, task.organization_id)
        life = rules.taken(life_of(task), new_secret(12), uow.wall_now)
        if life.state is State.RUNNING and actor is None:
            gone = "Whoever asked for this may not work in the organisation any more."
            life = rules.tried(life, life.holder, uow.wall_now, error=gone, again=False)
        live(task, life)
        if life.state is State.RUNNING and actor is not None:
            work = _work(task, actor, where, on, clock)
            work.caused_by = await last_trace(await uow.connection(), task.id)
            return work
        left = task.checkpoint
        await _ended(uow, task)
    remove_draft(where, task.id, left)
    return task.id


def _work(task: Task, actor: Actor, where: FilePlaces, on: Database, clock: Clock) -> Work:
    return Work(
        task.id,
        task.kind,
        task.holder,
        actor,
        task.parameters,
        where,
        on,
        clock,
        checkpoint=dict(task.checkpoint),
        done=task.done,
        total=task.total,
    )


async def _do(work: Work) -> None:
    kind = KINDS[work.kind]
    beating = asyncio.create_task(_beat(work), name=f"beat {work.task_id}")
    outcome = "done"
    try:
        with tracing.act(f"task {kind.name}", continues=work.caused_by, task_id=work.task_id) as reference:
            try:
                made = _made_before(work) or await kind.run(work)
                await _finish(work, made)
            except (CancelAsked, Overtaken, asyncio.CancelledError):
                raise
            except Exception as error:
                outcome = await _fail(work, error, reference)
    except CancelAsked:
        outcome = "cancelled"
        await _cancel(work)
    except Overtaken:
        outcome = "overtaken"
        log.warning("task_overtaken", task_id=work.task_id)
    except asyncio.CancelledError:
        outcome = "released"
        await asyncio.shield(_release(work))
        raise
    finally:
        beating.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beating
        metrics.JOBS.labels(f"task {kind.name}", outcome).inc()


async def _beat(work: Work) -> None:
    """Renew the lease until cancelled, so that a long step is not taken for a dead worker."""
    while True:
        await asyncio.sleep(rules.BEAT_S)
        try:
            async with crossing(Reason.TASKS, on=work.on, clock=work.clock) as uow:
                task = await held_task(uow, work.task_id, work.holder)
                live(task, rules.held(life_of(task), work.holder, uow.wall_now))
        except Overtaken:
            return  # the next step will notice
        except MatrixError as error:
            log.warning("task_lease_not_renewed", task_id=work.task_id, error=error.message)


async def _finish(work: Work, made: Made) -> None:
    """Bring the file into the store, if there is one, and say that it is done. May be cut off anywhere."""

    if made.file is None:
        async with work.unit_of_work() as uow:
            await _done(uow, work, made, None)
        return
    file_id = await _announced(work, made, made.file)
    async with files.brought(work.unit_of_work, work.places.store, file_id, made.file) as uow:
        await _done(uow, work, made, file_id)


async def _done(uow: UnitOfWork, work: Work, made: Made, file_id: str | None) -> None:
    task = await held_task(uow, work.task_id, work.holder)
    if task.cancel_asked_at is not None:
        raise CancelAsked
    if file_id is not None:
        await files.settle(uow, file_id)
    live(task, rules.finished(life_of(task), work.holder, uow.wall_now))
    task.result, task.file_id = made.result, file_id
    task.total = task.done
    await _ended(uow, task)


async def _announced(work: Work, made: Made, file: Arrived) -> str:
    """The id under which the store gets the file: from now on the work is not done again, only brought to its end."""
    if MADE in work.checkpoint:
        return work.checkpoint[MADE]["file_id"]
    async with work.step() as uow:
        row = await files.announce(uow, file, purpose=made.purpose, needs=made.needs, draft_of=work.task_id)
        work.checkpoint[MADE] = {
            "file_id": row.id,
            "result": made.result,
            "purpose": made.purpose,
            "needs": list(made.needs),
            "path": str(file.path),
            "name": file.name,
            "kind": file.kind,
            "size_bytes": file.size_bytes,
            "sha256": file.sha256.hex(),
        }
    return row.id


def _made_before(work: Work) -> Made | None:
    """What an earlier taking made, when it was cut off with nothing left to do but bring it away."""
    kept: dict[str, Any] | None = work.checkpoint.get(MADE)
    if kept is None:
        return None
    file = Arrived(
        Path(kept["path"]),
        kept["name"],
        Kind(kept["kind"]),
        kept["size_bytes"],
        bytes.fromhex(kept["sha256"]),
    )
    return Made(kept["result"], file, kept["purpose"], tuple(Capability(one) for one in kept["needs"]))


async def _fail(work: Work, error: Exception, reference: str) -> str:
    """Write down that this try failed, and whether there will be another."""
    again, said = True, f"It failed for a reason we did not foresee (reference {reference})."
    if isinstance(error, MatrixError):
        again, said = (
            error.status >= 500 or isinstance(error, Busy),
            f"{error.message} {error.next_step}".strip(),
        )
    log.error("task_failed", task_id=work.task_id, exc_info=error)
    try:
        async with crossing(Reason.TASKS, on=work.on, clock=work.clock) as uow:
            task = await held_task(uow, work.task_id, work.holder)
            live(task, rules.tried(life_of(task), work.holder, uow.wall_now, error=said, again=again))
            if isinstance(error, ContentMissing):
                # What was made is neither here nor in the store: it is made again.
                await _give_up_file(uow, task)
                task.checkpoint = {}
            if task.state != State.WAITING:
                await _ended(uow, task)
    except Overtaken:
        return "overtaken"
    if task.state != State.WAITING or task.checkpoint.get("draft") != work.checkpoint.get("draft"):
        remove_draft(work.places, task.id, work.checkpoint)
    return task.state


async def _cancel(work: Work) -> None:
    with contextlib.suppress(Overtaken):
        async with crossing(Reason.TASKS, on=work.on, clock=work.clock) as uow:
            task = await held_task(uow, work.task_id, work.holder)
            live(task, rules.cancelled(life_of(task), work.holder, uow.wall_now))
            await _ended(uow, task)
        # Its own and nothing else: the task may be tried again already, and another be at a new one.
        remove_draft(work.places, work.task_id, work.checkpoint)


async def _release(work: Work) -> None:
    with contextlib.suppress(Overtaken, Unavailable):
        async with crossing(Reason.TASKS, on=work.on, clock=work.clock) as uow:
            task = await held_task(uow, work.task_id, work.holder)
            live(task, rules.released(life_of(task), work.holder, uow.wall_now))


async def _ended(uow: UnitOfWork, task: Task) -> None:
    """Record how it ended; what it made that nobody will have is given up."""
    if task.state != State.DONE:
        await _give_up_file(uow, task)
    task.checkpoint = {}
    uow.record(_event(task))


async def _give_up_file(uow: UnitOfWork, task: Task) -> None:
    if MADE in task.checkpoint:
        await files.give_up(uow, task.checkpoint[MADE]["file_id"])


def _event(task: Task) -> DomainEvent:
    title = KINDS[task.kind].title(task.parameters) if task.kind in KINDS else ""
    facts: dict[str, Any] = {
        "aggregate_id": task.id,
        "organization_id": task.organization_id,
        "kind": task.kind,
    }
    if task.state == State.DONE:
        return TaskFinished(**facts, asked_by=task.asked_by, title=title)
    if task.state == State.FAILED:
        return TaskFailed(**facts, asked_by=task.asked_by, title=title, error=task.error)
    return TaskCancelled(**facts)
