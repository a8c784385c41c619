"""Collecting what is due by itself, and reminding those who did not pay: campaigns, and a case for each invoice.

Amounts are integer minor units of the currency beside them; moments are business time.
"""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from models.base import Table, check, id_field, instant, reference
from models.types import BIG, ID, TEXT, UTC

DAY: Any = sa.Date()


class StepAction(StrEnum):
    MAIL = "mail"
    IN_APP = "in_app"
    RESTRICT = "restrict"  # no new calls are answered
    SUSPEND = "suspend"  # and the subscription is paused
    CANCEL = "cancel"  # the subscription ends
    WRITE_OFF = "write_off"


class CaseState(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"  # until staff resumes it
    ENDED = "ended"


class Outcome(StrEnum):
    """How a case ended."""

    RECOVERED = "recovered"  # the invoice was paid
    NOT_OWED = "not_owed"  # it was voided, credited or given up by somebody
    WRITTEN_OFF = "written_off"  # given up by the campaign; it may be recovered still
    ALL_DONE = "all_done"  # all steps were done, and it is owed still
    SKIPPED = "skipped"  # staff takes care of it
    CANCELED = "canceled"  # the customer or staff ended the subscription; it may be paid still


class InvoiceCollection(Table, table=True):
    """What the schedule does next about an invoice that is due. Without `next_at` it has stopped, for `reason`,
    until there is another method to try."""

    __tablename__ = "invoice_collection"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.Index(
            "ix_invoice_collection_next_at",
            "next_at",
            "invoice_id",
            postgresql_where=sa.text("next_at is not null"),
        ),
    )

    invoice_id: str = Field(primary_key=True, sa_type=ID, foreign_key="invoice.id")
    organization_id: str = reference("organization.id")
    attempts: int = 0  # begun by the schedule; the next one has this number in its key
    next_at: datetime | None = instant(nullable=True)
    reason: str = Field(default="", sa_type=ID)  # why it waits, or has stopped
    decided_at: datetime = instant()


class DunningCampaign(Table, table=True):
    """What is done, in which order, about overdue invoices of a segment. What is empty of a segment fits all; of the
    campaigns that fit an invoice the first by `rank` counts. `steps` are {after_days, action}, counted from the due
    date. `retry_days` are counted from the first attempt that failed."""

    __tablename__ = "dunning_campaign"
    __table_args__ = (
        sa.UniqueConstraint("name"),
        check("minimum_minor >= 0", "minimum_minor"),
        check("maximum_minor >= minimum_minor", "maximum_minor"),
        check(
            "currency is not null or (minimum_minor = 0 and maximum_minor is null)", "bounds_in_a_currency"
        ),
        sa.Index("ix_dunning_campaign_created_at", "created_at", "id"),
    )

    id: str = id_field()
    name: str
    rank: int = 0
    enabled: bool = False
    plan_id: str | None = reference("plan.id", nullable=True)
    currency: str | None = Field(default=None, sa_type=ID, nullable=True)
    country: str | None = Field(default=None, sa_type=ID, nullable=True)
    minimum_minor: int = Field(default=0, sa_type=BIG)
    maximum_minor: int | None = Field(default=None, sa_type=BIG, nullable=True)
    retry_days: list[int] = Field(sa_type=JSONB, nullable=False)
    learned_hours: bool = False  # retries are made in the hour that worked best before
    steps: list[dict[str, Any]] = Field(sa_type=JSONB, nullable=False)
    created_at: datetime = instant()
    version: int = 1


_OPEN = "state <> 'ended' or restricts or paused_subscription"


class DunningCase(Table, table=True):
    """An overdue invoice in a campaign, with the campaign's steps as they were when it began.

    `position` is the number of the next step, from 0. `recovered_minor` came while it went on, or after it had given
    up; `lost_minor` of that was taken back since. `base_date` is the day that steps are counted from. One with
    `reopened_at` is history: its invoice was settled, and is owed again since then, which is for another case.
    """

    __tablename__ = "dunning_case"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.Index(
            "uq_dunning_case_current",
            "invoice_id",
            unique=True,
            postgresql_where=sa.text("reopened_at is null"),
        ),
        sa.Index("ix_dunning_case_invoice_id", "invoice_id", "id"),
        check("state in ('active','paused','ended')", "state"),
        check("(state = 'ended') = (ended_at is not null and outcome is not null)", "ended"),
        check("(state = 'active') = (next_at is not null)", "next_at"),
        check("recovered_minor >= 0", "recovered"),
        check("lost_minor between 0 and recovered_minor", "lost"),
        check("reopened_at is null or state = 'ended'", "reopened"),
        sa.Index("ix_dunning_case_organization_id", "organization_id", "created_at", "id"),
        sa.Index("ix_dunning_case_created_at", "created_at", "id"),
        sa.Index("ix_dunning_case_campaign_id", "campaign_id", "id"),
        # Looked at whenever a key is read.
        sa.Index("ix_dunning_case_restricts", "organization_id", postgresql_where=sa.text("restricts")),
        # Those whose invoice may have been paid meanwhile.
        sa.Index("ix_dunning_case_open", "id", postgresql_where=sa.text(_OPEN)),
        sa.Index("ix_dunning_case_next_at", "next_at", "id", postgresql_where=sa.text("next_at is not null")),
    )

    id: str = id_field()
    organization_id: str = reference("organization.id")
    invoice_id: str = reference("invoice.id")
    campaign_id: str = reference("dunning_campaign.id")
    state: str = Field(sa_type=ID)
    outcome: str | None = Field(default=None, sa_type=ID, nullable=True)
    steps: list[dict[str, Any]] = Field(sa_type=JSONB, nullable=False)
    position: int = 0
    base_date: date = Field(sa_type=DAY)
    next_at: datetime | None = instant(nullable=True)
    restricts: bool = False  # the organisation's calls, until it is paid
    paused_subscription: bool = False  # it is resumed when it is paid
    lifted: bool = False  # but neither now: all is contested, or staff holds it so
    canceled_subscription: bool = False
    currency: str = Field(sa_type=ID)
    recovered_minor: int = Field(default=0, sa_type=BIG)
    lost_minor: int = Field(default=0, sa_type=BIG)
    created_at: datetime = instant()
    ended_at: datetime | None = instant(nullable=True)
    reopened_at: datetime | None = instant(nullable=True)
    version: int = 1


class DunningStep(Table, table=True):
    """A step that was done, once. `recovered_minor` came after it and before the next one."""

    __tablename__ = "dunning_step"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (check("recovered_minor >= 0", "recovered"),)

    case_id: str = Field(primary_key=True, sa_type=ID, foreign_key="dunning_case.id")
    position: int = Field(primary_key=True)
    organization_id: str = reference("organization.id")
    action: str = Field(sa_type=ID)
    done_at: datetime = instant()
    recovered_minor: int = Field(default=0, sa_type=BIG)


class DunningBlock(Table, table=True):
    """A stretch in which a case had calls refused, by the clock of its organisation. `due`: it is over, and nobody has
    looked yet what was paid for that time."""

    __tablename__ = "dunning_block"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        check("ended_at >= started_at", "ended"),
        check("not due or ended_at is not null", "due"),
        sa.Index(
            "uq_dunning_block_open", "case_id", unique=True, postgresql_where=sa.text("ended_at is null")
        ),
        sa.Index("ix_dunning_block_organization_id", "organization_id", "started_at"),
        sa.Index("ix_dunning_block_due", "organization_id", postgresql_where=sa.text("due")),
    )

    case_id: str = Field(primary_key=True, sa_type=ID, foreign_key="dunning_case.id")
    started_at: datetime = Field(primary_key=True, sa_type=UTC)
    organization_id: str = reference("organization.id")
    ended_at: datetime | None = instant(nullable=True)
    due: bool = False


class DunningHold(Table, table=True):
    """While it lasts nothing is charged by itself or done of dunning for an organisation: until `until`, or until it is
    released. With `lifts` what was restricted works meanwhile."""

    __tablename__ = "dunning_hold"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        check("until > created_at", "until"),
        sa.Index(
            "uq_dunning_hold_open",
            "organization_id",
            unique=True,
            postgresql_where=sa.text("ended_at is null"),
        ),
        sa.Index("ix_dunning_hold_created_at", "created_at", "id"),
    )

    id: str = id_field()
    organization_id: str = reference("organization.id")
    reason: str = Field(sa_type=TEXT)
    lifts: bool = False
    until: datetime | None = instant(nullable=True)
    placed_by: str = Field(sa_type=ID)
    created_at: datetime = instant()
    ended_at: datetime | None = instant(nullable=True)
    ended_by: str | None = Field(default=None, sa_type=ID, nullable=True)
    version: int = 1
