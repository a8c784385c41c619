"""Indexes for lists that grow.

Each field has a function that makes what it needs and one that takes it away again.
"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_list_indexes()


def downgrade() -> None:
    drop_list_indexes()


# -- lists: what staff sees of all organisations is read in order, however much there is


def create_list_indexes() -> None:
    for table in ("plan_migration_move", "wallet", "wallet_lot", "wallet_top_up"):
        op.create_index(f"ix_{table}_created_at", table, ["created_at", "id"])
    for table in ("contest", "dispute"):
        op.create_index(f"ix_{table}_due", table, ["due_at", "id"])
    op.create_index(
        "ix_subscription_parked_at",
        "subscription",
        ["parked_at", "id"],
        postgresql_where=sa.text("parked_at is not null"),
    )


def drop_list_indexes() -> None:
    op.drop_index("ix_subscription_parked_at", "subscription")
    for table in ("dispute", "contest"):
        op.drop_index(f"ix_{table}_due", table)
    for table in ("wallet_top_up", "wallet_lot", "wallet", "plan_migration_move"):
        op.drop_index(f"ix_{table}_created_at", table)
