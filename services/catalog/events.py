"""What happens to the price book."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from services.core.events import DomainEvent


class PriceSet(DomainEvent):
    type: ClassVar[str] = "price.set"

    model: str
    meter: str
    currency: str
    unit_amount: str  # exact decimal of the currency's major unit
    per_units: int
    valid_from: datetime
