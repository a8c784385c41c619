"""Brands of a legal entity, and what is chosen for one subscription.

Each field has a function that makes what it needs and one that takes it away again.
"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0010"
down_revision = "0009"
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


# -- overdue invoices: found by their due dates, and by the clocks of those who have one of their own


def create_late() -> None:
    # A function, because its answer is known when a statement is planned: how few they mostly are makes its plan.
    run(
        "create function matrix_on_clocks() returns text[] language sql stable parallel safe as"
        " $$ select coalesce(array_agg(id), '{}') from organization where test_clock_id is not null $$"
    )
    # What comes in its place is made beside the work of others: services/core/online_indexes.py.
    op.drop_index("ix_invoice_overdue", table_name="invoice")


def drop_late() -> None:
    for index in ("ix_invoice_unpaid", "ix_invoice_state", "ix_terms_acceptance_terms_id"):
        run(f"drop index if exists {index}")
    op.create_index(
        "ix_invoice_overdue",
        "invoice",
        ["due_date", "id"],
        postgresql_where=sa.text("state = 'finalized' and due_minor > 0 and subscription_id is not null"),
    )
    run("drop function matrix_on_clocks()")


def upgrade() -> None:
    create_late()


def downgrade() -> None:
    drop_late()
