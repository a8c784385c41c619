"""What an organisation uses by the price list, month after month, and how far it is billed."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

import sqlalchemy as sa
from sqlmodel import Field

from models.base import Table, check, id_field, instant, reference
from models.types import ID, TEXT


class UsagePeriodState(StrEnum):
    OPEN = "open"  # it runs
    COLLECTING = "collecting"  # it is over, and late usage is let in until its draft is finalised
    CLOSED = "closed"


class UsagePeriod(Table, table=True):
    """[starts_at, ends_at): a calendar month of the organisation's timezone, a part of one at first.

    One of each organisation is open, and the next begins where it ends. `next_at` is when something is to be done;
    what cannot be billed is parked as a subscription is.
    """

    __tablename__ = "usage_period"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.UniqueConstraint("organization_id", "starts_at"),
        check("state in ('open','collecting','closed')", "state"),
        check("ends_at > starts_at", "span"),
        check("(state = 'closed') = (next_at is null)", "next_at"),
        check("(parked_reason is null) = (parked_at is null)", "parked"),
        sa.Index("ix_usage_period_starts_at", "starts_at", "id"),
        sa.Index(
            "ix_usage_period_next_at",
            "next_at",
            "id",
            postgresql_where=sa.text("next_at is not null and parked_at is null"),
        ),
        sa.Index(
            "ix_usage_period_retry_at", "retry_at", "id", postgresql_where=sa.text("parked_at is not null")
        ),
    )

    id: str = id_field()
    organization_id: str = reference("organization.id")
    starts_at: datetime = instant()
    ends_at: datetime = instant()
    state: str = Field(default=UsagePeriodState.OPEN.value, sa_type=ID)
    next_at: datetime | None = instant(nullable=True)
    parked_at: datetime | None = instant(nullable=True)
    parked_reason: str | None = Field(default=None, sa_type=TEXT, nullable=True)
    attempts: int = 0
    retry_at: datetime | None = instant(nullable=True)
