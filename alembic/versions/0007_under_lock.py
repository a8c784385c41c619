"""What secrets were opened, and the files that staff add to a dispute.

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


def downgrade() -> None:
    drop_evidence()
    drop_keys()


# -- keys: what was opened with them


def create_keys() -> None:
    run("grant update (token) on payment_method to matrix_crossing")  # what a rotation re-wraps
    run("grant update (reference) on provider_customer to matrix_crossing")
    op.create_table(
        "secret_opening",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_id", sa.Text(collation="C"), nullable=False),
        sa.Column("purpose", sa.Text(collation="C"), nullable=False),
        sa.Column("tenant", sa.Text(collation="C"), nullable=False),
        sa.Column("table_name", sa.Text(collation="C"), nullable=False),
        sa.Column("column_name", sa.Text(collation="C"), nullable=False),
        sa.Column("row_id", sa.Text(collation="C"), nullable=False),
        sa.Column("trace_id", sa.Text(collation="C"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_secret_opening")),
    )
    op.create_index("ix_secret_opening_opened_at", "secret_opening", ["opened_at", "id"])
    op.create_index("ix_secret_opening_tenant", "secret_opening", ["tenant", "opened_at", "id"])
    # Who works for a tenant writes of that tenant and reads nothing; nobody changes a row, and none goes in its year.
    of_scope = "tenant = 'platform' or tenant = any ((select matrix_scope())::text[])"
    run("alter table secret_opening enable row level security")
    run("alter table secret_opening force row level security")
    run(f"create policy tenant on secret_opening for insert to matrix_app with check ({of_scope})")
    run("create policy crossing on secret_opening for insert to matrix_crossing with check (true)")
    run("create policy reading on secret_opening for select to matrix_crossing using (true)")
    run(
        "create policy old on secret_opening for delete to matrix_crossing"
        " using (opened_at < now() - interval '365 days')"
    )
    run("create policy migration on secret_opening to current_user using (true) with check (true)")
    run("grant insert on secret_opening to matrix_app")
    run("grant select, insert, delete on secret_opening to matrix_crossing")


def drop_keys() -> None:
    op.drop_table("secret_opening")
    run("revoke update (reference) on provider_customer from matrix_crossing")
    run("revoke update (token) on payment_method from matrix_crossing")


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
