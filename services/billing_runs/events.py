"""What is told of billing runs."""

from __future__ import annotations

from typing import ClassVar

from services.core.events import DomainEvent


class BillingRunEnded(DomainEvent):
    """All that was due when it began was looked at: `due` subscriptions, of which some were billed or parked."""

    type: ClassVar[str] = "billing_run.ended"

    due: int
    billed: int
    parked: int
