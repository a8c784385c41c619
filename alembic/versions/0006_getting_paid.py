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
    pass


def drop_links() -> None:
    pass


# -- reconciliation: what providers and banks say moved


_OF_A_MOVEMENT = "payout_id, match, subject_id, journal_id, fee_journal_id"
RECONCILED = {
    "provider_pull": "select, insert, update (read_until, page_since, page_until, cursor, due_at, pulled_at, reason)",
    "provider_payout": "select, insert, update (state, failure, arrives_at, traced, read_at, bank_line_id)",
    "provider_movement": f"select, insert, update ({_OF_A_MOVEMENT})",
    "bank_statement": "select, insert, update (new_lines)",
    "bank_line": "select, insert, update (match, subject_id, journal_id)",
}


def create_reconciliation() -> None:
    op.create_table(
        "bank_statement",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("format", sa.Text(collation="C"), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("new_lines", sa.Integer(), nullable=False),
        sa.Column("imported_by", sa.Text(collation="C"), nullable=False),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_statement")),
        sa.UniqueConstraint("sha256", name=op.f("uq_bank_statement_sha256")),
    )
    op.create_index("ix_bank_statement_imported_at", "bank_statement", ["imported_at", "id"], unique=False)
    op.create_table(
        "bank_line",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("statement_id", sa.Text(collation="C"), nullable=False),
        sa.Column("account", sa.Text(collation="C"), nullable=False),
        sa.Column("bank_ref", sa.Text(collation="C"), nullable=False),
        sa.Column("booked_on", sa.Date(), nullable=False),
        sa.Column("currency", sa.Text(collation="C"), nullable=False),
        sa.Column("minor", sa.BigInteger(), nullable=False),
        sa.Column("counterparty", sa.Text(), nullable=False),
        sa.Column("remittance", sa.Text(), nullable=False),
        sa.Column("match", sa.Text(collation="C"), nullable=False),
        sa.Column("subject_id", sa.Text(collation="C"), nullable=True),
        sa.Column("journal_id", sa.Text(collation="C"), nullable=True),
        sa.CheckConstraint(
            "match in ('waiting','matched','differs','settled')", name=op.f("ck_bank_line_match")
        ),
        sa.CheckConstraint("minor <> 0", name=op.f("ck_bank_line_minor")),
        sa.ForeignKeyConstraint(
            ["statement_id"], ["bank_statement.id"], name=op.f("fk_bank_line_statement_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_line")),
        sa.UniqueConstraint("account", "bank_ref", name=op.f("uq_bank_line_account_bank_ref")),
    )
    op.create_index("ix_bank_line_booked_on", "bank_line", ["booked_on", "id"], unique=False)
    op.create_index(
        "ix_bank_line_open",
        "bank_line",
        ["id"],
        unique=False,
        postgresql_where=sa.text("match in ('waiting','differs')"),
    )
    op.create_index("ix_bank_line_statement_id", "bank_line", ["statement_id", "id"], unique=False)
    op.create_table(
        "provider_payout",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("provider_account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("provider_ref", sa.Text(collation="C"), nullable=False),
        sa.Column("state", sa.Text(collation="C"), nullable=False),
        sa.Column("currency", sa.Text(collation="C"), nullable=False),
        sa.Column("minor", sa.BigInteger(), nullable=False),
        sa.Column("traced", sa.Boolean(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("arrives_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("bank_line_id", sa.Text(collation="C"), nullable=True),
        sa.ForeignKeyConstraint(
            ["provider_account_id"],
            ["provider_account.id"],
            name=op.f("fk_provider_payout_provider_account_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_payout")),
        sa.UniqueConstraint(
            "provider_account_id",
            "provider_ref",
            name=op.f("uq_provider_payout_provider_account_id_provider_ref"),
        ),
    )
    op.create_index(
        "ix_provider_payout_amount", "provider_payout", ["currency", "minor", "arrives_at"], unique=False
    )
    op.create_index("ix_provider_payout_happened_at", "provider_payout", ["happened_at", "id"], unique=False)
    op.create_table(
        "provider_pull",
        sa.Column("provider_account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("read_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("page_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("page_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cursor", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("pulled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["provider_account_id"],
            ["provider_account.id"],
            name=op.f("fk_provider_pull_provider_account_id"),
        ),
        sa.PrimaryKeyConstraint("provider_account_id", name=op.f("pk_provider_pull")),
    )
    op.create_index(
        "ix_provider_pull_due_at", "provider_pull", ["due_at", "provider_account_id"], unique=False
    )
    op.create_table(
        "provider_movement",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("provider_account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("provider_ref", sa.Text(collation="C"), nullable=False),
        sa.Column("kind", sa.Text(collation="C"), nullable=False),
        sa.Column("category", sa.Text(collation="C"), nullable=False),
        sa.Column("currency", sa.Text(collation="C"), nullable=False),
        sa.Column("gross_minor", sa.BigInteger(), nullable=False),
        sa.Column("fee_minor", sa.BigInteger(), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(collation="C"), nullable=False),
        sa.Column("payment_ref", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("payout_id", sa.Text(collation="C"), nullable=True),
        sa.Column("match", sa.Text(collation="C"), nullable=False),
        sa.Column("subject_id", sa.Text(collation="C"), nullable=True),
        sa.Column("journal_id", sa.Text(collation="C"), nullable=True),
        sa.Column("fee_journal_id", sa.Text(collation="C"), nullable=True),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("available_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "match in ('waiting','matched','differs','settled')", name=op.f("ck_provider_movement_match")
        ),
        sa.CheckConstraint("net_minor = gross_minor - fee_minor", name=op.f("ck_provider_movement_net")),
        sa.ForeignKeyConstraint(
            ["payout_id"], ["provider_payout.id"], name=op.f("fk_provider_movement_payout_id")
        ),
        sa.ForeignKeyConstraint(
            ["provider_account_id"],
            ["provider_account.id"],
            name=op.f("fk_provider_movement_provider_account_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_movement")),
        sa.UniqueConstraint(
            "provider_account_id",
            "provider_ref",
            name=op.f("uq_provider_movement_provider_account_id_provider_ref"),
        ),
    )
    op.create_index(
        "ix_provider_movement_account",
        "provider_movement",
        ["provider_account_id", "currency", "happened_at"],
        unique=False,
    )
    op.create_index(
        "ix_provider_movement_fee",
        "provider_movement",
        ["id"],
        unique=False,
        postgresql_where=sa.text("fee_journal_id is null and (fee_minor <> 0 or kind = 'fee')"),
    )
    op.create_index(
        "ix_provider_movement_happened_at", "provider_movement", ["happened_at", "id"], unique=False
    )
    op.create_index(
        "ix_provider_movement_open",
        "provider_movement",
        ["id"],
        unique=False,
        postgresql_where=sa.text("match in ('waiting','differs')"),
    )
    op.create_index("ix_provider_movement_payout_id", "provider_movement", ["payout_id"], unique=False)
    op.create_index("ix_provider_movement_subject_id", "provider_movement", ["subject_id"], unique=False)
    op.create_index(
        "uq_provider_movement_journal_id",
        "provider_movement",
        ["journal_id"],
        unique=True,
        postgresql_where=sa.text("kind <> 'fee'"),
    )
    for table, rights in RECONCILED.items():
        run(f"grant {rights} on {table} to matrix_crossing")
    # What came instead of what was asked for is booked as it came.
    run("grant update (minor) on payment to matrix_crossing")


def drop_reconciliation() -> None:
    run("revoke update (minor) on payment from matrix_crossing")
    for table in ("provider_movement", "provider_pull", "provider_payout", "bank_line", "bank_statement"):
        op.drop_table(table)


# -- crypto


def create_crypto() -> None:
    pass


def drop_crypto() -> None:
    pass
