"""Keeping a method to pay with: written down before a provider is asked, as payments are."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from models.base import Table, check, id_field, instant, reference
from models.types import ID, TEXT


class SetupState(StrEnum):
    SENDING = "sending"  # the provider is being asked, or was and the answer is lost
    WAITING = "waiting"  # for the customer, on the provider's page
    KEPT = "kept"
    FAILED = "failed"
    CANCELED = "canceled"


class MethodSetup(Table, table=True):
    """One way of a customer to the provider's page where a method is given. Times are by the wall, as providers
    count."""

    __tablename__ = "method_setup"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.UniqueConstraint("organization_id", "key"),
        check("state in ('sending','waiting','kept','failed','canceled')", "state"),
        check("(state in ('sending','waiting')) = (ended_at is null)", "ended"),
        check("(state = 'kept') = (method_id is not null)", "kept"),
        sa.Index("ix_method_setup_organization_id", "organization_id", "created_at", "id"),
        sa.Index(
            "ix_method_setup_check_at", "check_at", "id", postgresql_where=sa.text("check_at is not null")
        ),
    )

    id: str = id_field()
    organization_id: str = reference("organization.id")
    provider_account_id: str = reference("provider_account.id")
    key: str = Field(sa_type=ID)  # the same act is the same row, however often it is tried
    state: str = Field(sa_type=ID)
    provider_ref: str | None = Field(default=None, sa_type=ID, nullable=True)
    action: dict[str, Any] | None = Field(default=None, sa_type=JSONB, nullable=True)
    method_id: str | None = reference("payment_method.id", nullable=True)
    message: str = Field(default="", sa_type=TEXT)  # why it failed, to be told to the customer
    created_at: datetime = instant()
    ended_at: datetime | None = instant(nullable=True)
    check_at: datetime | None = instant(nullable=True)
    checks: int = 0
    version: int = 1
