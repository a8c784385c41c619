"""What billing needs to go on by itself: plans that move their subscribers, usage that is billed without a plan.

Each field has a function that makes what it needs and one that takes it away again.
"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0005"
down_revision = "0004"
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
    create_for_runs()
    create_for_plans()
    create_for_usage()
    create_for_pages()


def downgrade() -> None:
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
    create_paid_ahead()
    create_usage_periods()
    create_throttles()


def drop_for_usage() -> None:
    drop_throttles()
    op.drop_table("usage_period")
    op.drop_index("ix_usage_event_paid_ahead", table_name="usage_event")
    op.drop_column("usage_event", "paid_ahead")


def create_paid_ahead() -> None:
    op.add_column(
        "usage_event", sa.Column("paid_ahead", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.create_index(
        "ix_usage_event_paid_ahead",
        "usage_event",
        ["type", "organization_id", "time"],
        postgresql_where=sa.text("paid_ahead"),
    )


def create_throttles() -> None:
    op.add_column("budget", sa.Column("requests_per_minute", sa.Integer(), nullable=True))
    op.drop_constraint(op.f("ck_budget_action"), "budget", type_="check")
    for name, condition in (
        ("action", "action in ('notify','stop','throttle')"),
        ("throttle", "(action = 'throttle') = (requests_per_minute is not null)"),
        ("requests_per_minute", "requests_per_minute > 0"),
    ):
        op.create_check_constraint(op.f(f"ck_budget_{name}"), "budget", condition)


def drop_throttles() -> None:
    """Those that slowed calls down tell of what is used from then on."""
    op.drop_constraint(op.f("ck_budget_throttle"), "budget", type_="check")
    op.drop_constraint(op.f("ck_budget_action"), "budget", type_="check")
    run("update budget set action = 'notify' where action = 'throttle'")
    op.create_check_constraint(op.f("ck_budget_action"), "budget", "action in ('notify','stop')")
    op.drop_column("budget", "requests_per_minute")


def create_usage_periods() -> None:
    """Whoever is there already is billed by the price list from now on, and not for what was used before."""
    op.create_table(
        "usage_period",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(collation="C"), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("parked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("parked_reason", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state in ('open','collecting','closed')", name=op.f("ck_usage_period_state")),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_usage_period_span")),
        sa.CheckConstraint("(state = 'closed') = (next_at is null)", name=op.f("ck_usage_period_next_at")),
        sa.CheckConstraint(
            "(parked_reason is null) = (parked_at is null)", name=op.f("ck_usage_period_parked")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
            name=op.f("fk_usage_period_organization_id_organization"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_usage_period")),
        sa.UniqueConstraint(
            "organization_id", "starts_at", name=op.f("uq_usage_period_organization_id_starts_at")
        ),
    )
    op.create_index("ix_usage_period_starts_at", "usage_period", ["starts_at", "id"])
    for name, column, which in (
        ("next_at", "next_at", "next_at is not null and parked_at is null"),
        ("retry_at", "retry_at", "parked_at is not null"),
    ):
        op.create_index(
            f"ix_usage_period_{name}", "usage_period", [column, "id"], postgresql_where=sa.text(which)
        )
    secure("usage_period", application="select, insert, update", crossing="select, insert, update")
    run(
        "insert into usage_period (id, organization_id, starts_at, ends_at, state, next_at, attempts)"
        " select 'uper_' || substr(o.id, 5), o.id, b.at, e.at, 'open', e.at, 0 from organization o"
        " left join test_clock c on c.id = o.test_clock_id"
        " cross join lateral (select date_trunc('minute', case when c.id is null or (c.follows_wall"
        " and c.now_at >= now()) then now() else c.now_at end) as at) b"
        " cross join lateral (select (date_trunc('month', b.at at time zone o.timezone) + interval '1 month')"
        " at time zone o.timezone as at) e where o.kind <> 'operator'"
    )


# -- what staff pages need


def create_for_pages() -> None:
    """Nothing yet."""


def drop_for_pages() -> None:
    """Nothing yet."""
