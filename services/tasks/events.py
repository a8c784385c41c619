"""What happens to tasks. How far one has come is no event: it is on the row, and moves the live page."""

from __future__ import annotations

from typing import ClassVar

from services.core.events import DomainEvent


class TaskAsked(DomainEvent):
    type: ClassVar[str] = "task.asked"
    kind: str


class TaskFinished(DomainEvent):
    """`asked_by` is the account or key that wanted it, here and below."""

    type: ClassVar[str] = "task.finished"
    kind: str
    asked_by: str
    title: str  # what it was about, as the kind calls it: a list's name


class TaskFailed(DomainEvent):
    type: ClassVar[str] = "task.failed"
    kind: str
    asked_by: str
    title: str
    error: str


class TaskCancelAsked(DomainEvent):
    type: ClassVar[str] = "task.cancel_asked"
    kind: str


class TaskCancelled(DomainEvent):
    type: ClassVar[str] = "task.cancelled"
    kind: str


class TaskRetried(DomainEvent):
    type: ClassVar[str] = "task.retried"
    kind: str
