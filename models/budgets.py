"""Budgets: how much of the gateway may be used or spent in a day or a month, and who is told or stopped when."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlmodel import Field

from models.base import Table, check, id_field, instant, reference
from models.types import BIG, ID, QUANTITY, TEXT

PERCENTS: Any = postgresql.ARRAY(sa.Integer())


class BudgetMeasure(StrEnum):
    COST = "cost"  # exact, in major units of the organisation's currency
    TOKENS = "tokens"  # in and out


class BudgetPeriod(StrEnum):
    """By the calendar of the organisation's timezone."""

    DAY = "day"
    MONTH = "month"


class BudgetAction(StrEnum):
    NOTIFY = "notify"
    STOP = "stop"  # a call that may go beyond the limit is refused
    THROTTLE = "throttle"  # once the limit is used up, so many calls a minute pass


class Budget(Table, table=True):
    """What calls may use or cost in a period: all of an organisation, or those of a key, of a model, or of both."""

    __tablename__ = "budget"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        check("measure in ('cost','tokens')", "measure"),
        check("period in ('day','month')", "period"),
        check("action in ('notify','stop','throttle')", "action"),
        check("(action = 'throttle') = (requests_per_minute is not null)", "throttle"),
        check("requests_per_minute > 0", "requests_per_minute"),
        check("limit_amount > 0", "limit_amount"),
        sa.Index("ix_budget_organization_id", "organization_id", "created_at", "id"),
    )

    id: str = id_field()
    organization_id: str = reference("organization.id")
    name: str = Field(sa_type=TEXT)
    key_id: str | None = reference("api_key.id", nullable=True, index=True)  # every key, if none
    model: str | None = Field(default=None, sa_type=ID, nullable=True)  # every model, if none
    measure: str = Field(sa_type=ID)
    period: str = Field(sa_type=ID)
    limit_amount: Decimal = Field(sa_type=QUANTITY)
    action: str = Field(sa_type=ID)
    thresholds: list[int] = Field(sa_type=PERCENTS)  # percent of the limit, rising
    requests_per_minute: int | None = None  # of one that throttles: what is left of them at its limit
    created_at: datetime = instant()
    archived_at: datetime | None = instant(nullable=True)
    version: int = 1


class BudgetSpending(Table, table=True):
    """What of a budget was used in a period, and what processes of the gateway hold of it. `told` is the highest
    threshold, in percent, that somebody was told of."""

    __tablename__ = "budget_spending"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (check("spent >= 0 and held >= 0", "not_negative"),)

    budget_id: str = Field(primary_key=True, sa_type=ID, foreign_key="budget.id")
    starts_at: datetime = Field(primary_key=True, sa_type=sa.DateTime(timezone=True))  # type: ignore[arg-type]
    organization_id: str = reference("organization.id")
    ends_at: datetime = instant()
    spent: Decimal = Field(default=Decimal(0), sa_type=QUANTITY)
    held: Decimal = Field(default=Decimal(0), sa_type=QUANTITY)
    told: int = 0


class BudgetHold(Table, table=True):
    """What one process of the gateway may still use of a budget in a period, as with wallets."""

    __tablename__ = "budget_hold"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        check("amount >= 0", "amount"),
        sa.ForeignKeyConstraint(
            ["budget_id", "starts_at"], ["budget_spending.budget_id", "budget_spending.starts_at"]
        ),
        sa.Index("ix_budget_hold_changed_at", "changed_at"),
    )

    budget_id: str = Field(primary_key=True, sa_type=ID)
    starts_at: datetime = Field(primary_key=True, sa_type=sa.DateTime(timezone=True))  # type: ignore[arg-type]
    holder: str = Field(primary_key=True, sa_type=ID)
    organization_id: str = reference("organization.id")
    amount: Decimal = Field(sa_type=QUANTITY)
    version: int = Field(default=1, sa_type=BIG)
    changed_at: datetime = instant()  # wall time
