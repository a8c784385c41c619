"""What the product finds out about itself."""

from __future__ import annotations

from typing import ClassVar

from services.core.events import DomainEvent


class InvariantBroken(DomainEvent):
    """A rule that held when it was last checked does not. `aggregate_id` is its name; of no organisation."""

    type: ClassVar[str] = "invariant.broken"
    means: str
