"""What happens to meters. Usage itself is no business event: it is appended and summed."""

from __future__ import annotations

from typing import ClassVar

from services.core.events import DomainEvent


class MeterCreated(DomainEvent):
    type: ClassVar[str] = "meter.created"

    slug: str
    event_type: str
    aggregation: str
    value_property: str | None
