"""What billing needs to go on by itself and get paid: plans that move their subscribers, usage that is billed without
a plan, and payments.

Each field has a function that makes what it needs and one that takes it away again.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

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
    create_payments()


def downgrade() -> None:
    drop_payments()
    drop_for_usage()
    drop_for_plans()
    drop_for_runs()


# -- billing in sets


def create_for_runs() -> None:
    # A document may come whole: final, and with all of its lines in one statement. Once they are there none is added,
    # and at commit they add up.
    run(
        """
        create function invoice_lines_are_all() returns trigger language plpgsql as $$ begin
          if exists (
            select from invoice i cross join lateral (
              select count(*) as lines, sum(net_minor) as net, sum(tax_minor) as tax
              from invoice_line where invoice_id = i.id
            ) l
            where i.id in (select invoice_id from touched) and i.state <> 'draft'
              and (i.number is null or (l.lines, l.net, l.tax) is distinct from (i.lines, i.net_minor, i.tax_minor))
          ) then
            raise exception 'Lines of a final invoice are never changed.' using errcode = 'restrict_violation';
          end if;
          return null;
        end $$
        """
    )
    run("drop trigger fixed_on_insert on invoice_line")
    run(
        "create trigger fixed_on_insert after insert on invoice_line referencing new table as touched"
        " for each statement execute function invoice_lines_are_all()"
    )
    run(
        "create constraint trigger adds_up_at_once after insert on invoice deferrable initially deferred"
        " for each row when (new.number is not null) execute function invoice_adds_up()"
    )


def drop_for_runs() -> None:
    run("drop trigger adds_up_at_once on invoice")
    run("drop trigger fixed_on_insert on invoice_line")
    run("drop function invoice_lines_are_all()")
    run(
        "create trigger fixed_on_insert after insert on invoice_line referencing new table as touched"
        " for each statement execute function invoice_lines_are_fixed()"
    )


# -- plans and who is subscribed to them


def create_for_plans() -> None:
    create_plan_migrations()
    create_included_credits()
    create_retention_offers()
    create_first_payments()


def drop_for_plans() -> None:
    drop_first_payments()
    drop_retention_offers()
    drop_included_credits()
    drop_plan_migrations()


def create_included_credits() -> None:
    """Credits that come with a price, and lots that pay for usage alone."""
    op.add_column(
        "plan_charge",
        sa.Column(
            "included_credits",
            sa.Numeric(precision=30, scale=12),
            server_default=sa.text("0"),
            nullable=False,
        ),
    )
    op.create_check_constraint(
        op.f("ck_plan_charge_included_credits"),
        "plan_charge",
        "included_credits >= 0 and (included_credits = 0 or (kind in ('flat','seat') and timing = 'advance'))",
    )
    op.add_column(
        "wallet_lot", sa.Column("usage_only", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    run("alter table wallet_debit drop constraint ck_wallet_debit_kind")
    run(
        "alter table wallet_debit add constraint ck_wallet_debit_kind"
        " check (kind in ('invoice','usage','taken_back'))"
    )


def create_first_payments() -> None:
    """Plans that begin once their first invoice is paid, and until when it may be."""
    op.add_column(
        "plan_version", sa.Column("payment", sa.Text(collation="C"), server_default="after", nullable=False)
    )
    op.create_check_constraint(
        op.f("ck_plan_version_payment"), "plan_version", "payment in ('after','before')"
    )
    op.add_column("subscription", sa.Column("pay_until", sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint(
        op.f("ck_subscription_pay_until"), "subscription", "state <> 'incomplete' or pay_until is not null"
    )


def drop_first_payments() -> None:
    op.drop_constraint(op.f("ck_subscription_pay_until"), "subscription", type_="check")
    op.drop_column("subscription", "pay_until")
    op.drop_constraint(op.f("ck_plan_version_payment"), "plan_version", type_="check")
    op.drop_column("plan_version", "payment")


def create_retention_offers() -> None:
    """What a plan offers to those who would cancel it, and who took it."""
    op.add_column("plan", sa.Column("retention_coupon_id", sa.Text(collation="C"), nullable=True))
    op.add_column("plan", sa.Column("retention_text", sa.Text(), server_default="", nullable=False))
    op.create_foreign_key(
        op.f("fk_plan_retention_coupon_id"), "plan", "coupon", ["retention_coupon_id"], ["id"]
    )
    op.add_column("subscription", sa.Column("offer_taken_at", sa.DateTime(timezone=True), nullable=True))


def drop_retention_offers() -> None:
    op.drop_column("subscription", "offer_taken_at")
    op.drop_constraint(op.f("fk_plan_retention_coupon_id"), "plan", type_="foreignkey")
    op.drop_column("plan", "retention_text")
    op.drop_column("plan", "retention_coupon_id")


def drop_included_credits() -> None:
    """Fails where something was taken back already: what was booked stays."""
    run("alter table wallet_debit drop constraint ck_wallet_debit_kind")
    run("alter table wallet_debit add constraint ck_wallet_debit_kind check (kind in ('invoice','usage'))")
    op.drop_column("wallet_lot", "usage_only")
    op.drop_constraint(op.f("ck_plan_charge_included_credits"), "plan_charge", type_="check")
    op.drop_column("plan_charge", "included_credits")


def create_plan_migrations() -> None:
    """The house's own record: the application's role has no way to it outside of work that crosses tenants."""
    op.create_table(
        "plan_migration",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("plan_id", sa.Text(collation="C"), nullable=False),
        sa.Column("from_version_id", sa.Text(collation="C"), nullable=False),
        sa.Column("to_version_id", sa.Text(collation="C"), nullable=False),
        sa.Column("currency", sa.Text(collation="C"), nullable=True),
        sa.Column("interval", sa.Text(collation="C"), nullable=True),
        sa.Column("interval_count", sa.Integer(), nullable=True),
        sa.Column("behaviour", sa.Text(collation="C"), nullable=False),
        sa.Column("notice_days", sa.Integer(), nullable=False),
        sa.Column("waiting_changes", sa.Text(collation="C"), nullable=False),
        sa.Column("task_id", sa.Text(collation="C"), nullable=False),
        sa.Column("created_by", sa.Text(collation="C"), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "behaviour in ('invoice_now','next_invoice','next_period','reset_cycle','none')",
            name=op.f("ck_plan_migration_behaviour"),
        ),
        sa.CheckConstraint(
            "interval in ('day','week','month','quarter','half_year','year')",
            name=op.f("ck_plan_migration_interval"),
        ),
        sa.CheckConstraint(
            "waiting_changes in ('keep','replace')", name=op.f("ck_plan_migration_waiting_changes")
        ),
        sa.CheckConstraint(
            "(interval is null) = (interval_count is null)", name=op.f("ck_plan_migration_length")
        ),
        sa.CheckConstraint("notice_days between 0 and 366", name=op.f("ck_plan_migration_notice_days")),
        sa.CheckConstraint(
            "notice_days = 0 or behaviour = 'next_period'", name=op.f("ck_plan_migration_notice")
        ),
        sa.ForeignKeyConstraint(
            ["from_version_id"], ["plan_version.id"], name=op.f("fk_plan_migration_from_version_id")
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_plan_migration_plan_id")),
        sa.ForeignKeyConstraint(
            ["to_version_id"], ["plan_version.id"], name=op.f("fk_plan_migration_to_version_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan_migration")),
        sa.UniqueConstraint("key", name=op.f("uq_plan_migration_key")),
    )
    op.create_index("ix_plan_migration_created_at", "plan_migration", ["created_at", "id"], unique=False)
    op.create_index(
        op.f("ix_plan_migration_from_version_id"), "plan_migration", ["from_version_id"], unique=False
    )
    op.create_index(
        "ix_plan_migration_plan_id", "plan_migration", ["plan_id", "created_at", "id"], unique=False
    )
    op.create_table(
        "plan_migration_move",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("migration_id", sa.Text(collation="C"), nullable=False),
        sa.Column("subscription_id", sa.Text(collation="C"), nullable=False),
        sa.Column("state", sa.Text(collation="C"), nullable=False),
        sa.Column("old_minor", sa.BigInteger(), nullable=True),
        sa.Column("new_minor", sa.BigInteger(), nullable=True),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("code", sa.Text(collation="C"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(state in ('moved','scheduled')) = (effective_at is not null)",
            name=op.f("ck_plan_migration_move_effective"),
        ),
        sa.CheckConstraint(
            "state in ('moved','scheduled','refused','failed')", name=op.f("ck_plan_migration_move_state")
        ),
        sa.ForeignKeyConstraint(
            ["migration_id"], ["plan_migration.id"], name=op.f("fk_plan_migration_move_migration_id")
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_plan_migration_move_subscription_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan_migration_move")),
        sa.UniqueConstraint(
            "migration_id",
            "subscription_id",
            name=op.f("uq_plan_migration_move_migration_id_subscription_id"),
        ),
    )
    op.create_index(
        "ix_plan_migration_move_migration_id",
        "plan_migration_move",
        ["migration_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_plan_migration_move_subscription_id", "plan_migration_move", ["subscription_id"], unique=False
    )
    run("grant select, insert on plan_migration to matrix_crossing")
    run("grant select, insert, update on plan_migration_move to matrix_crossing")


def drop_plan_migrations() -> None:
    op.drop_table("plan_migration_move")
    op.drop_table("plan_migration")


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


# -- payments


# What the application may change of a payment: never whose it is, for what, or how much.
_OF_A_PAYMENT = (
    "state, applied_minor, refunded_minor, provider_ref, action, decline_code, decline_hard, message, journal_id,"
    " succeeded_at, ended_at, check_at, checks, version"
)
_OF_A_METHOD = "name, brand, last4, expires_month, expires_year, is_default, removed_at, version"
PAYMENT_TENANT = {
    "payment": f"select, insert, update ({_OF_A_PAYMENT})",
    "payment_method": f"select, insert, update ({_OF_A_METHOD})",
    "provider_customer": "select, insert",
}
# Of the house: which accounts there are is read by all who pay, what providers tell only by work across tenants.
PAYMENT_HOUSE = {
    "provider_account": "select, insert, update (name, settings, secrets, enabled, version)",
    "provider_event": "select, insert, update (handled_at, due_at, attempts, reason), delete",
}


def create_payments() -> None:
    create_payment_tables()
    for table, rights in PAYMENT_TENANT.items():
        secure(table, application=rights, crossing=rights)
    for table, rights in PAYMENT_HOUSE.items():
        run(f"grant {rights} on {table} to matrix_crossing")
    run("grant select on provider_account to matrix_app")


def create_payment_tables() -> None:
    op.create_table(
        "provider_account",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("provider", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("is_test", sa.Boolean(), nullable=False),
        sa.Column("settings", JSONB(), nullable=False),
        sa.Column("secrets", sa.LargeBinary(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_account")),
        sa.UniqueConstraint("name", name=op.f("uq_provider_account_name")),
    )
    op.create_index("ix_provider_account_provider", "provider_account", ["provider", "id"], unique=False)
    op.create_table(
        "provider_event",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("provider_account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("event_id", sa.Text(collation="C"), nullable=False),
        sa.Column("kind", sa.Text(collation="C"), nullable=False),
        sa.Column("subject", sa.Text(collation="C"), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("handled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["provider_account_id"],
            ["provider_account.id"],
            name=op.f("fk_provider_event_provider_account_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_event")),
        sa.UniqueConstraint(
            "provider_account_id", "event_id", name=op.f("uq_provider_event_provider_account_id_event_id")
        ),
    )
    op.create_index(
        "ix_provider_event_due",
        "provider_event",
        ["due_at", "id"],
        unique=False,
        postgresql_where=sa.text("due_at is not null"),
    )
    op.create_index("ix_provider_event_received_at", "provider_event", ["received_at", "id"], unique=False)
    op.create_table(
        "payment_method",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("provider_account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("kind", sa.Text(collation="C"), nullable=False),
        sa.Column("brand", sa.Text(collation="C"), nullable=False),
        sa.Column("last4", sa.Text(collation="C"), nullable=False),
        sa.Column("expires_month", sa.Integer(), nullable=True),
        sa.Column("expires_year", sa.Integer(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(expires_month is null) = (expires_year is null)", name=op.f("ck_payment_method_expiry")
        ),
        sa.CheckConstraint("expires_month between 1 and 12", name=op.f("ck_payment_method_expires_month")),
        sa.CheckConstraint(
            "not (is_default and removed_at is not null)", name=op.f("ck_payment_method_default_is_there")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_payment_method_organization_id")
        ),
        sa.ForeignKeyConstraint(
            ["provider_account_id"],
            ["provider_account.id"],
            name=op.f("fk_payment_method_provider_account_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_method")),
    )
    op.create_index(
        "ix_payment_method_organization_id",
        "payment_method",
        ["organization_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        "uq_payment_method_token",
        "payment_method",
        ["provider_account_id", "token_hash"],
        unique=True,
        postgresql_where=sa.text("removed_at is null"),
    )
    op.create_index(
        "uq_payment_method_default",
        "payment_method",
        ["organization_id"],
        unique=True,
        postgresql_where=sa.text("is_default"),
    )
    op.create_table(
        "provider_customer",
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("provider_account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("reference", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_provider_customer_organization_id")
        ),
        sa.ForeignKeyConstraint(
            ["provider_account_id"],
            ["provider_account.id"],
            name=op.f("fk_provider_customer_provider_account_id"),
        ),
        sa.PrimaryKeyConstraint("organization_id", "provider_account_id", name=op.f("pk_provider_customer")),
    )
    op.create_table(
        "payment",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("invoice_id", sa.Text(collation="C"), nullable=True),
        sa.Column("provider_account_id", sa.Text(collation="C"), nullable=True),
        sa.Column("provider", sa.Text(collation="C"), nullable=False),
        sa.Column("method_id", sa.Text(collation="C"), nullable=True),
        sa.Column("keep_method", sa.Boolean(), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("state", sa.Text(collation="C"), nullable=False),
        sa.Column("initiator", sa.Text(collation="C"), nullable=False),
        sa.Column("currency", sa.Text(collation="C"), nullable=False),
        sa.Column("minor", sa.BigInteger(), nullable=False),
        sa.Column("applied_minor", sa.BigInteger(), nullable=False),
        sa.Column("refunded_minor", sa.BigInteger(), nullable=False),
        sa.Column("provider_ref", sa.Text(collation="C"), nullable=True),
        sa.Column("action", JSONB(), nullable=True),
        sa.Column("decline_code", sa.Text(collation="C"), nullable=True),
        sa.Column("decline_hard", sa.Boolean(), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("journal_id", sa.Text(collation="C"), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("succeeded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("check_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("checks", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(state = 'succeeded') = (succeeded_at is not null)", name=op.f("ck_payment_succeeded")
        ),
        sa.CheckConstraint("initiator in ('customer','schedule','staff')", name=op.f("ck_payment_initiator")),
        sa.CheckConstraint(
            "state = 'succeeded' or refunded_minor + applied_minor = 0",
            name=op.f("ck_payment_moves_when_it_came"),
        ),
        sa.CheckConstraint(
            "state in ('sending','requires_action','processing','succeeded','failed','canceled')",
            name=op.f("ck_payment_state"),
        ),
        sa.CheckConstraint(
            "(decline_code is null) = (decline_hard is null)", name=op.f("ck_payment_decline")
        ),
        sa.CheckConstraint("applied_minor between 0 and minor", name=op.f("ck_payment_applied")),
        sa.CheckConstraint("minor > 0 and refunded_minor between 0 and minor", name=op.f("ck_payment_minor")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_payment_invoice_id")),
        sa.ForeignKeyConstraint(["method_id"], ["payment_method.id"], name=op.f("fk_payment_method_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_payment_organization_id")
        ),
        sa.ForeignKeyConstraint(
            ["provider_account_id"], ["provider_account.id"], name=op.f("fk_payment_provider_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment")),
        sa.UniqueConstraint("organization_id", "key", name=op.f("uq_payment_organization_id_key")),
        sa.UniqueConstraint(
            "provider_account_id", "provider_ref", name=op.f("uq_payment_provider_account_id_provider_ref")
        ),
    )
    op.create_index(
        "ix_payment_check_at",
        "payment",
        ["check_at", "id"],
        unique=False,
        postgresql_where=sa.text("check_at is not null"),
    )
    op.create_index("ix_payment_created_at", "payment", ["created_at", "id"], unique=False)
    op.create_index("ix_payment_invoice_id", "payment", ["invoice_id", "created_at", "id"], unique=False)
    op.create_index(
        "ix_payment_organization_id", "payment", ["organization_id", "created_at", "id"], unique=False
    )
    op.create_index(
        "uq_payment_under_way",
        "payment",
        ["invoice_id"],
        unique=True,
        postgresql_where=sa.text("state in ('sending','requires_action','processing')"),
    )


def drop_payments() -> None:
    for table in ("payment", "provider_customer", "payment_method", "provider_event", "provider_account"):
        op.drop_table(table)
