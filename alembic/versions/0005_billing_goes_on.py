"""What billing needs to go on by itself: plans that move their subscribers, usage that is billed without a plan.

Each field has a function that makes what it needs and one that takes it away again.
"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def run(statement: str) -> None:
    """Plain SQL, as it is: colons and percent signs mean nothing to the driver."""
    op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})


def upgrade() -> None:
    create_for_runs()
    create_for_plans()
    create_for_usage()
    create_for_pages()


def downgrade() -> None:
    drop_for_pages()
    drop_for_usage()
    drop_for_plans()
    drop_for_runs()


# -- billing in sets


def create_for_runs() -> None:
    """Nothing yet."""


def drop_for_runs() -> None:
    """Nothing yet."""


# -- plans and who is subscribed to them


def create_for_plans() -> None:
    create_plan_migrations()
    create_included_credits()
    create_retention_offers()


def drop_for_plans() -> None:
    drop_retention_offers()
    drop_included_credits()
    drop_plan_migrations()


def create_included_credits() -> None:
    """Credits that come with a price, and lots that pay for usage alone."""
    op.add_column(
        "plan_charge",
        sa.Column(
            "included_credits",
            sa.Numeric(precision=30, scale=12),
            server_default=sa.text("0"),
            nullable=False,
        ),
    )
    op.create_check_constraint(
        op.f("ck_plan_charge_included_credits"),
        "plan_charge",
        "included_credits >= 0 and (included_credits = 0 or (kind in ('flat','seat') and timing = 'advance'))",
    )
    op.add_column(
        "wallet_lot", sa.Column("usage_only", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    run("alter table wallet_debit drop constraint ck_wallet_debit_kind")
    run(
        "alter table wallet_debit add constraint ck_wallet_debit_kind"
        " check (kind in ('invoice','usage','taken_back'))"
    )


def create_retention_offers() -> None:
    """What a plan offers to those who would cancel it, and who took it."""
    op.add_column("plan", sa.Column("retention_coupon_id", sa.Text(collation="C"), nullable=True))
    op.add_column("plan", sa.Column("retention_text", sa.Text(), server_default="", nullable=False))
    op.create_foreign_key(
        op.f("fk_plan_retention_coupon_id"), "plan", "coupon", ["retention_coupon_id"], ["id"]
    )
    op.add_column("subscription", sa.Column("offer_taken_at", sa.DateTime(timezone=True), nullable=True))


def drop_retention_offers() -> None:
    op.drop_column("subscription", "offer_taken_at")
    op.drop_constraint(op.f("fk_plan_retention_coupon_id"), "plan", type_="foreignkey")
    op.drop_column("plan", "retention_text")
    op.drop_column("plan", "retention_coupon_id")


def drop_included_credits() -> None:
    """Fails where something was taken back already: what was booked stays."""
    run("alter table wallet_debit drop constraint ck_wallet_debit_kind")
    run("alter table wallet_debit add constraint ck_wallet_debit_kind check (kind in ('invoice','usage'))")
    op.drop_column("wallet_lot", "usage_only")
    op.drop_constraint(op.f("ck_plan_charge_included_credits"), "plan_charge", type_="check")
    op.drop_column("plan_charge", "included_credits")


def create_plan_migrations() -> None:
    """The house's own record: the application's role has no way to it outside of work that crosses tenants."""
    op.create_table(
        "plan_migration",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("plan_id", sa.Text(collation="C"), nullable=False),
        sa.Column("from_version_id", sa.Text(collation="C"), nullable=False),
        sa.Column("to_version_id", sa.Text(collation="C"), nullable=False),
        sa.Column("currency", sa.Text(collation="C"), nullable=True),
        sa.Column("interval", sa.Text(collation="C"), nullable=True),
        sa.Column("interval_count", sa.Integer(), nullable=True),
        sa.Column("behaviour", sa.Text(collation="C"), nullable=False),
        sa.Column("notice_days", sa.Integer(), nullable=False),
        sa.Column("waiting_changes", sa.Text(collation="C"), nullable=False),
        sa.Column("task_id", sa.Text(collation="C"), nullable=False),
        sa.Column("created_by", sa.Text(collation="C"), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "behaviour in ('invoice_now','next_invoice','next_period','reset_cycle','none')",
            name=op.f("ck_plan_migration_behaviour"),
        ),
        sa.CheckConstraint(
            "interval in ('day','week','month','quarter','half_year','year')",
            name=op.f("ck_plan_migration_interval"),
        ),
        sa.CheckConstraint(
            "waiting_changes in ('keep','replace')", name=op.f("ck_plan_migration_waiting_changes")
        ),
        sa.CheckConstraint(
            "(interval is null) = (interval_count is null)", name=op.f("ck_plan_migration_length")
        ),
        sa.CheckConstraint("notice_days between 0 and 366", name=op.f("ck_plan_migration_notice_days")),
        sa.CheckConstraint(
            "notice_days = 0 or behaviour = 'next_period'", name=op.f("ck_plan_migration_notice")
        ),
        sa.ForeignKeyConstraint(
            ["from_version_id"], ["plan_version.id"], name=op.f("fk_plan_migration_from_version_id")
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_plan_migration_plan_id")),
        sa.ForeignKeyConstraint(
            ["to_version_id"], ["plan_version.id"], name=op.f("fk_plan_migration_to_version_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan_migration")),
        sa.UniqueConstraint("key", name=op.f("uq_plan_migration_key")),
    )
    op.create_index("ix_plan_migration_created_at", "plan_migration", ["created_at", "id"], unique=False)
    op.create_index(
        op.f("ix_plan_migration_from_version_id"), "plan_migration", ["from_version_id"], unique=False
    )
    op.create_index(
        "ix_plan_migration_plan_id", "plan_migration", ["plan_id", "created_at", "id"], unique=False
    )
    op.create_table(
        "plan_migration_move",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("migration_id", sa.Text(collation="C"), nullable=False),
        sa.Column("subscription_id", sa.Text(collation="C"), nullable=False),
        sa.Column("state", sa.Text(collation="C"), nullable=False),
        sa.Column("old_minor", sa.BigInteger(), nullable=True),
        sa.Column("new_minor", sa.BigInteger(), nullable=True),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("code", sa.Text(collation="C"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(state in ('moved','scheduled')) = (effective_at is not null)",
            name=op.f("ck_plan_migration_move_effective"),
        ),
        sa.CheckConstraint(
            "state in ('moved','scheduled','refused','failed')", name=op.f("ck_plan_migration_move_state")
        ),
        sa.ForeignKeyConstraint(
            ["migration_id"], ["plan_migration.id"], name=op.f("fk_plan_migration_move_migration_id")
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_plan_migration_move_subscription_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan_migration_move")),
        sa.UniqueConstraint(
            "migration_id",
            "subscription_id",
            name=op.f("uq_plan_migration_move_migration_id_subscription_id"),
        ),
    )
    op.create_index(
        "ix_plan_migration_move_migration_id",
        "plan_migration_move",
        ["migration_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_plan_migration_move_subscription_id", "plan_migration_move", ["subscription_id"], unique=False
    )
    run("grant select, insert on plan_migration to matrix_crossing")
    run("grant select, insert, update on plan_migration_move to matrix_crossing")


def drop_plan_migrations() -> None:
    op.drop_table("plan_migration_move")
    op.drop_table("plan_migration")


# -- usage, wallets and budgets


def create_for_usage() -> None:
    """Nothing yet."""


def drop_for_usage() -> None:
    """Nothing yet."""


# -- what staff pages need


def create_for_pages() -> None:
    """Nothing yet."""


def drop_for_pages() -> None:
    """Nothing yet."""
