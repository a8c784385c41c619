"""The event log, who has read how far, and requests that may be repeated."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlmodel import Field

from models.base import Table, instant, personal, sealed
from models.types import BIG, BYTES, ID

JSONB: Any = postgresql.JSONB()


class Event(Table, table=True):
    """A business event. `id` is drawn under its aggregate's lock, so it orders one aggregate's events;
    `position` is stamped by the relay after commit and is what subscribers follow."""

    __tablename__ = "event"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.Index("ix_event_unpositioned", "id", postgresql_where=sa.text("position is null")),
        sa.Index("uq_event_position", "position", unique=True),
        sa.Index("ix_event_organization_id", "organization_id", "id"),
        sa.Index("ix_event_aggregate_id", "aggregate_id", "id"),
        sa.Index("ix_event_actor_id", "actor_id", "id"),
        sa.Index("ix_event_type", "type", "id"),
        sa.Index("ix_event_address", "address", "id", postgresql_where=sa.text("address <> ''")),
        # Recorded nearly in order, so a few kilobytes say which part of the table holds a week.
        sa.Index("ix_event_recorded_at", "recorded_at", postgresql_using="brin"),
    )

    id: int | None = Field(
        default=None, primary_key=True, sa_type=BIG, sa_column_kwargs={"server_default": sa.Identity()}
    )
    position: int | None = Field(default=None, sa_type=BIG, nullable=True)
    type: str = Field(sa_type=ID)
    aggregate_id: str = Field(sa_type=ID)
    organization_id: str | None = Field(default=None, sa_type=ID, nullable=True)
    actor_id: str = Field(default="", sa_type=ID)
    address: str = personal(default="")  # from where, when somebody at a door caused it
    payload: dict[str, Any] = Field(sa_type=JSONB, default={})
    happened_at: datetime = instant()  # business time
    recorded_at: datetime = instant()  # wall time
    trace_id: str = ""


class SubscriberCursor(Table, table=True):
    __tablename__ = "subscriber_cursor"

    name: str = Field(primary_key=True, sa_type=ID)
    position: int = Field(default=0, sa_type=BIG)
    updated_at: datetime = instant()


class IdempotencyRecord(Table, table=True):
    """The answer once given to a repeatable request. The same key with another body is refused."""

    __tablename__ = "idempotency_record"
    tenant_column: ClassVar[str | None] = "organization_id"

    organization_id: str = Field(primary_key=True, sa_type=ID)
    key: str = Field(primary_key=True, sa_type=ID)
    fingerprint: bytes = Field(sa_type=BYTES)  # of method, path and body
    status: int
    body: bytes = sealed(tenant="organization_id", row="key")
    created_at: datetime = instant()
    expires_at: datetime = instant()
