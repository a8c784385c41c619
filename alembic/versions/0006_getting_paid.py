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
    pass


def drop_dunning() -> None:
    pass


# -- payment links


def create_links() -> None:
    op.create_table(
        "payment_link",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("invoice_id", sa.Text(collation="C"), nullable=False),
        sa.Column("created_by", sa.Text(collation="C"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_payment_link_invoice_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_payment_link_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_link")),
    )
    op.create_index(
        "ix_payment_link_invoice_id",
        "payment_link",
        ["invoice_id", "expires_at"],
        unique=False,
        postgresql_where=sa.text("revoked_at is null"),
    )
    rights = "select, insert, update (revoked_at)"
    secure("payment_link", application=rights, crossing=rights)
    op.add_column("payment", sa.Column("link_id", sa.Text(collation="C"), nullable=True))
    op.create_foreign_key(op.f("fk_payment_link_id"), "payment", "payment_link", ["link_id"], ["id"])
    create_method_setups()


def create_method_setups() -> None:
    op.create_table(
        "method_setup",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("provider_account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("state", sa.Text(collation="C"), nullable=False),
        sa.Column("provider_ref", sa.Text(collation="C"), nullable=True),
        sa.Column("action", JSONB(), nullable=True),
        sa.Column("method_id", sa.Text(collation="C"), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("check_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("checks", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state in ('sending','waiting','kept','failed','canceled')", name=op.f("ck_method_setup_state")
        ),
        sa.CheckConstraint(
            "(state in ('sending','waiting')) = (ended_at is null)", name=op.f("ck_method_setup_ended")
        ),
        sa.CheckConstraint("(state = 'kept') = (method_id is not null)", name=op.f("ck_method_setup_kept")),
        sa.ForeignKeyConstraint(["method_id"], ["payment_method.id"], name=op.f("fk_method_setup_method_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_method_setup_organization_id")
        ),
        sa.ForeignKeyConstraint(
            ["provider_account_id"], ["provider_account.id"], name=op.f("fk_method_setup_provider_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_method_setup")),
        sa.UniqueConstraint("organization_id", "key", name=op.f("uq_method_setup_organization_id_key")),
    )
    op.create_index(
        "ix_method_setup_organization_id",
        "method_setup",
        ["organization_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_method_setup_check_at",
        "method_setup",
        ["check_at", "id"],
        unique=False,
        postgresql_where=sa.text("check_at is not null"),
    )
    changes = "state, provider_ref, action, method_id, message, ended_at, check_at, checks, version"
    rights = f"select, insert, update ({changes})"
    secure("method_setup", application=rights, crossing=rights)


def drop_links() -> None:
    op.drop_table("method_setup")
    op.drop_constraint(op.f("fk_payment_link_id"), "payment", type_="foreignkey")
    op.drop_column("payment", "link_id")
    op.drop_table("payment_link")


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
