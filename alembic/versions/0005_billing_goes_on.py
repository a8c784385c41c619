"""What billing needs to go on by itself: plans that move their subscribers, usage that is billed without a plan.

Each field has a function that makes what it needs and one that takes it away again.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

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
    create_payments()


def downgrade() -> None:
    drop_payments()
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
    """Nothing yet."""


def drop_for_plans() -> None:
    """Nothing yet."""


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


# -- payments


IN_SCOPE = "organization_id = any ((select matrix_scope())::text[])"
# What the application may change of a payment: never whose it is, for what, or how much.
_OF_A_PAYMENT = (
    "state, applied_minor, refunded_minor, provider_ref, action, decline_code, decline_hard, message, journal_id,"
    " succeeded_at, ended_at, check_at, checks, version"
)
_OF_A_METHOD = "name, brand, last4, expires_month, expires_year, is_default, removed_at, version"
PAYMENT_TENANT = {
    "payment": f"select, insert, update ({_OF_A_PAYMENT})",
    "payment_method": f"select, insert, update ({_OF_A_METHOD})",
    "provider_customer": "select, insert",
}
# Of the house: which accounts there are is read by all who pay, what providers tell only by work across tenants.
PAYMENT_HOUSE = {
    "provider_account": "select, insert, update (name, settings, secrets, enabled, version)",
    "provider_event": "select, insert, update (handled_at, due_at, attempts, reason), delete",
}


def create_payments() -> None:
    create_payment_tables()
    for table, rights in PAYMENT_TENANT.items():
        secure(table, application=rights, crossing=rights)
    for table, rights in PAYMENT_HOUSE.items():
        run(f"grant {rights} on {table} to matrix_crossing")
    run("grant select on provider_account to matrix_app")


def secure(table: str, *, application: str, crossing: str) -> None:
    """Row-level security on a tenant's table, and what the two roles may do with the rows they see."""
    run(f"alter table {table} enable row level security")
    run(f"alter table {table} force row level security")
    run(f"create policy tenant on {table} to matrix_app using ({IN_SCOPE}) with check ({IN_SCOPE})")
    run(f"create policy crossing on {table} to matrix_crossing using (true) with check (true)")
    run(f"create policy migration on {table} to current_user using (true) with check (true)")
    run(f"grant {application} on {table} to matrix_app")
    run(f"grant {crossing} on {table} to matrix_crossing")


def create_payment_tables() -> None:
    op.create_table(
        "provider_account",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("provider", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("is_test", sa.Boolean(), nullable=False),
        sa.Column("settings", JSONB(), nullable=False),
        sa.Column("secrets", sa.LargeBinary(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_account")),
        sa.UniqueConstraint("name", name=op.f("uq_provider_account_name")),
    )
    op.create_index("ix_provider_account_provider", "provider_account", ["provider", "id"], unique=False)
    op.create_table(
        "provider_event",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("provider_account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("event_id", sa.Text(collation="C"), nullable=False),
        sa.Column("kind", sa.Text(collation="C"), nullable=False),
        sa.Column("subject", sa.Text(collation="C"), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("handled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["provider_account_id"],
            ["provider_account.id"],
            name=op.f("fk_provider_event_provider_account_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_event")),
        sa.UniqueConstraint(
            "provider_account_id", "event_id", name=op.f("uq_provider_event_provider_account_id_event_id")
        ),
    )
    op.create_index(
        "ix_provider_event_due",
        "provider_event",
        ["due_at", "id"],
        unique=False,
        postgresql_where=sa.text("due_at is not null"),
    )
    op.create_index("ix_provider_event_received_at", "provider_event", ["received_at", "id"], unique=False)
    op.create_table(
        "payment_method",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("provider_account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("kind", sa.Text(collation="C"), nullable=False),
        sa.Column("brand", sa.Text(collation="C"), nullable=False),
        sa.Column("last4", sa.Text(collation="C"), nullable=False),
        sa.Column("expires_month", sa.Integer(), nullable=True),
        sa.Column("expires_year", sa.Integer(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(expires_month is null) = (expires_year is null)", name=op.f("ck_payment_method_expiry")
        ),
        sa.CheckConstraint("expires_month between 1 and 12", name=op.f("ck_payment_method_expires_month")),
        sa.CheckConstraint(
            "not (is_default and removed_at is not null)", name=op.f("ck_payment_method_default_is_there")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_payment_method_organization_id")
        ),
        sa.ForeignKeyConstraint(
            ["provider_account_id"],
            ["provider_account.id"],
            name=op.f("fk_payment_method_provider_account_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_method")),
        sa.UniqueConstraint(
            "provider_account_id", "token_hash", name=op.f("uq_payment_method_provider_account_id_token_hash")
        ),
    )
    op.create_index(
        "ix_payment_method_organization_id",
        "payment_method",
        ["organization_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        "uq_payment_method_default",
        "payment_method",
        ["organization_id"],
        unique=True,
        postgresql_where=sa.text("is_default"),
    )
    op.create_table(
        "provider_customer",
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("provider_account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("reference", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_provider_customer_organization_id")
        ),
        sa.ForeignKeyConstraint(
            ["provider_account_id"],
            ["provider_account.id"],
            name=op.f("fk_provider_customer_provider_account_id"),
        ),
        sa.PrimaryKeyConstraint("organization_id", "provider_account_id", name=op.f("pk_provider_customer")),
    )
    op.create_table(
        "payment",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("invoice_id", sa.Text(collation="C"), nullable=True),
        sa.Column("provider_account_id", sa.Text(collation="C"), nullable=True),
        sa.Column("provider", sa.Text(collation="C"), nullable=False),
        sa.Column("method_id", sa.Text(collation="C"), nullable=True),
        sa.Column("keep_method", sa.Boolean(), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("state", sa.Text(collation="C"), nullable=False),
        sa.Column("initiator", sa.Text(collation="C"), nullable=False),
        sa.Column("currency", sa.Text(collation="C"), nullable=False),
        sa.Column("minor", sa.BigInteger(), nullable=False),
        sa.Column("applied_minor", sa.BigInteger(), nullable=False),
        sa.Column("refunded_minor", sa.BigInteger(), nullable=False),
        sa.Column("provider_ref", sa.Text(collation="C"), nullable=True),
        sa.Column("action", JSONB(), nullable=True),
        sa.Column("decline_code", sa.Text(collation="C"), nullable=True),
        sa.Column("decline_hard", sa.Boolean(), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("journal_id", sa.Text(collation="C"), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("succeeded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("check_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("checks", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(state = 'succeeded') = (succeeded_at is not null)", name=op.f("ck_payment_succeeded")
        ),
        sa.CheckConstraint("initiator in ('customer','schedule','staff')", name=op.f("ck_payment_initiator")),
        sa.CheckConstraint(
            "state = 'succeeded' or refunded_minor + applied_minor = 0",
            name=op.f("ck_payment_moves_when_it_came"),
        ),
        sa.CheckConstraint(
            "state in ('sending','requires_action','processing','succeeded','failed','canceled')",
            name=op.f("ck_payment_state"),
        ),
        sa.CheckConstraint(
            "(decline_code is null) = (decline_hard is null)", name=op.f("ck_payment_decline")
        ),
        sa.CheckConstraint("applied_minor between 0 and minor", name=op.f("ck_payment_applied")),
        sa.CheckConstraint("minor > 0 and refunded_minor between 0 and minor", name=op.f("ck_payment_minor")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_payment_invoice_id")),
        sa.ForeignKeyConstraint(["method_id"], ["payment_method.id"], name=op.f("fk_payment_method_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_payment_organization_id")
        ),
        sa.ForeignKeyConstraint(
            ["provider_account_id"], ["provider_account.id"], name=op.f("fk_payment_provider_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment")),
        sa.UniqueConstraint("organization_id", "key", name=op.f("uq_payment_organization_id_key")),
        sa.UniqueConstraint(
            "provider_account_id", "provider_ref", name=op.f("uq_payment_provider_account_id_provider_ref")
        ),
    )
    op.create_index(
        "ix_payment_check_at",
        "payment",
        ["check_at", "id"],
        unique=False,
        postgresql_where=sa.text("check_at is not null"),
    )
    op.create_index("ix_payment_created_at", "payment", ["created_at", "id"], unique=False)
    op.create_index("ix_payment_invoice_id", "payment", ["invoice_id", "created_at", "id"], unique=False)
    op.create_index(
        "ix_payment_organization_id", "payment", ["organization_id", "created_at", "id"], unique=False
    )
    op.create_index(
        "uq_payment_under_way",
        "payment",
        ["invoice_id"],
        unique=True,
        postgresql_where=sa.text("state in ('sending','requires_action','processing')"),
    )


def drop_payments() -> None:
    for table in ("payment", "provider_customer", "payment_method", "provider_event", "provider_account"):
        op.drop_table(table)
