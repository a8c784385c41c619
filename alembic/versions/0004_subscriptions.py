"""What is billed by itself: subscriptions, wallets, budgets, and the papers that are made of documents.

Each field has a function that makes what it needs and one that takes it away again.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB

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


SUBSCRIPTION_TENANT = {
    "subscription": "select, insert, update",
    "subscription_item": "select, insert, update",
    "coupon_redemption": "select, insert, update",
    "coupon_use": "select, insert",
}


def create_subscriptions() -> None:
    create_subscription_tables()
    for table, rights in SUBSCRIPTION_TENANT.items():
        secure(table, application=rights, crossing=rights)
    create_billing_runs()
    # Whoever took a coupon keeps it when it is offered no more.
    run("drop policy tenant on coupon")
    run(
        "create policy tenant on coupon to matrix_app using (archived_at is null"
        " or exists (select from coupon_redemption r where r.coupon_id = coupon.id))"
    )


def create_billing_runs() -> None:
    """Runs, what they look for, and clocks that are being turned."""
    op.create_table(
        "billing_run",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("worker", sa.String(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due", sa.Integer(), nullable=False),
        sa.Column("billed", sa.Integer(), nullable=False),
        sa.Column("parked", sa.Integer(), nullable=False),
        sa.CheckConstraint("due >= 0 and billed >= 0 and parked >= 0", name=op.f("ck_billing_run_counts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billing_run")),
    )
    op.create_index("ix_billing_run_started_at", "billing_run", ["started_at", "id"], unique=False)
    run("grant select, insert, update, delete on billing_run to matrix_crossing")
    op.add_column("test_clock", sa.Column("target_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_test_clock_target_at",
        "test_clock",
        ["id"],
        unique=False,
        postgresql_where=sa.text("target_at is not null"),
    )
    op.create_index("ix_organization_test_clock_id", "organization", ["test_clock_id", "id"], unique=False)
    op.create_index(
        "ix_subscription_past_due",
        "subscription",
        ["id"],
        unique=False,
        postgresql_where=sa.text("state = 'past_due'"),
    )
    op.create_index(
        "ix_invoice_overdue",
        "invoice",
        ["due_date", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'finalized' and due_minor > 0 and subscription_id is not null"),
    )


def drop_billing_runs() -> None:
    op.drop_index("ix_invoice_overdue", table_name="invoice")
    op.drop_index("ix_organization_test_clock_id", table_name="organization")
    op.drop_index("ix_test_clock_target_at", table_name="test_clock")
    op.drop_column("test_clock", "target_at")
    op.drop_table("billing_run")


def create_subscription_tables() -> None:
    op.create_table(
        "subscription",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("state", sa.Text(collation="C"), nullable=False),
        sa.Column("plan_id", sa.Text(collation="C"), nullable=False),
        sa.Column("plan_version_id", sa.Text(collation="C"), nullable=False),
        sa.Column("currency", sa.Text(collation="C"), nullable=False),
        sa.Column("interval", sa.Text(collation="C"), nullable=False),
        sa.Column("interval_count", sa.Integer(), nullable=False),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.Column("anchor", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("trial_end", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("scheduled", JSONB(), nullable=True),
        sa.Column("scheduled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("canceled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_reason", sa.Text(collation="C"), nullable=True),
        sa.Column("cancel_comment", sa.Text(), nullable=True),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resume_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("invoices", sa.Integer(), nullable=False),
        sa.Column("parked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("parked_reason", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_by", sa.Text(collation="C"), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("(state = 'ended') = (ended_at is not null)", name=op.f("ck_subscription_ended")),
        sa.CheckConstraint(
            "interval in ('day','week','month','quarter','half_year','year')",
            name=op.f("ck_subscription_interval"),
        ),
        sa.CheckConstraint(
            "state <> 'canceled' or cancel_at is not null", name=op.f("ck_subscription_cancel_at")
        ),
        sa.CheckConstraint(
            "state in ('incomplete','trialing','active','past_due','paused','canceled','ended')",
            name=op.f("ck_subscription_state"),
        ),
        sa.CheckConstraint(
            "(parked_reason is null) = (parked_at is null)", name=op.f("ck_subscription_parked")
        ),
        sa.CheckConstraint(
            "(scheduled is null) = (scheduled_at is null)", name=op.f("ck_subscription_scheduled")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_subscription_organization_id")
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_subscription_plan_id")),
        sa.ForeignKeyConstraint(
            ["plan_version_id"], ["plan_version.id"], name=op.f("fk_subscription_plan_version_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscription")),
        sa.UniqueConstraint("organization_id", "key", name=op.f("uq_subscription_organization_id_key")),
    )
    op.create_index("ix_subscription_created_at", "subscription", ["created_at", "id"], unique=False)
    op.create_index(
        "ix_subscription_next_at",
        "subscription",
        ["next_at", "id"],
        unique=False,
        postgresql_where=sa.text("next_at is not null and parked_at is null"),
    )
    op.create_index(
        "ix_subscription_organization_id",
        "subscription",
        ["organization_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_subscription_plan_version_id", "subscription", ["plan_version_id", "id"], unique=False
    )
    op.create_index(
        "ix_subscription_retry_at",
        "subscription",
        ["retry_at", "id"],
        unique=False,
        postgresql_where=sa.text("parked_at is not null"),
    )
    op.create_table(
        "coupon_redemption",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("subscription_id", sa.Text(collation="C"), nullable=False),
        sa.Column("coupon_id", sa.Text(collation="C"), nullable=False),
        sa.Column("redeemed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["coupon_id"], ["coupon.id"], name=op.f("fk_coupon_redemption_coupon_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_coupon_redemption_organization_id")
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_coupon_redemption_subscription_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_coupon_redemption")),
    )
    op.create_index("ix_coupon_redemption_coupon_id", "coupon_redemption", ["coupon_id", "id"], unique=False)
    op.create_index(
        "uq_coupon_redemption",
        "coupon_redemption",
        ["subscription_id", "coupon_id"],
        unique=True,
        postgresql_where=sa.text("removed_at is null"),
    )
    op.create_table(
        "subscription_item",
        sa.Column("subscription_id", sa.Text(collation="C"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("slot", sa.Text(collation="C"), nullable=False),
        sa.Column("plan_id", sa.Text(collation="C"), nullable=False),
        sa.Column("price_id", sa.Text(collation="C"), nullable=False),
        sa.Column("quantity", sa.Numeric(precision=38, scale=12), nullable=False),
        sa.Column("billed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("live_line_id", sa.Text(collation="C"), nullable=True),
        sa.Column("undoable", JSONB(), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("quantity >= 0", name=op.f("ck_subscription_item_quantity")),
        sa.CheckConstraint("number > 0", name=op.f("ck_subscription_item_number")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_subscription_item_organization_id")
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_subscription_item_plan_id")),
        sa.ForeignKeyConstraint(["price_id"], ["plan_charge.id"], name=op.f("fk_subscription_item_price_id")),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_subscription_item_subscription_id")
        ),
        sa.PrimaryKeyConstraint("subscription_id", "number", name=op.f("pk_subscription_item")),
        sa.UniqueConstraint(
            "subscription_id", "slot", name=op.f("uq_subscription_item_subscription_id_slot")
        ),
    )
    op.create_index("ix_subscription_item_price_id", "subscription_item", ["price_id"], unique=False)
    op.create_table(
        "coupon_use",
        sa.Column("redemption_id", sa.Text(collation="C"), nullable=False),
        sa.Column("invoice_id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("period_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("base_minor", sa.BigInteger(), nullable=False),
        sa.Column("taken_minor", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_coupon_use_invoice_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_coupon_use_organization_id")
        ),
        sa.ForeignKeyConstraint(
            ["redemption_id"], ["coupon_redemption.id"], name=op.f("fk_coupon_use_redemption_id")
        ),
        sa.PrimaryKeyConstraint("redemption_id", "invoice_id", name=op.f("pk_coupon_use")),
    )
    op.add_column("invoice", sa.Column("subscription_id", sa.Text(collation="C"), nullable=True))
    op.create_index(
        "ix_invoice_subscription_id", "invoice", ["subscription_id", "created_at", "id"], unique=False
    )
    op.create_index(
        "uq_invoice_subscription_draft",
        "invoice",
        ["subscription_id"],
        unique=True,
        postgresql_where=sa.text("state = 'draft'"),
    )
    op.create_foreign_key(
        op.f("fk_invoice_subscription_id"), "invoice", "subscription", ["subscription_id"], ["id"]
    )


def drop_subscriptions() -> None:
    drop_billing_runs()
    run("drop policy tenant on coupon")
    run(
        "create policy tenant on coupon to matrix_app using (archived_at is null) with check (archived_at is null)"
    )
    op.drop_constraint(op.f("fk_invoice_subscription_id"), "invoice", type_="foreignkey")
    for index in ("uq_invoice_subscription_draft", "ix_invoice_subscription_id"):
        op.drop_index(index, table_name="invoice")
    op.drop_column("invoice", "subscription_id")
    for table in ("coupon_use", "coupon_redemption", "subscription_item", "subscription"):
        op.drop_table(table)


# -- wallets


def create_wallets() -> None:
    create_wallet_tables()
    for table, rights in WALLETS.items():
        secure(table, application=rights, crossing=rights)
    create_wallet_triggers()


# What the application may do. Sums are the database's own: triggers keep them, as the owner of the tables.
WALLETS = {
    "wallet": (
        "select, insert, update (accrued, uncovered, threshold_minor, refill_minor, ceiling_minor, version)"
    ),
    "wallet_lot": "select, insert, update (expired_minor, left_minor)",
    "wallet_debit": "select, insert, update (given_back_at)",
    "wallet_debit_part": "select, insert",
    "wallet_top_up": "select, insert, update",
    "wallet_hold": "select, insert, update, delete",
}
WALLET_FUNCTIONS = (
    "wallet_hold_moves",
    "wallet_debit_adds_up",
    "wallet_part_moves",
    "wallet_lot_moves",
    "wallet_lot_is_kept",
    "wallet_begins_empty",
)
OWN_RIGHTS = "language plpgsql security definer set search_path = pg_catalog, public"


def create_wallet_triggers() -> None:
    run(
        """
        create function wallet_begins_empty() returns trigger language plpgsql as $$ begin
          if new.inbound_minor <> 0 or new.accrued <> 0 or new.held <> 0 or new.uncovered <> 0 then
            raise exception 'A wallet begins empty.' using errcode = 'check_violation';
          end if;
          return new;
        end $$
        """
    )
    run(
        "create trigger begins_empty before insert on wallet for each row execute function wallet_begins_empty()"
    )
    run(
        """
        create function wallet_lot_is_kept() returns trigger language plpgsql as $$ begin
          if tg_op = 'INSERT' then
            if new.left_minor <> new.minor then
              raise exception 'A lot begins whole.' using errcode = 'check_violation';
            end if;
          elsif new.used_minor < old.used_minor or new.expired_minor < old.expired_minor or new.minor <> old.minor
            or new.wallet_id <> old.wallet_id or new.organization_id <> old.organization_id then
            raise exception 'What was taken of a lot stays taken.' using errcode = 'restrict_violation';
          end if;
          return new;
        end $$
        """
    )
    run(
        "create trigger kept before insert or update on wallet_lot for each row execute function wallet_lot_is_kept()"
    )
    run(
        f"""
        create function wallet_lot_moves() returns trigger {OWN_RIGHTS} as $$
        declare before wallet_lot%rowtype;
        begin
          if tg_op = 'UPDATE' then before := old; end if;
          update wallet set
            inbound_minor = inbound_minor + new.minor - coalesce(before.minor, 0),
            outbound_minor = outbound_minor + new.used_minor - coalesce(before.used_minor, 0),
            breakage_minor = breakage_minor + new.expired_minor - coalesce(before.expired_minor, 0),
            left_minor = left_minor + new.left_minor - coalesce(before.left_minor, 0)
          where id = new.wallet_id and organization_id = new.organization_id;
          if not found then
            raise exception 'The lot % is in no wallet of its organisation.', new.id using errcode = 'check_violation';
          end if;
          return null;
        end $$
        """
    )
    run(
        "create trigger moves after insert or update on wallet_lot for each row execute function wallet_lot_moves()"
    )
    run(
        f"""
        create function wallet_part_moves() returns trigger {OWN_RIGHTS} as $$ begin
          update wallet_lot l set used_minor = l.used_minor + new.minor, left_minor = l.left_minor - new.minor
          from wallet_debit d
          where l.id = new.lot_id and d.id = new.debit_id and d.wallet_id = l.wallet_id
            and d.organization_id = new.organization_id and l.organization_id = new.organization_id;
          if not found then
            raise exception 'The debit % takes of no lot of its wallet.', new.debit_id
              using errcode = 'check_violation';
          end if;
          return null;
        end $$
        """
    )
    run(
        "create trigger moves after insert on wallet_debit_part for each row execute function wallet_part_moves()"
    )
    run(
        f"""
        create function wallet_debit_adds_up() returns trigger {OWN_RIGHTS} as $$
        declare debit text := coalesce(to_jsonb(new) ->> 'debit_id', to_jsonb(new) ->> 'id');
        begin
          if (select sum(p.minor) from wallet_debit_part p where p.debit_id = debit)
            is distinct from (select d.minor from wallet_debit d where d.id = debit) then
            raise exception 'The parts of the debit % do not add up to it.', debit using errcode = 'check_violation';
          end if;
          return null;
        end $$
        """
    )
    for table in ("wallet_debit", "wallet_debit_part"):
        run(
            f"create constraint trigger adds_up after insert on {table} deferrable initially deferred"
            " for each row execute function wallet_debit_adds_up()"
        )
    run(
        f"""
        create function wallet_hold_moves() returns trigger {OWN_RIGHTS} as $$
        declare
          wallet_ text := coalesce(to_jsonb(new) ->> 'wallet_id', to_jsonb(old) ->> 'wallet_id');
          owner_ text := coalesce(to_jsonb(new) ->> 'organization_id', to_jsonb(old) ->> 'organization_id');
          more numeric := coalesce((to_jsonb(new) ->> 'amount')::numeric, 0)
            - coalesce((to_jsonb(old) ->> 'amount')::numeric, 0);
        begin
          update wallet set held = held + more where id = wallet_ and organization_id = owner_;
          if not found then
            raise exception 'Nothing is held of a wallet of another organisation.' using errcode = 'check_violation';
          end if;
          return null;
        end $$
        """
    )
    run(
        "create trigger moves after insert or update or delete on wallet_hold"
        " for each row execute function wallet_hold_moves()"
    )


def create_wallet_tables() -> None:
    op.create_table(
        "wallet",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("currency", sa.Text(collation="C"), nullable=False),
        sa.Column("minor_per_major", sa.Integer(), nullable=False),
        sa.Column("inbound_minor", sa.BigInteger(), nullable=False),
        sa.Column("outbound_minor", sa.BigInteger(), nullable=False),
        sa.Column("breakage_minor", sa.BigInteger(), nullable=False),
        sa.Column("left_minor", sa.BigInteger(), nullable=False),
        sa.Column("accrued", sa.Numeric(precision=30, scale=12), nullable=False),
        sa.Column("held", sa.Numeric(precision=30, scale=12), nullable=False),
        sa.Column("uncovered", sa.Numeric(precision=30, scale=12), nullable=False),
        sa.Column("threshold_minor", sa.BigInteger(), nullable=True),
        sa.Column("refill_minor", sa.BigInteger(), nullable=True),
        sa.Column("ceiling_minor", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(threshold_minor is null) = (refill_minor is null) and (threshold_minor is null) = (ceiling_minor is null)"
            " and threshold_minor >= 0 and refill_minor > 0 and ceiling_minor >= refill_minor",
            name=op.f("ck_wallet_top_up_rule"),
        ),
        sa.CheckConstraint(
            "accrued >= 0 and held >= 0 and (accrued + held) * minor_per_major <= left_minor",
            name=op.f("ck_wallet_covered"),
        ),
        sa.CheckConstraint(
            "inbound_minor = outbound_minor + left_minor + breakage_minor", name=op.f("ck_wallet_balances")
        ),
        sa.CheckConstraint(
            "left_minor >= 0 and outbound_minor >= 0 and breakage_minor >= 0",
            name=op.f("ck_wallet_not_negative"),
        ),
        sa.CheckConstraint(
            "minor_per_major in (1, 10, 100, 1000, 10000)", name=op.f("ck_wallet_minor_per_major")
        ),
        sa.CheckConstraint("uncovered >= 0", name=op.f("ck_wallet_uncovered")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_wallet_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_wallet")),
        sa.UniqueConstraint("organization_id", "currency", name=op.f("uq_wallet_organization_id_currency")),
    )
    op.create_table(
        "wallet_debit",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("wallet_id", sa.Text(collation="C"), nullable=False),
        sa.Column("kind", sa.Text(collation="C"), nullable=False),
        sa.Column("cause_id", sa.Text(collation="C"), nullable=False),
        sa.Column("minor", sa.BigInteger(), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=True),
        sa.Column("cost", sa.Numeric(precision=30, scale=12), nullable=True),
        sa.Column("journal_id", sa.Text(collation="C"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("given_back_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(kind = 'usage') = (calls is not null)", name=op.f("ck_wallet_debit_calls")),
        sa.CheckConstraint("kind in ('invoice','usage')", name=op.f("ck_wallet_debit_kind")),
        sa.CheckConstraint("minor > 0", name=op.f("ck_wallet_debit_minor")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_wallet_debit_organization_id")
        ),
        sa.ForeignKeyConstraint(["wallet_id"], ["wallet.id"], name=op.f("fk_wallet_debit_wallet_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_wallet_debit")),
    )
    op.create_index("ix_wallet_debit_cause_id", "wallet_debit", ["cause_id", "id"], unique=False)
    op.create_index(
        "ix_wallet_debit_organization_id",
        "wallet_debit",
        ["organization_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(op.f("ix_wallet_debit_wallet_id"), "wallet_debit", ["wallet_id"], unique=False)
    op.create_table(
        "wallet_lot",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("wallet_id", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("source", sa.Text(collation="C"), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("minor", sa.BigInteger(), nullable=False),
        sa.Column("used_minor", sa.BigInteger(), nullable=False),
        sa.Column("expired_minor", sa.BigInteger(), nullable=False),
        sa.Column("left_minor", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("journal_id", sa.Text(collation="C"), nullable=False),
        sa.Column("refund_of", sa.Text(collation="C"), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "source in ('purchase','promotion','grant','refund')", name=op.f("ck_wallet_lot_source")
        ),
        sa.CheckConstraint(
            "minor > 0 and minor = used_minor + expired_minor + left_minor",
            name=op.f("ck_wallet_lot_balances"),
        ),
        sa.CheckConstraint("priority between 0 and 100", name=op.f("ck_wallet_lot_priority")),
        sa.CheckConstraint(
            "used_minor >= 0 and expired_minor >= 0 and left_minor >= 0",
            name=op.f("ck_wallet_lot_not_negative"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_wallet_lot_organization_id")
        ),
        sa.ForeignKeyConstraint(["refund_of"], ["wallet_debit.id"], name=op.f("fk_wallet_lot_refund_of")),
        sa.ForeignKeyConstraint(["wallet_id"], ["wallet.id"], name=op.f("fk_wallet_lot_wallet_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_wallet_lot")),
        sa.UniqueConstraint("wallet_id", "key", name=op.f("uq_wallet_lot_wallet_id_key")),
    )
    op.create_index(
        "ix_wallet_lot_due",
        "wallet_lot",
        ["expires_at", "id"],
        unique=False,
        postgresql_where=sa.text("left_minor > 0 and expires_at is not null"),
    )
    op.create_index(
        "ix_wallet_lot_left",
        "wallet_lot",
        ["wallet_id", "priority", "expires_at", "created_at", "id"],
        unique=False,
        postgresql_where=sa.text("left_minor > 0"),
    )
    op.create_index(
        "ix_wallet_lot_organization_id", "wallet_lot", ["organization_id", "created_at", "id"], unique=False
    )
    op.create_index(op.f("ix_wallet_lot_refund_of"), "wallet_lot", ["refund_of"], unique=False)
    op.create_table(
        "wallet_debit_part",
        sa.Column("debit_id", sa.Text(collation="C"), nullable=False),
        sa.Column("lot_id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("minor > 0", name=op.f("ck_wallet_debit_part_minor")),
        sa.ForeignKeyConstraint(
            ["debit_id"], ["wallet_debit.id"], name=op.f("fk_wallet_debit_part_debit_id")
        ),
        sa.ForeignKeyConstraint(["lot_id"], ["wallet_lot.id"], name=op.f("fk_wallet_debit_part_lot_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_wallet_debit_part_organization_id")
        ),
        sa.PrimaryKeyConstraint("debit_id", "lot_id", name=op.f("pk_wallet_debit_part")),
    )
    op.create_index("ix_wallet_debit_part_lot_id", "wallet_debit_part", ["lot_id", "debit_id"], unique=False)
    op.create_table(
        "wallet_top_up",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("wallet_id", sa.Text(collation="C"), nullable=False),
        sa.Column("minor", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(collation="C"), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("lot_id", sa.Text(collation="C"), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(state = 'paid') = (lot_id is not null)", name=op.f("ck_wallet_top_up_lot")),
        sa.CheckConstraint("state in ('due','paid','withdrawn')", name=op.f("ck_wallet_top_up_state")),
        sa.CheckConstraint("minor > 0", name=op.f("ck_wallet_top_up_minor")),
        sa.ForeignKeyConstraint(["lot_id"], ["wallet_lot.id"], name=op.f("fk_wallet_top_up_lot_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_wallet_top_up_organization_id")
        ),
        sa.ForeignKeyConstraint(["wallet_id"], ["wallet.id"], name=op.f("fk_wallet_top_up_wallet_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_wallet_top_up")),
    )
    op.create_index("ix_wallet_top_up_month", "wallet_top_up", ["wallet_id", "month"], unique=False)
    op.create_index(
        "ix_wallet_top_up_organization_id",
        "wallet_top_up",
        ["organization_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        "uq_wallet_top_up_due",
        "wallet_top_up",
        ["wallet_id"],
        unique=True,
        postgresql_where=sa.text("state = 'due'"),
    )
    op.create_table(
        "wallet_hold",
        sa.Column("wallet_id", sa.Text(collation="C"), nullable=False),
        sa.Column("holder", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("amount", sa.Numeric(precision=30, scale=12), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_wallet_hold_amount")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_wallet_hold_organization_id")
        ),
        sa.ForeignKeyConstraint(["wallet_id"], ["wallet.id"], name=op.f("fk_wallet_hold_wallet_id")),
        sa.PrimaryKeyConstraint("wallet_id", "holder", name=op.f("pk_wallet_hold")),
    )
    op.create_index("ix_wallet_hold_changed_at", "wallet_hold", ["changed_at"], unique=False)


def drop_wallets() -> None:
    for table in (
        "wallet_hold",
        "wallet_top_up",
        "wallet_debit_part",
        "wallet_lot",
        "wallet_debit",
        "wallet",
    ):
        op.drop_table(table)
    for function in WALLET_FUNCTIONS:
        run(f"drop function {function}()")


# -- budgets


def create_budgets() -> None:
    create_budget_tables()
    secure("budget", application="select, insert, update", crossing="select, insert, update")
    # What was used is written by the gateway alone, whose work crosses tenants; a budget begins with what was.
    secure(
        "budget_spending",
        application="select, insert",
        crossing="select, insert, update (spent, told)",
    )
    secure("budget_hold", application="select", crossing="select, insert, update, delete")
    run(
        f"""
        create function budget_hold_moves() returns trigger {OWN_RIGHTS} as $$
        declare
          place jsonb := coalesce(to_jsonb(new), to_jsonb(old));
          more numeric := coalesce((to_jsonb(new) ->> 'amount')::numeric, 0)
            - coalesce((to_jsonb(old) ->> 'amount')::numeric, 0);
        begin
          update budget_spending set held = held + more
          where budget_id = place ->> 'budget_id' and starts_at = (place ->> 'starts_at')::timestamptz
            and organization_id = place ->> 'organization_id';
          if not found then
            raise exception 'Nothing is held of a budget of another organisation.' using errcode = 'check_violation';
          end if;
          return null;
        end $$
        """
    )
    run(
        "create trigger moves after insert or update or delete on budget_hold"
        " for each row execute function budget_hold_moves()"
    )


def create_budget_tables() -> None:
    op.create_table(
        "budget",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(collation="C"), nullable=True),
        sa.Column("model", sa.Text(collation="C"), nullable=True),
        sa.Column("measure", sa.Text(collation="C"), nullable=False),
        sa.Column("period", sa.Text(collation="C"), nullable=False),
        sa.Column("limit_amount", sa.Numeric(precision=38, scale=12), nullable=False),
        sa.Column("action", sa.Text(collation="C"), nullable=False),
        sa.Column("thresholds", postgresql.ARRAY(sa.Integer()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("action in ('notify','stop')", name=op.f("ck_budget_action")),
        sa.CheckConstraint("measure in ('cost','tokens')", name=op.f("ck_budget_measure")),
        sa.CheckConstraint("period in ('day','month')", name=op.f("ck_budget_period")),
        sa.CheckConstraint("limit_amount > 0", name=op.f("ck_budget_limit_amount")),
        sa.ForeignKeyConstraint(["key_id"], ["api_key.id"], name=op.f("fk_budget_key_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_budget_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budget")),
    )
    op.create_index(op.f("ix_budget_key_id"), "budget", ["key_id"], unique=False)
    op.create_index(
        "ix_budget_organization_id", "budget", ["organization_id", "created_at", "id"], unique=False
    )
    op.create_table(
        "budget_spending",
        sa.Column("budget_id", sa.Text(collation="C"), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("spent", sa.Numeric(precision=38, scale=12), nullable=False),
        sa.Column("held", sa.Numeric(precision=38, scale=12), nullable=False),
        sa.Column("told", sa.Integer(), nullable=False),
        sa.CheckConstraint("spent >= 0 and held >= 0", name=op.f("ck_budget_spending_not_negative")),
        sa.ForeignKeyConstraint(["budget_id"], ["budget.id"], name=op.f("fk_budget_spending_budget_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_budget_spending_organization_id")
        ),
        sa.PrimaryKeyConstraint("budget_id", "starts_at", name=op.f("pk_budget_spending")),
    )
    op.create_table(
        "budget_hold",
        sa.Column("budget_id", sa.Text(collation="C"), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("holder", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("amount", sa.Numeric(precision=38, scale=12), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_budget_hold_amount")),
        sa.ForeignKeyConstraint(
            ["budget_id", "starts_at"],
            ["budget_spending.budget_id", "budget_spending.starts_at"],
            name=op.f("fk_budget_hold_budget_id_starts_at"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_budget_hold_organization_id")
        ),
        sa.PrimaryKeyConstraint("budget_id", "starts_at", "holder", name=op.f("pk_budget_hold")),
    )
    op.create_index("ix_budget_hold_changed_at", "budget_hold", ["changed_at"], unique=False)


def drop_budgets() -> None:
    for table in ("budget_hold", "budget_spending", "budget"):
        op.drop_table(table)
    run("drop function budget_hold_moves()")


# -- papers: templates, and the bytes that were made of documents


def create_papers() -> None:
    create_template_tables()
    create_paper_table()
    for table in ("template_logo", "template_version"):  # of the house: nothing of them is a customer's
        run(f"grant select, insert, update, delete on {table} to matrix_crossing")
    secure("paper", application="select", crossing="select, insert, update")
    run(
        """
        create function paper_is_kept() returns trigger language plpgsql as $$ begin
          if old.state = 'made' then
            raise exception 'The files of % are made, and stay as they are.', old.document_id
              using errcode = 'restrict_violation';
          end if;
          return case tg_op when 'DELETE' then old else new end;
        end $$
        """
    )
    run(
        "create trigger is_kept before update or delete on paper for each row execute function paper_is_kept()"
    )
    run(
        """
        create function template_version_is_kept() returns trigger language plpgsql as $$ begin
          if old.state = 'published' then
            raise exception 'The version % is published, and stays as it is.', old.id
              using errcode = 'restrict_violation';
          end if;
          return case tg_op when 'DELETE' then old else new end;
        end $$
        """
    )
    run(
        "create trigger is_kept before update or delete on template_version"
        " for each row execute function template_version_is_kept()"
    )


def create_template_tables() -> None:
    op.create_table(
        "template_logo",
        sa.Column("sha256", sa.Text(collation="C"), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_template_logo")),
    )
    op.create_table(
        "template_version",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("legal_entity_id", sa.Text(collation="C"), nullable=False),
        sa.Column("brand", sa.Text(collation="C"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(collation="C"), nullable=False),
        sa.Column("design", JSONB(), nullable=False),
        sa.Column("logo_sha256", sa.Text(collation="C"), nullable=True),
        sa.Column("created_by", sa.Text(collation="C"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("state in ('draft','published')", name=op.f("ck_template_version_state")),
        sa.CheckConstraint(
            "(state = 'published') = (published_at is not null)",
            name=op.f("ck_template_version_published_at"),
        ),
        sa.CheckConstraint("number > 0", name=op.f("ck_template_version_number")),
        sa.ForeignKeyConstraint(
            ["legal_entity_id"], ["legal_entity.id"], name=op.f("fk_template_version_legal_entity_id")
        ),
        sa.ForeignKeyConstraint(
            ["logo_sha256"], ["template_logo.sha256"], name=op.f("fk_template_version_logo_sha256")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_template_version")),
        sa.UniqueConstraint(
            "legal_entity_id",
            "brand",
            "number",
            name=op.f("uq_template_version_legal_entity_id_brand_number"),
        ),
    )
    op.create_index(
        "uq_template_version_draft",
        "template_version",
        ["legal_entity_id", "brand"],
        unique=True,
        postgresql_where=sa.text("state = 'draft'"),
    )
    op.create_index("ix_template_version_created_at", "template_version", ["created_at", "id"])


def create_paper_table() -> None:
    op.create_table(
        "paper",
        sa.Column("document_id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("kind", sa.Text(collation="C"), nullable=False),
        sa.Column("number", sa.Text(collation="C"), nullable=False),
        sa.Column("due_minor", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Text(collation="C"), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("template_version_id", sa.Text(collation="C"), nullable=True),
        sa.Column("edition", sa.Text(collation="C"), nullable=False),
        sa.Column("missing", JSONB(), nullable=False),
        sa.Column("files", JSONB(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind in ('invoice','credit_note')", name=op.f("ck_paper_kind")),
        sa.CheckConstraint("(kind = 'invoice') = (due_minor is not null)", name=op.f("ck_paper_due_minor")),
        sa.CheckConstraint("state in ('waiting','made','parked')", name=op.f("ck_paper_state")),
        sa.CheckConstraint(
            "(state = 'made') = (files is not null) and (state = 'made') = (made_at is not null)",
            name=op.f("ck_paper_made"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_paper_organization_id")
        ),
        sa.ForeignKeyConstraint(
            ["template_version_id"], ["template_version.id"], name=op.f("fk_paper_template_version_id")
        ),
        sa.PrimaryKeyConstraint("document_id", name=op.f("pk_paper")),
    )
    op.create_index(
        "ix_paper_due", "paper", ["due_at", "document_id"], postgresql_where=sa.text("state = 'waiting'")
    )
    op.create_index("ix_paper_created_at", "paper", ["created_at", "document_id"])
    op.create_index(
        "ix_paper_open", "paper", ["created_at", "document_id"], postgresql_where=sa.text("state <> 'made'")
    )
    op.create_index("ix_paper_organization_id", "paper", ["organization_id", "document_id"])


def drop_papers() -> None:
    for table in ("paper", "template_version", "template_logo"):
        op.drop_table(table)
    for function in ("paper_is_kept", "template_version_is_kept"):
        run(f"drop function {function}()")
