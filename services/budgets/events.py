"""What happens to budgets."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from services.core.events import DomainEvent


class BudgetCreated(DomainEvent):
    type: ClassVar[str] = "budget.created"
    name: str
    action: str


class BudgetChanged(DomainEvent):
    type: ClassVar[str] = "budget.changed"
    name: str
    changed: list[str]


class BudgetArchived(DomainEvent):
    """It counts and stops nothing any more."""

    type: ClassVar[str] = "budget.archived"
    name: str


class BudgetThresholdReached(DomainEvent):
    """Once for each threshold and period. Amounts are exact, as text: tokens, or major units of the currency."""

    type: ClassVar[str] = "budget.threshold_reached"
    name: str
    percent: int
    spent: str
    limit: str
    measure: str
    currency: str
    stops: bool
    throttles: bool = False
    period_start: datetime
