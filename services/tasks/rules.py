"""The life of a task: which moves there are, and what each needs and leaves behind. No I/O.

    waiting -> running -> done
       |  ^       |  \\-> failed -> waiting (when somebody asks to try again)
       |  \\------/ (a try failed, or the worker was asked to end)
       \\-> cancelled -> waiting (likewise); a running one is cancelled, too

A running task is leased to whoever took it: `holder` names that taking, and `due_at` is when the lease ends. Whoever
takes it over afterwards is another holder, and what the first one still wants to write is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from services.core.errors import Conflict

LEASE = timedelta(seconds=60)
BEAT_S = 20.0  # the lease is renewed so often, also while a step is at work
ATTEMPTS_MAX = 5  # takings without a step that succeeded
BACKOFF = timedelta(seconds=5)  # doubled each time: 5, 10, 20, 40 seconds
ERROR_CHARACTERS_MAX = 500


class State(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({State.DONE, State.FAILED, State.CANCELLED})


class Overtaken(Exception):
    """The lease ended and somebody else has the task, or it has ended: nothing more may be written for it."""


class TaskEnded(Conflict):
    code = "task_ended"
    title = "This task has ended"

    def __init__(self, state: State) -> None:
        super().__init__(
            f"The task is {state.value} already.",
            next_step="Ask for it anew if you still want it.",
            state=state,
        )


class TaskNotOver(Conflict):
    code = "task_not_over"
    title = "Only what failed or was cancelled is done again"

    def __init__(self, state: State) -> None:
        super().__init__(
            f"The task is {state.value}.", next_step="Wait for it, or ask for it anew.", state=state
        )


@dataclass(frozen=True, slots=True)
class Life:
    """What a task's row says about its life. All moves give a new one."""

    state: State
    due_at: datetime
    attempts: int = 0
    holder: str = ""
    error: str = ""
    cancel_asked_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


def asked(now: datetime) -> Life:
    return Life(State.WAITING, due_at=now)


def is_due(life: Life, now: datetime) -> bool:
    """Whether a worker may take it: it waits, or nobody has renewed its lease."""
    return life.state not in ENDED and life.due_at <= now


def taken(life: Life, holder: str, now: datetime) -> Life:
    """Leased to `holder`, or failed for good when its last workers all died over it. Raises Overtaken."""
    if not is_due(life, now):
        raise Overtaken
    if life.cancel_asked_at is not None:
        return _ended(life, State.CANCELLED, now)
    if life.attempts >= ATTEMPTS_MAX:
        return _ended(
            life, State.FAILED, now, error=f"Its worker ended {ATTEMPTS_MAX} times in the middle of it."
        )
    return replace(
        life,
        state=State.RUNNING,
        holder=holder,
        attempts=life.attempts + 1,
        due_at=now + LEASE,
        started_at=life.started_at or now,
    )


def held(life: Life, holder: str, now: datetime) -> Life:
    """The lease renewed. Raises Overtaken for anybody but its holder."""
    if life.state is not State.RUNNING or life.holder != holder:
        raise Overtaken
    return replace(life, due_at=now + LEASE)


def stepped(life: Life, holder: str, now: datetime) -> Life:
    """A step succeeded: what failed before it counts no more."""
    return replace(held(life, holder, now), attempts=1, error="")


def finished(life: Life, holder: str, now: datetime) -> Life:
    return _ended(held(life, holder, now), State.DONE, now)


def tried(life: Life, holder: str, now: datetime, *, error: str, again: bool) -> Life:
    """A try failed: waits for the next one if it may be made `again`, else it has failed."""
    life = held(life, holder, now)
    if life.cancel_asked_at is not None:
        return _ended(life, State.CANCELLED, now)
    error = error[:ERROR_CHARACTERS_MAX]
    if not again or life.attempts >= ATTEMPTS_MAX:
        return _ended(life, State.FAILED, now, error=error)
    pause = BACKOFF * 2 ** (life.attempts - 1)
    return replace(life, state=State.WAITING, holder="", due_at=now + pause, error=error)


def released(life: Life, holder: str, now: datetime) -> Life:
    """Given back untouched by a worker that was asked to end: this taking does not count."""
    life = held(life, holder, now)
    return replace(life, state=State.WAITING, holder="", due_at=now, attempts=life.attempts - 1)


def cancel_asked(life: Life, now: datetime) -> Life:
    """Cancelled at once while it waits; a running one ends before its next step. Raises TaskEnded."""
    if life.state in ENDED:
        raise TaskEnded(life.state)
    if life.state is State.WAITING:
        return _ended(life, State.CANCELLED, now)
    return replace(life, cancel_asked_at=life.cancel_asked_at or now)


def cancelled(life: Life, holder: str, now: datetime) -> Life:
    """Ended by the holder, who was asked to."""
    return _ended(held(life, holder, now), State.CANCELLED, now)


def retried(life: Life, now: datetime) -> Life:
    """What failed or was cancelled waits again, to be begun anew. Raises TaskNotOver."""
    if life.state not in (State.FAILED, State.CANCELLED):
        raise TaskNotOver(life.state)
    return Life(State.WAITING, due_at=now, started_at=life.started_at)


def _ended(life: Life, state: State, now: datetime, *, error: str = "") -> Life:
    return replace(life, state=state, holder="", error=error, finished_at=now)
