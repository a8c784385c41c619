"""What happens while the demo is made."""

from __future__ import annotations

from typing import ClassVar

from services.core.events import DomainEvent


class DemoStepMade(DomainEvent):
    """A step is done; `made` names the identifiers that later steps need."""

    type: ClassVar[str] = "demo.step_made"
    step: str
    made: dict[str, str]
