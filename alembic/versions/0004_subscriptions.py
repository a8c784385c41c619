"""What is billed by itself: subscriptions, wallets, budgets, and the papers that are made of documents.

Each field has a function that makes what it needs and one that takes it away again.
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

IN_SCOPE = "organization_id = any ((select matrix_scope())::text[])"


def run(statement: str) -> None:
    """Plain SQL, as it is: colons and percent signs mean nothing to the driver."""
    op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})


def upgrade() -> None:
    create_subscriptions()
    create_wallets()
    create_budgets()
    create_papers()


def downgrade() -> None:
    drop_papers()
    drop_budgets()
    drop_wallets()
    drop_subscriptions()


def secure(table: str, *, application: str, crossing: str, visible: str = IN_SCOPE) -> None:
    """Row-level security on a tenant's table, and what the two roles may do with the rows they see."""
    run(f"alter table {table} enable row level security")
    run(f"alter table {table} force row level security")
    run(f"create policy tenant on {table} to matrix_app using ({visible}) with check ({visible})")
    run(f"create policy crossing on {table} to matrix_crossing using (true) with check (true)")
    run(f"create policy migration on {table} to current_user using (true) with check (true)")
    run(f"grant {application} on {table} to matrix_app")
    run(f"grant {crossing} on {table} to matrix_crossing")


# -- subscriptions


def create_subscriptions() -> None:
    pass


def drop_subscriptions() -> None:
    pass


# -- wallets


def create_wallets() -> None:
    pass


def drop_wallets() -> None:
    pass


# -- budgets


def create_budgets() -> None:
    pass


def drop_budgets() -> None:
    pass


# -- papers: templates, and the bytes that were made of documents


def create_papers() -> None:
    pass


def drop_papers() -> None:
    pass
