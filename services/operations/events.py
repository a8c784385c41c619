"""What staff does about the installation."""

from __future__ import annotations

from typing import ClassVar

from services.core.events import DomainEvent


class JobRetried(DomainEvent):
    """A held job was sent again. `aggregate_id` is its number; of no organisation."""

    type: ClassVar[str] = "job.retried"
    name: str
