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


def upgrade() -> None:
    create_blocks()
    let_coins_come_back()
    open_openings()


def downgrade() -> None:
    close_openings()
    forget_coins_that_came_back()
    drop_blocks()


# -- blocks: since when and until when a case had calls refused, so that what was paid for that time is credited


def create_blocks() -> None:
    op.create_table(
        "dunning_block",
        sa.Column("case_id", sa.Text(collation="C"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due", sa.Boolean(), nullable=False),
        sa.CheckConstraint("ended_at >= started_at", name=op.f("ck_dunning_block_ended")),
        sa.CheckConstraint("not due or ended_at is not null", name=op.f("ck_dunning_block_due")),
        sa.ForeignKeyConstraint(["case_id"], ["dunning_case.id"], name=op.f("fk_dunning_block_case_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_dunning_block_organization_id")
        ),
        sa.PrimaryKeyConstraint("case_id", "started_at", name=op.f("pk_dunning_block")),
    )
    op.create_index(
        "uq_dunning_block_open", "dunning_block", ["case_id"], unique=True,
        postgresql_where=sa.text("ended_at is null"),
    )  # fmt: skip
    op.create_index("ix_dunning_block_organization_id", "dunning_block", ["organization_id", "started_at"])
    op.create_index(
        "ix_dunning_block_due", "dunning_block", ["organization_id"], postgresql_where=sa.text("due")
    )
    rights = "select, insert, update"
    secure("dunning_block", application=rights, crossing=rights)
    # Cases that have calls refused now: since their step, or since they were restored.
    run("""
        insert into dunning_block (case_id, started_at, organization_id, due)
        select c.id, greatest(min(s.done_at), (
            select max(e.happened_at) from event e where e.aggregate_id = c.id and e.type = 'dunning.restored'
          )), c.organization_id, false
        from dunning_case c join dunning_step s on s.case_id = c.id and s.action in ('restrict', 'suspend')
        where c.restricts and not c.lifted group by c.id
    """)


def drop_blocks() -> None:
    op.drop_table("dunning_block")


# -- coins: what a chain took away of a payment that could not be undone, and gave back


def let_coins_come_back() -> None:
    op.add_column("crypto_movement", sa.Column("nth", sa.Integer(), nullable=False, server_default="1"))
    op.alter_column("crypto_movement", "nth", server_default=None)
    op.create_check_constraint(op.f("ck_crypto_movement_nth"), "crypto_movement", "nth >= 1")
    _bind_coins("'came','gone','back'", "booked_id", "kind", "nth")


def forget_coins_that_came_back() -> None:
    run("delete from crypto_movement where kind = 'back' or nth > 1")
    _bind_coins("'came','gone'", "booked_id", "kind")
    op.drop_column("crypto_movement", "nth")


def _bind_coins(of_payments: str, *unique: str) -> None:
    for name, rule in (
        ("kind", f"kind in ({of_payments},'swept','unseen')"),
        ("units", f"(units = 0) = (kind in ({of_payments}))"),
    ):
        op.drop_constraint(op.f(f"ck_crypto_movement_{name}"), "crypto_movement")
        op.create_check_constraint(op.f(f"ck_crypto_movement_{name}"), "crypto_movement", rule)
    run("alter table crypto_movement drop constraint if exists uq_crypto_movement_booked_id_kind")
    run("alter table crypto_movement drop constraint if exists uq_crypto_movement_booked_id_kind_nth")
    op.create_unique_constraint(
        op.f(f"uq_crypto_movement_{'_'.join(unique)}"), "crypto_movement", list(unique)
    )


# -- openings: who works for a tenant reads what was opened of that tenant, as the whole log was for staff alone


def open_openings() -> None:
    run(
        "create policy of_tenant on secret_opening for select to matrix_app"
        " using (tenant = any ((select matrix_scope())::text[]))"
    )
    run("grant select on secret_opening to matrix_app")


def close_openings() -> None:
    run("revoke select on secret_opening from matrix_app")
    run("drop policy of_tenant on secret_opening")
