"""Moving all who have a version of a plan to a newer one, and what became of each.

Both tables are the house's own record: written and read by staff and by the task that does the work, never by the
organisations whose subscriptions are moved.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field

from models.base import Table, check, id_field, instant, reference
from models.types import BIG, ID, TEXT


class PlanMigration(Table, table=True):
    """Who has `from_version_id` is moved to `to_version_id`: all, or those of one currency or interval.

    `behaviour` is a ProrationBehaviour; with the next period it waits `notice_days` at least. `waiting_changes` says
    what becomes of a change that waits already: it is kept, and its subscription is not moved ("keep"), or it gives
    way ("replace").
    """

    __tablename__ = "plan_migration"
    __table_args__ = (
        check("behaviour in ('invoice_now','next_invoice','next_period','reset_cycle','none')", "behaviour"),
        check("waiting_changes in ('keep','replace')", "waiting_changes"),
        check("interval in ('day','week','month','quarter','half_year','year')", "interval"),
        check("(interval is null) = (interval_count is null)", "length"),
        check("notice_days between 0 and 366", "notice_days"),
        check("notice_days = 0 or behaviour = 'next_period'", "notice"),
        sa.Index("ix_plan_migration_plan_id", "plan_id", "created_at", "id"),
        sa.Index("ix_plan_migration_created_at", "created_at", "id"),
    )

    id: str = id_field()
    key: str = Field(
        sa_type=ID, unique=True
    )  # the same act is the same migration, however often it is asked for
    plan_id: str = reference("plan.id")
    from_version_id: str = reference("plan_version.id", index=True)
    to_version_id: str = reference("plan_version.id")
    currency: str | None = Field(default=None, sa_type=ID, nullable=True)
    interval: str | None = Field(default=None, sa_type=ID, nullable=True)
    interval_count: int | None = None
    behaviour: str = Field(sa_type=ID)
    notice_days: int = 0
    waiting_changes: str = Field(sa_type=ID)
    task_id: str = Field(sa_type=ID)  # how far it is
    created_by: str | None = Field(default=None, sa_type=ID, nullable=True)
    created_at: datetime = instant()


class PlanMigrationMove(Table, table=True):
    """What one migration did with one subscription, written with it: so each is moved at most once.

    Amounts are of a year, in minor units of the subscription's currency, of what is charged for time. One that was
    refused or failed says why, and is tried again when the task is.
    """

    __tablename__ = "plan_migration_move"
    __table_args__ = (
        sa.UniqueConstraint("migration_id", "subscription_id"),
        check("state in ('moved','scheduled','refused','failed')", "state"),
        check("(state in ('moved','scheduled')) = (effective_at is not null)", "effective"),
        sa.Index("ix_plan_migration_move_migration_id", "migration_id", "created_at", "id"),
        sa.Index("ix_plan_migration_move_subscription_id", "subscription_id"),
        sa.Index("ix_plan_migration_move_created_at", "created_at", "id"),
    )

    id: str = id_field()
    migration_id: str = reference("plan_migration.id")
    subscription_id: str = reference("subscription.id")
    state: str = Field(sa_type=ID)
    old_minor: int | None = Field(default=None, sa_type=BIG, nullable=True)
    new_minor: int | None = Field(default=None, sa_type=BIG, nullable=True)
    effective_at: datetime | None = instant(nullable=True)  # by the clock of its organisation
    code: str = Field(default="", sa_type=ID)
    reason: str = Field(default="", sa_type=TEXT)
    created_at: datetime = instant()
