"""Brands of a legal entity, and what is chosen for one subscription.

Each field has a function that makes what it needs and one that takes it away again.
"""

from __future__ import annotations

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


# -- tax numbers: valid ones are asked about again before their proof is old


def create_renewed_numbers() -> None:
    run(
        "update billing_profile set number_check_at = (tax_number ->> 'checked_at')::timestamptz + interval '90 days'"
        " where tax_number ->> 'state' = 'valid' and tax_number ->> 'source' = 'VIES' and number_check_at is null"
    )


def drop_renewed_numbers() -> None:
    run("update billing_profile set number_check_at = null where tax_number ->> 'state' = 'valid'")


def upgrade() -> None:
    create_renewed_numbers()


def downgrade() -> None:
    drop_renewed_numbers()
