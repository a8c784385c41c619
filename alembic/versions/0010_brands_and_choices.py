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


def upgrade() -> None:
    create_later_starts()
    create_ways_of_collecting()


def downgrade() -> None:
    drop_ways_of_collecting()
    drop_later_starts()


# -- later starts: a subscription that was agreed to and begins on a day to come


def create_later_starts() -> None:
    _allow_states("'scheduled','incomplete','trialing','active','past_due','paused','canceled','ended'")


def drop_later_starts() -> None:
    run(
        "update subscription set state = 'ended', ended_at = created_at, next_at = null where state = 'scheduled'"
    )
    _allow_states("'incomplete','trialing','active','past_due','paused','canceled','ended'")


def _allow_states(states: str) -> None:
    run("alter table subscription drop constraint ck_subscription_state")
    run(f"alter table subscription add constraint ck_subscription_state check (state in ({states}))")


# -- ways of collecting: invoices of a subscription are charged by themselves, or sent with days to pay them in


def create_ways_of_collecting() -> None:
    run(
        "alter table subscription add collection text collate \"C\" not null default 'charge', add payment_days integer"
    )
    run(
        "alter table subscription add constraint ck_subscription_collection check (collection in ('charge','send'))"
    )
    run(
        "alter table subscription add constraint ck_subscription_payment_days check"
        " (payment_days is null or (collection = 'send' and payment_days between 0 and 365))"
    )


def drop_ways_of_collecting() -> None:
    run("alter table subscription drop payment_days, drop collection")
