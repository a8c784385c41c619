"""What a trial gave free, what a decline means, when a card was renewed, what stops dunning, held jobs, versions of
what staff edit, and looking into the log by the address somebody came from.

Each field has a function that makes what it needs and one that takes it away again.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from alembic import op

revision = "0008"
down_revision = "0007"
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
    create_trials()
    create_dunning_again()
    create_collecting()
    create_held_jobs()
    create_versions()
    create_reads()
    create_credits()


def downgrade() -> None:
    drop_credits()
    drop_reads()
    drop_versions()
    drop_held_jobs()
    drop_collecting()
    drop_dunning_again()
    drop_trials()


# -- trials: which meters were free in them, and when


def create_trials() -> None:
    op.add_column(
        "subscription", sa.Column("tried", JSONB(), nullable=False, server_default=sa.text("'[]'::jsonb"))
    )
    op.alter_column("subscription", "tried", server_default=None)
    # As it was billed until now: all that a subscription has metered was free from its start to the end of its trial.
    run(
        "update subscription s set tried = w.tried from ("
        "  select t.subscription_id, jsonb_agg(distinct jsonb_build_object("
        "    'meter', c.meter, 'since', b.started_at, 'until', null)) as tried"
        "  from subscription b join subscription_item t on t.subscription_id = b.id"
        "  join plan_charge c on c.id = t.price_id"
        "  where b.trial_end is not null and c.meter is not null group by 1"
        ") w where w.subscription_id = s.id"
    )


def drop_trials() -> None:
    op.drop_column("subscription", "tried")


# -- collecting: what a decline means, by which method a payment was kept, and who was told that a card expires


def create_collecting() -> None:
    for column in ("decline_kind", "decline_advice"):
        op.add_column("payment", sa.Column(column, sa.Text(collation="C"), nullable=True))
    op.add_column("payment_method", sa.Column("expiry_told", sa.Date(), nullable=True))
    op.add_column("payment_method", sa.Column("renewed_at", sa.DateTime(timezone=True), nullable=True))
    for role in ("matrix_app", "matrix_crossing"):
        run(f"grant update (method_id, decline_kind, decline_advice) on payment to {role}")
        run(f"grant update (expiry_told, renewed_at) on payment_method to {role}")


def drop_collecting() -> None:
    for role in ("matrix_app", "matrix_crossing"):
        run(f"revoke update (method_id) on payment from {role}")
    for column in ("renewed_at", "expiry_told"):
        op.drop_column("payment_method", column)
    for column in ("decline_advice", "decline_kind"):
        op.drop_column("payment", column)


# -- dunning again: debts that come back, and customers that are held


def fix_invoices(*others: str) -> None:
    """What changes of an invoice that has its number, besides what always may."""
    columns = ("state", "credited_minor", "offset_minor", "paid_minor", "written_off_minor", "due_minor", "paid_at",
        "voided_at", "uncollectible_at", *others)  # fmt: skip
    free = ", ".join(f"'{column}'" for column in columns)
    run(
        f"""
        create or replace function invoice_is_fixed() returns trigger language plpgsql as $$ begin
          if (old.state, new.state) not in (
            ('draft', 'draft'), ('draft', 'finalized'), ('draft', 'void'),
            ('finalized', 'finalized'), ('finalized', 'paid'), ('finalized', 'void'), ('finalized', 'uncollectible'),
            ('uncollectible', 'uncollectible'), ('uncollectible', 'paid'), ('paid', 'finalized'),
            ('paid', 'paid'), ('void', 'void')
          ) or ((old.state, new.state) = ('paid', 'finalized') and new.paid_minor >= old.paid_minor) then
            raise exception 'An invoice does not go from % to %.', old.state, new.state
              using errcode = 'check_violation';
          end if;
          if old.state <> 'draft' and (
            to_jsonb(new) - array[{free}] is distinct from to_jsonb(old) - array[{free}]
          ) then
            raise exception 'The invoice % is final: correct it by a credit note.', old.id
              using errcode = 'restrict_violation';
          end if;
          return new;
        end $$
        """
    )


def create_dunning_again() -> None:
    op.add_column("invoice", sa.Column("reopened_at", sa.DateTime(timezone=True), nullable=True))
    fix_invoices("reopened_at")
    for name in ("lifted", "canceled_subscription"):
        op.add_column(
            "dunning_case", sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.text("false"))
        )
        op.alter_column("dunning_case", name, server_default=None)
    op.add_column(
        "dunning_case", sa.Column("lost_minor", sa.BigInteger(), nullable=False, server_default=sa.text("0"))
    )
    op.alter_column("dunning_case", "lost_minor", server_default=None)
    op.add_column("dunning_case", sa.Column("reopened_at", sa.DateTime(timezone=True), nullable=True))
    # What had been recovered and is owed again already, waits for another case.
    run(
        "update dunning_case c set reopened_at = c.ended_at from invoice i where i.id = c.invoice_id"
        " and c.outcome in ('recovered', 'not_owed') and i.state = 'finalized' and i.due_minor > 0"
    )
    for name, condition in (
        ("lost", "lost_minor between 0 and recovered_minor"),
        ("reopened", "reopened_at is null or state = 'ended'"),
    ):
        op.create_check_constraint(op.f(f"ck_dunning_case_{name}"), "dunning_case", condition)
    op.drop_constraint(op.f("uq_dunning_case_invoice_id"), "dunning_case", type_="unique")
    op.create_index(
        "uq_dunning_case_current",
        "dunning_case",
        ["invoice_id"],
        unique=True,
        postgresql_where=sa.text("reopened_at is null"),
    )
    op.create_index("ix_dunning_case_invoice_id", "dunning_case", ["invoice_id", "id"])
    op.create_table(
        "dunning_hold",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("lifts", sa.Boolean(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("placed_by", sa.Text(collation="C"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.Text(collation="C"), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("until > created_at", name=op.f("ck_dunning_hold_until")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_dunning_hold_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dunning_hold")),
    )
    op.create_index(
        "uq_dunning_hold_open",
        "dunning_hold",
        ["organization_id"],
        unique=True,
        postgresql_where=sa.text("ended_at is null"),
    )
    op.create_index("ix_dunning_hold_created_at", "dunning_hold", ["created_at", "id"])
    rights = "select, insert, update"
    secure("dunning_hold", application=rights, crossing=rights)


def drop_dunning_again() -> None:
    op.drop_table("dunning_hold")
    op.drop_index("ix_dunning_case_invoice_id", table_name="dunning_case")
    op.drop_index("uq_dunning_case_current", table_name="dunning_case")
    # One case an invoice, as it was: of several the newest is kept.
    run(
        "delete from dunning_step s using dunning_case c where c.id = s.case_id and exists"
        " (select from dunning_case n where n.invoice_id = c.invoice_id and n.id > c.id)"
    )
    run(
        "delete from dunning_case c where exists"
        " (select from dunning_case n where n.invoice_id = c.invoice_id and n.id > c.id)"
    )
    run("update dunning_case set outcome = 'skipped' where outcome = 'canceled'")
    op.create_unique_constraint(op.f("uq_dunning_case_invoice_id"), "dunning_case", ["invoice_id"])
    for name in ("lost", "reopened"):
        op.drop_constraint(op.f(f"ck_dunning_case_{name}"), "dunning_case", type_="check")
    for name in ("reopened_at", "lost_minor", "canceled_subscription", "lifted"):
        op.drop_column("dunning_case", name)
    fix_invoices()
    op.drop_column("invoice", "reopened_at")


# -- held jobs: staff reads them as it reads everything else, in work that crosses tenants


def create_held_jobs() -> None:
    run("grant select on pgqueuer, pgqueuer_log to matrix_crossing")


def drop_held_jobs() -> None:
    run("revoke select on pgqueuer, pgqueuer_log from matrix_crossing")


# -- versions: of products and plans, so that nobody's change of a name or an offer is lost to another's

_EDITED = ("product", "plan")


def create_versions() -> None:
    for table in _EDITED:
        op.add_column(table, sa.Column("version", sa.Integer(), server_default="1", nullable=False))


def drop_versions() -> None:
    for table in reversed(_EDITED):
        op.drop_column(table, "version")


# -- reads: the log by where somebody came from; what nobody at a door caused has no address


def create_reads() -> None:
    op.create_index("ix_event_address", "event", ["address", "id"], postgresql_where=sa.text("address <> ''"))


def drop_reads() -> None:
    op.drop_index("ix_event_address", table_name="event", postgresql_where=sa.text("address <> ''"))


# -- credits: lists of credit notes and of credits, the latest first

_LISTED = (
    ("ix_credit_note_created_at", "credit_note", ["created_at", "id"]),
    ("ix_customer_credit_organization_id", "customer_credit", ["organization_id", "created_at", "id"]),
    ("ix_customer_credit_created_at", "customer_credit", ["created_at", "id"]),
)


def create_credits() -> None:
    for name, table, columns in _LISTED:
        op.create_index(name, table, columns)


def drop_credits() -> None:
    for name, table, _ in reversed(_LISTED):
        op.drop_index(name, table_name=table)
