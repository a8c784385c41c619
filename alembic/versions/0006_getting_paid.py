"""Getting paid goes on: cases, refunds, disputes, dunning, payment links, reconciliation and crypto.

Each field has a function that makes what it needs and one that takes it away again.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def run(statement: str) -> None:
    """Plain SQL, as it is: colons and percent signs mean nothing to the driver."""
    op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})


def secure(table: str, *, application: str, crossing: str) -> None:
    """Row-level security on a tenant's table, and what the two roles may do with the rows they see."""
    visible = "organization_id = any ((select matrix_scope())::text[])"
    run(f"alter table {table} enable row level security")
    run(f"alter table {table} force row level security")
    run(f"create policy tenant on {table} to matrix_app using ({visible}) with check ({visible})")
    run(f"create policy crossing on {table} to matrix_crossing using (true) with check (true)")
    run(f"create policy migration on {table} to current_user using (true) with check (true)")
    run(f"grant {application} on {table} to matrix_app")
    run(f"grant {crossing} on {table} to matrix_crossing")


def upgrade() -> None:
    create_cases()
    create_refunds()
    create_disputes()
    create_dunning()
    create_links()
    create_reconciliation()
    create_crypto()


def downgrade() -> None:
    drop_crypto()
    drop_reconciliation()
    drop_links()
    drop_dunning()
    drop_disputes()
    drop_refunds()
    drop_cases()


# -- cases: what somebody has to look at


def create_cases() -> None:
    op.create_table(
        "payment_case",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=True),
        sa.Column("kind", sa.Text(collation="C"), nullable=False),
        sa.Column("subject", sa.Text(collation="C"), nullable=False),
        sa.Column("currency", sa.Text(collation="C"), nullable=True),
        sa.Column("minor", sa.BigInteger(), nullable=True),
        sa.Column("cause", sa.Text(collation="C"), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("proposal", JSONB(), nullable=True),
        sa.Column("state", sa.Text(collation="C"), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("resolved_by", sa.Text(collation="C"), nullable=True),
        sa.Column("journal_id", sa.Text(collation="C"), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("state in ('open','accepted','dismissed')", name=op.f("ck_payment_case_state")),
        sa.CheckConstraint("(state = 'open') = (resolved_at is null)", name=op.f("ck_payment_case_resolved")),
        sa.CheckConstraint("(currency is null) = (minor is null)", name=op.f("ck_payment_case_amount")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_case")),
        sa.UniqueConstraint("kind", "subject", name=op.f("uq_payment_case_kind_subject")),
    )
    op.create_index(
        "ix_payment_case_open",
        "payment_case",
        ["created_at", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index("ix_payment_case_created_at", "payment_case", ["created_at", "id"], unique=False)
    resolving = "state, note, resolved_by, journal_id, resolved_at, version"
    rights = f"select, insert, update ({resolving})"
    secure("payment_case", application=rights, crossing=rights)


def drop_cases() -> None:
    op.drop_table("payment_case")


# -- refunds


def create_refunds() -> None:
    pass


def drop_refunds() -> None:
    pass


# -- disputes: what customers contest, and what their banks take back


def create_disputes() -> None:
    pass


def drop_disputes() -> None:
    pass


# -- retries and dunning


def create_dunning() -> None:
    op.create_table(
        "dunning_campaign",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("plan_id", sa.Text(collation="C"), nullable=True),
        sa.Column("currency", sa.Text(collation="C"), nullable=True),
        sa.Column("country", sa.Text(collation="C"), nullable=True),
        sa.Column("minimum_minor", sa.BigInteger(), nullable=False),
        sa.Column("maximum_minor", sa.BigInteger(), nullable=True),
        sa.Column("retry_days", JSONB(), nullable=False),
        sa.Column("learned_hours", sa.Boolean(), nullable=False),
        sa.Column("steps", JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "currency is not null or (minimum_minor = 0 and maximum_minor is null)",
            name=op.f("ck_dunning_campaign_bounds_in_a_currency"),
        ),
        sa.CheckConstraint("maximum_minor >= minimum_minor", name=op.f("ck_dunning_campaign_maximum_minor")),
        sa.CheckConstraint("minimum_minor >= 0", name=op.f("ck_dunning_campaign_minimum_minor")),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_dunning_campaign_plan_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dunning_campaign")),
        sa.UniqueConstraint("name", name=op.f("uq_dunning_campaign_name")),
    )
    op.create_index("ix_dunning_campaign_created_at", "dunning_campaign", ["created_at", "id"], unique=False)
    op.create_table(
        "dunning_case",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("invoice_id", sa.Text(collation="C"), nullable=False),
        sa.Column("campaign_id", sa.Text(collation="C"), nullable=False),
        sa.Column("state", sa.Text(collation="C"), nullable=False),
        sa.Column("outcome", sa.Text(collation="C"), nullable=True),
        sa.Column("steps", JSONB(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("base_date", sa.Date(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("restricts", sa.Boolean(), nullable=False),
        sa.Column("paused_subscription", sa.Boolean(), nullable=False),
        sa.Column("currency", sa.Text(collation="C"), nullable=False),
        sa.Column("recovered_minor", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(state = 'active') = (next_at is not null)", name=op.f("ck_dunning_case_next_at")
        ),
        sa.CheckConstraint(
            "(state = 'ended') = (ended_at is not null and outcome is not null)",
            name=op.f("ck_dunning_case_ended"),
        ),
        sa.CheckConstraint("state in ('active','paused','ended')", name=op.f("ck_dunning_case_state")),
        sa.CheckConstraint("recovered_minor >= 0", name=op.f("ck_dunning_case_recovered")),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["dunning_campaign.id"], name=op.f("fk_dunning_case_campaign_id")
        ),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_dunning_case_invoice_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_dunning_case_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dunning_case")),
        sa.UniqueConstraint("invoice_id", name=op.f("uq_dunning_case_invoice_id")),
    )
    op.create_index("ix_dunning_case_campaign_id", "dunning_case", ["campaign_id", "id"], unique=False)
    op.create_index("ix_dunning_case_created_at", "dunning_case", ["created_at", "id"], unique=False)
    op.create_index(
        "ix_dunning_case_next_at",
        "dunning_case",
        ["next_at", "id"],
        unique=False,
        postgresql_where=sa.text("next_at is not null"),
    )
    op.create_index(
        "ix_dunning_case_organization_id",
        "dunning_case",
        ["organization_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_dunning_case_restricts",
        "dunning_case",
        ["organization_id"],
        unique=False,
        postgresql_where=sa.text("restricts"),
    )
    op.create_index(
        "ix_dunning_case_open",
        "dunning_case",
        ["id"],
        unique=False,
        postgresql_where=sa.text("state <> 'ended' or restricts or paused_subscription"),
    )
    op.create_table(
        "dunning_step",
        sa.Column("case_id", sa.Text(collation="C"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("action", sa.Text(collation="C"), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recovered_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("recovered_minor >= 0", name=op.f("ck_dunning_step_recovered")),
        sa.ForeignKeyConstraint(["case_id"], ["dunning_case.id"], name=op.f("fk_dunning_step_case_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_dunning_step_organization_id")
        ),
        sa.PrimaryKeyConstraint("case_id", "position", name=op.f("pk_dunning_step")),
    )
    op.create_table(
        "invoice_collection",
        sa.Column("invoice_id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(collation="C"), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["invoice_id"], ["invoice.id"], name=op.f("fk_invoice_collection_invoice_id")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_invoice_collection_organization_id")
        ),
        sa.PrimaryKeyConstraint("invoice_id", name=op.f("pk_invoice_collection")),
    )
    op.create_index(
        "ix_invoice_collection_next_at",
        "invoice_collection",
        ["next_at", "invoice_id"],
        unique=False,
        postgresql_where=sa.text("next_at is not null"),
    )
    run("grant select on dunning_campaign to matrix_app")
    run("grant select, insert, update on dunning_campaign to matrix_crossing")
    for table in ("dunning_case", "dunning_step", "invoice_collection"):
        rights = "select, insert, update"
        secure(table, application=rights, crossing=rights)


def drop_dunning() -> None:
    for table in ("invoice_collection", "dunning_step", "dunning_case", "dunning_campaign"):
        op.drop_table(table)


# -- payment links


def create_links() -> None:
    pass


def drop_links() -> None:
    pass


# -- reconciliation: what providers and banks say moved


def create_reconciliation() -> None:
    pass


def drop_reconciliation() -> None:
    pass


# -- crypto


def create_crypto() -> None:
    pass


def drop_crypto() -> None:
    pass
