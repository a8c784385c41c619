"""What people are told inside the product, and what they want to be told."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field

from models.base import Table, id_field, instant, reference
from models.types import BIG, ID, TEXT


class Notification(Table, table=True):
    """One thing told to one person, once per event. It is the person's: read by account, in no tenant's scope."""

    __tablename__ = "notification"
    __table_args__ = (
        sa.UniqueConstraint("account_id", "event_id", "topic"),
        sa.Index("ix_notification_account_id", "account_id", sa.text("created_at desc"), "id"),
        sa.Index("ix_notification_unread", "account_id", postgresql_where=sa.text("read_at is null")),
    )

    id: str = id_field()
    account_id: str = reference("account.id")
    organization_id: str | None = reference("organization.id", nullable=True)
    event_id: int = Field(sa_type=BIG)
    topic: str = Field(sa_type=ID)
    title: str
    body: str = Field(default="", sa_type=TEXT)
    href: str = ""
    created_at: datetime = instant()
    read_at: datetime | None = instant(nullable=True)


class NotificationPreference(Table, table=True):
    """Whether a person wants a topic by a channel; without a row the topic's default counts."""

    __tablename__ = "notification_preference"

    account_id: str = Field(primary_key=True, sa_type=ID, foreign_key="account.id")
    topic: str = Field(primary_key=True, sa_type=ID)
    channel: str = Field(primary_key=True, sa_type=ID)  # in_app, mail
    wanted: bool
