"""Usage as it happened, and its sums.

A usage event is written once and never changed. Its effect on every sum-like meter is written beside it,
in the same transaction, as an append-only delta; a compactor folds deltas into minutes, hours and days.
Roll-ups plus deltas therefore equal the raw events at every moment, and writers never meet on a hot row.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlmodel import Field

from models.base import Table, id_field, instant, partitioned_by_organization
from models.types import AMOUNT, BIG, BYTES, ID, QUANTITY

JSONB: Any = postgresql.JSONB()
TEXTS: Any = postgresql.ARRAY(sa.Text())


class Meter(Table, table=True):
    """How events of one type become a quantity. Meters without an organisation are the platform's own."""

    __tablename__ = "meter"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.Index("uq_meter_slug", sa.text("coalesce(organization_id, '')"), "slug", unique=True),
    )

    id: str = id_field()
    organization_id: str | None = Field(
        default=None, sa_type=ID, foreign_key="organization.id", nullable=True
    )
    slug: str = Field(sa_type=ID)
    name: str
    event_type: str = Field(sa_type=ID)
    aggregation: str
    value_property: str | None = None  # name in the event's properties; none for count
    unit: str = ""
    created_at: datetime = instant()
    archived_at: datetime | None = instant(nullable=True)


class UsageEvent(Table, table=True):
    """One fact, known by (organisation, source, event id) for ever. Retention clears `properties`, never keys.

    `cost` is exact (12 places) in `currency`; null means a price was missing at `time`. `price_ids` are the
    prices that were there, so that it can be explained whatever is set or planned later. What was `paid_ahead` a
    wallet paid when it was booked, at that cost: nothing else bills it.
    """

    __tablename__ = "usage_event"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        # Not led by the organisation: an index that were could be taken for a look-up by primary key while
        # the planner knows little of a partition, and would then read every event of the organisation.
        sa.Index("ix_usage_event_type_organization_id_time", "type", "organization_id", "time"),
        sa.Index(
            "ix_usage_event_paid_ahead",
            "type",
            "organization_id",
            "time",
            postgresql_where=sa.text("paid_ahead"),
        ),
        partitioned_by_organization(),
    )

    organization_id: str = Field(primary_key=True, sa_type=ID)
    source: str = Field(primary_key=True, sa_type=ID)
    event_id: str = Field(primary_key=True, sa_type=ID)
    type: str = Field(sa_type=ID)
    time: datetime = instant()
    received_at: datetime = instant()
    model: str = Field(default="", sa_type=ID)
    key_id: str = Field(default="", sa_type=ID)
    properties: dict[str, Any] = Field(sa_type=JSONB, default={})
    content_hash: bytes = Field(sa_type=BYTES)
    cost: Decimal | None = Field(default=None, sa_type=AMOUNT, nullable=True)
    currency: str = ""
    price_ids: list[str] | None = Field(default=None, sa_type=TEXTS, nullable=True)
    paid_ahead: bool = Field(default=False, sa_column_kwargs={"server_default": sa.false()})


class UsageSums(Table):
    """Sums of one meter for one model and key in one bucket. `cost` leaves out the `unpriced` events."""

    organization_id: str = Field(primary_key=True, sa_type=ID)
    meter_id: str = Field(primary_key=True, sa_type=ID)
    bucket: datetime = Field(primary_key=True, sa_type=sa.DateTime(timezone=True))  # type: ignore[arg-type]
    model: str = Field(primary_key=True, sa_type=ID)
    key_id: str = Field(primary_key=True, sa_type=ID)
    events: int = Field(sa_type=BIG)
    quantity: Decimal = Field(sa_type=QUANTITY)
    smallest: Decimal | None = Field(default=None, sa_type=QUANTITY, nullable=True)
    largest: Decimal | None = Field(default=None, sa_type=QUANTITY, nullable=True)
    cost: Decimal = Field(sa_type=AMOUNT)
    unpriced: int = Field(default=0, sa_type=BIG)


class UsageMinute(UsageSums, table=True):
    __tablename__ = "usage_minute"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (partitioned_by_organization(),)


class UsageHour(UsageSums, table=True):
    __tablename__ = "usage_hour"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (partitioned_by_organization(),)


class UsageDay(UsageSums, table=True):
    """Days of UTC. Days of another timezone are summed from hours or minutes."""

    __tablename__ = "usage_day"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (partitioned_by_organization(),)


class UsageDelta(Table, table=True):
    """What one ingested batch added to one minute; lives until the compactor has folded it in."""

    __tablename__ = "usage_delta"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.Index("ix_usage_delta_organization_id_bucket", "organization_id", "bucket"),
        partitioned_by_organization(),
    )

    organization_id: str = Field(primary_key=True, sa_type=ID)
    id: int | None = Field(
        default=None, primary_key=True, sa_type=BIG, sa_column_kwargs={"server_default": sa.Identity()}
    )
    meter_id: str = Field(sa_type=ID)
    bucket: datetime = instant()
    model: str = Field(default="", sa_type=ID)
    key_id: str = Field(default="", sa_type=ID)
    events: int = Field(sa_type=BIG)
    quantity: Decimal = Field(sa_type=QUANTITY)
    smallest: Decimal | None = Field(default=None, sa_type=QUANTITY, nullable=True)
    largest: Decimal | None = Field(default=None, sa_type=QUANTITY, nullable=True)
    cost: Decimal = Field(sa_type=AMOUNT)
    unpriced: int = Field(default=0, sa_type=BIG)
