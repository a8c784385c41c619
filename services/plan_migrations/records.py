"""Migrations of plan versions that there were, and what each did."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.core.listing import Column, Kind, Listing, Operator
from services.core.permissions import Capability

READ = Capability.STAFF_SUBSCRIPTIONS_READ
STATES = ("waiting", "running", "done", "failed", "cancelled")
MOVES = ("moved", "scheduled", "refused", "failed")
_EXACTLY = (Operator.EQ, Operator.IN)


@dataclass(frozen=True, slots=True)
class MigrationRow:
    """`done` of `total` subscriptions are through; the four counts say how."""

    id: str
    plan_id: str
    plan_name: str
    from_number: int
    to_number: int
    currency: str | None
    interval: str | None
    interval_count: int | None
    behaviour: str
    notice_days: int
    waiting_changes: str
    task_id: str
    state: str
    done: int
    total: int | None
    error: str
    cancelling: bool
    moved: int
    scheduled: int
    refused: int
    failed: int
    created_at: datetime


MIGRATIONS: Listing[MigrationRow] = Listing(
    "staff.plan_migrations",
    row=MigrationRow,
    needs=READ,
    source="plan_migration m",
    alias="m",
    joins="join plan p on p.id = m.plan_id join plan_version f on f.id = m.from_version_id"
    " join plan_version t on t.id = m.to_version_id join task k on k.id = m.task_id"
    " cross join lateral (select count(*) filter (where v.state = 'moved') as moved,"
    " count(*) filter (where v.state = 'scheduled') as scheduled,"
    " count(*) filter (where v.state = 'refused') as refused,"
    " count(*) filter (where v.state = 'failed') as failed from plan_migration_move v where v.migration_id = m.id) c",
    columns=(
        Column("id", "m.id", Kind.ID, filterable=True),
        Column("plan_id", "m.plan_id", Kind.ID, operators=_EXACTLY),
        Column("plan_name", "p.name", joined=True),
        Column("from_number", "f.number", Kind.INTEGER, joined=True),
        Column("to_number", "t.number", Kind.INTEGER, joined=True),
        Column("currency", "m.currency", nullable=True, text="Of all currencies if empty"),
        Column("interval", "m.interval", nullable=True, text="Of all intervals if empty"),
        Column("interval_count", "m.interval_count", Kind.INTEGER, nullable=True),
        Column("behaviour", "m.behaviour"),
        Column("notice_days", "m.notice_days", Kind.INTEGER),
        Column("waiting_changes", "m.waiting_changes"),
        Column("task_id", "m.task_id", Kind.ID),
        Column("state", "k.state", Kind.ENUM, values=STATES, joined=True),
        Column("done", "k.done", Kind.INTEGER, joined=True),
        Column("total", "k.total", Kind.INTEGER, joined=True, nullable=True),
        Column("error", "k.error", joined=True),
        Column("cancelling", "k.state = 'running' and k.cancel_asked_at is not null", Kind.FLAG, joined=True),
        Column("moved", "c.moved", Kind.INTEGER, joined=True),
        Column("scheduled", "c.scheduled", Kind.INTEGER, joined=True, text="Will be, with the next period"),
        Column("refused", "c.refused", Kind.INTEGER, joined=True),
        Column("failed", "c.failed", Kind.INTEGER, joined=True),
        Column("created_at", "m.created_at", Kind.INSTANT, sortable=True, unchanging=True),
    ),
    sort="-created_at",
)


@dataclass(frozen=True, slots=True)
class MoveRow:
    """What became of one subscription. Amounts are of a year, in minor units."""

    id: str
    migration_id: str
    subscription_id: str
    organization_name: str
    state: str
    currency: str
    old_minor: int | None
    new_minor: int | None
    effective_at: datetime | None
    code: str
    reason: str
    created_at: datetime


MOVE_ROWS: Listing[MoveRow] = Listing(
    "staff.plan_migration_moves",
    row=MoveRow,
    needs=READ,
    source="plan_migration_move m",
    alias="m",
    joins="join subscription s on s.id = m.subscription_id join organization o on o.id = s.organization_id",
    columns=(
        Column("id", "m.id", Kind.ID),
        Column("migration_id", "m.migration_id", Kind.ID, operators=_EXACTLY),
        Column("subscription_id", "m.subscription_id", Kind.ID, operators=_EXACTLY),
        Column("organization_name", "o.name", joined=True),
        Column("state", "m.state", Kind.ENUM, values=MOVES, filterable=True),
        Column("currency", "s.currency", joined=True),
        Column("old_minor", "m.old_minor", Kind.INTEGER, nullable=True, currency="currency"),
        Column("new_minor", "m.new_minor", Kind.INTEGER, nullable=True, currency="currency"),
        Column("effective_at", "m.effective_at", Kind.INSTANT, nullable=True),
        Column("code", "m.code"),
        Column("reason", "m.reason", text="Why it was not moved"),
        Column("created_at", "m.created_at", Kind.INSTANT, sortable=True, unchanging=True),
    ),
    sort="created_at",
)
