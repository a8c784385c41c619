"""Keys of others and what is opened with them, evidence that staff add, and what the rest of payments needs.

Each field has a function that makes what it needs and one that takes it away again.
"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0007"
down_revision = "0006"
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
    create_keys()
    create_evidence()
    create_billing()
    create_paying()


def downgrade() -> None:
    drop_paying()
    drop_billing()
    drop_evidence()
    drop_keys()


# -- keys: what was opened with them


def create_keys() -> None:
    pass


def drop_keys() -> None:
    pass


# -- evidence: what staff add to a dispute, and what cases propose


def create_evidence() -> None:
    op.create_table(
        "dispute_file",
        sa.Column("file_id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("dispute_id", sa.Text(collation="C"), nullable=False),
        sa.Column("field", sa.Text(collation="C"), nullable=False),
        sa.PrimaryKeyConstraint("file_id", name=op.f("pk_dispute_file")),
        *(
            sa.ForeignKeyConstraint([column], [f"{table}.id"], name=op.f(f"fk_dispute_file_{column}"))
            for column, table in (
                ("file_id", "stored_file"), ("organization_id", "organization"), ("dispute_id", "dispute"),
            )
        ),
    )  # fmt: skip
    op.create_index("ix_dispute_file_dispute_id", "dispute_file", ["dispute_id", "file_id"])
    secure("dispute_file", application="select, insert", crossing="select, insert")


def drop_evidence() -> None:
    op.drop_table("dispute_file")


# -- billing


def create_billing() -> None:
    pass


def drop_billing() -> None:
    pass


# -- paying


def create_paying() -> None:
    pass


def drop_paying() -> None:
    pass
