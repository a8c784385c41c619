"""Billing: the ledger, the catalogue of plans, and invoices as documents.

Each field has a function that makes what it needs and one that takes it away again.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

IN_SCOPE = "organization_id = any ((select matrix_scope())::text[])"


def run(statement: str) -> None:
    """Plain SQL, as it is: colons and percent signs mean nothing to the driver."""
    op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})


def upgrade() -> None:
    create_ledger()
    create_plans()
    create_invoices()


def downgrade() -> None:
    drop_invoices()
    drop_plans()
    drop_ledger()


def secure(table: str, *, application: str, crossing: str, visible: str = IN_SCOPE) -> None:
    """Row-level security on a tenant's table, and what the two roles may do with the rows they see."""
    run(f"alter table {table} enable row level security")
    run(f"alter table {table} force row level security")
    run(f"create policy tenant on {table} to matrix_app using ({visible}) with check ({visible})")
    run(f"create policy crossing on {table} to matrix_crossing using (true) with check (true)")
    run(f"create policy migration on {table} to current_user using (true) with check (true)")
    run(f"grant {application} on {table} to matrix_app")
    run(f"grant {crossing} on {table} to matrix_crossing")


# -- the ledger

LEDGER_WRITTEN_ONCE = ("ledger_account", "ledger_journal", "ledger_entry")


def create_ledger() -> None:
    create_ledger_tables()
    for table in LEDGER_WRITTEN_ONCE:
        secure(table, application="select, insert", crossing="select, insert")
    secure("ledger_deferral", application="select, insert, update", crossing="select, insert, update")
    create_ledger_triggers()


def create_ledger_triggers() -> None:
    run(
        """
        create function ledger_is_written_once() returns trigger language plpgsql as $$ begin
          raise exception 'Rows of % are never changed: post a journal that reverses.', tg_table_name
            using errcode = 'restrict_violation';
        end $$
        """
    )
    for table in LEDGER_WRITTEN_ONCE:
        run(
            f"create trigger written_once before update or delete or truncate on {table}"
            " for each statement execute function ledger_is_written_once()"
        )
    # Lines beyond those that the journal announced are refused, and at commit all of those are there: so nothing
    # can be added to a journal once it is complete.
    run(
        """
        create function ledger_entries_fit() returns trigger language plpgsql as $$ begin
          if exists (
            select from added e
            left join ledger_journal j on j.id = e.journal_id
            left join ledger_account a on a.id = e.account_id
            where (
              e.line between 1 and j.entries and j.happened_at = e.happened_at and a.currency = e.currency
              and j.organization_id is not distinct from e.organization_id
              and a.organization_id is not distinct from e.organization_id
            ) is not true
          ) then
            raise exception 'An entry fits neither its journal nor its account.' using errcode = 'check_violation';
          end if;
          return null;
        end $$
        """
    )
    run(
        "create trigger entries_fit after insert on ledger_entry referencing new table as added"
        " for each statement execute function ledger_entries_fit()"
    )
    run(
        """
        create function ledger_journal_balances() returns trigger language plpgsql as $$ begin
          if (select count(*) from ledger_entry where journal_id = new.id) <> new.entries then
            raise exception 'The journal % does not have its % entries.', new.id, new.entries
              using errcode = 'check_violation';
          end if;
          if exists (
            select from ledger_entry where journal_id = new.id group by currency having sum(minor) <> 0
          ) then
            raise exception 'The journal % does not balance.', new.id using errcode = 'check_violation';
          end if;
          if new.reverses is not null and exists (
            select from ledger_entry where journal_id in (new.id, new.reverses)
            group by account_id having sum(minor) <> 0
          ) then
            raise exception 'The journal % does not undo %.', new.id, new.reverses using errcode = 'check_violation';
          end if;
          return null;
        end $$
        """
    )
    run(
        "create constraint trigger balances after insert on ledger_journal deferrable initially deferred"
        " for each row execute function ledger_journal_balances()"
    )


def create_ledger_tables() -> None:
    op.create_table(
        "ledger_account",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=True),
        sa.Column("currency", sa.Text(collation="C"), nullable=False),
        sa.Column("purpose", sa.Text(collation="C"), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind in ('asset','liability','revenue','expense')", name=op.f("ck_ledger_account_kind")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_ledger_account_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_account")),
        sa.UniqueConstraint(
            "organization_id",
            "currency",
            "purpose",
            name=op.f("uq_ledger_account_organization_id_currency_purpose"),
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_index("ix_ledger_account_currency", "ledger_account", ["currency", "purpose", "id"])
    op.create_table(
        "ledger_journal",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=True),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.Text(collation="C"), nullable=False),
        sa.Column("cause_id", sa.Text(collation="C"), nullable=False),
        sa.Column("reverses", sa.Text(collation="C"), nullable=True),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("entries >= 2", name=op.f("ck_ledger_journal_entries")),
        sa.CheckConstraint(
            "(reverses is not null) = (kind = 'reversal')", name=op.f("ck_ledger_journal_reversal")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_ledger_journal_organization_id")
        ),
        sa.ForeignKeyConstraint(["reverses"], ["ledger_journal.id"], name=op.f("fk_ledger_journal_reverses")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_journal")),
        sa.UniqueConstraint(
            "organization_id",
            "key",
            name=op.f("uq_ledger_journal_organization_id_key"),
            postgresql_nulls_not_distinct=True,
        ),
        sa.UniqueConstraint("reverses", name=op.f("uq_ledger_journal_reverses")),
    )
    op.create_index(
        "ix_ledger_journal_organization_id", "ledger_journal", ["organization_id", "happened_at", "id"]
    )
    op.create_index("ix_ledger_journal_happened_at", "ledger_journal", ["happened_at", "id"])
    op.create_index("ix_ledger_journal_cause_id", "ledger_journal", ["cause_id", "happened_at", "id"])
    op.create_index(
        "ix_ledger_journal_recorded_at", "ledger_journal", ["recorded_at"], postgresql_using="brin"
    )
    op.create_table(
        "ledger_entry",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=True),
        sa.Column("journal_id", sa.Text(collation="C"), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("currency", sa.Text(collation="C"), nullable=False),
        sa.Column("minor", sa.BigInteger(), nullable=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("minor <> 0", name=op.f("ck_ledger_entry_minor")),
        sa.ForeignKeyConstraint(
            ["journal_id"], ["ledger_journal.id"], name=op.f("fk_ledger_entry_journal_id")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["ledger_account.id"], name=op.f("fk_ledger_entry_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_entry")),
        sa.UniqueConstraint("journal_id", "line", name=op.f("uq_ledger_entry_journal_id_line")),
    )
    op.create_index(
        "ix_ledger_entry_account_id",
        "ledger_entry",
        ["account_id", "happened_at", "id"],
        postgresql_include=["minor", "organization_id"],
    )
    op.create_table(
        "ledger_deferral",
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("line_id", sa.Text(collation="C"), nullable=False),
        sa.Column("currency", sa.Text(collation="C"), nullable=False),
        sa.Column("minor", sa.BigInteger(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("measure", sa.String(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.Column("next_slice", sa.Integer(), nullable=False),
        sa.Column("next_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("minor <> 0", name=op.f("ck_ledger_deferral_minor")),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_ledger_deferral_period")),
        sa.CheckConstraint("measure in ('second','day')", name=op.f("ck_ledger_deferral_measure")),
        sa.CheckConstraint("step in ('day','month')", name=op.f("ck_ledger_deferral_step")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_ledger_deferral_organization_id")
        ),
        sa.PrimaryKeyConstraint("organization_id", "line_id", name=op.f("pk_ledger_deferral")),
    )
    op.create_index(
        "ix_ledger_deferral_due",
        "ledger_deferral",
        ["next_due_at", "organization_id", "line_id"],
        postgresql_where=sa.text("next_due_at is not null"),
    )


def drop_ledger() -> None:
    for table in ("ledger_deferral", "ledger_entry", "ledger_journal", "ledger_account"):
        op.drop_table(table)
    for function in ("ledger_journal_balances", "ledger_entries_fit", "ledger_is_written_once"):
        run(f"drop function {function}()")


# -- the catalogue of plans: it belongs to no organisation, and drafts are for staff alone

SOLD = "exists (select from plan_version v where v.id = plan_version_id)"  # as far as its own policy shows it
PLANS = {  # what the application sees of each table; what staff does across tenants
    "product": ("exists (select from plan p where p.product_id = product.id)", "select, insert, update"),
    "plan": ("exists (select from plan_version v where v.plan_id = plan.id)", "select, insert, update"),
    "plan_version": ("state <> 'draft'", "select, insert, update"),
    "plan_charge": (SOLD, "select, insert, delete"),
    "plan_entitlement": (SOLD, "select, insert, delete"),
    "coupon": ("archived_at is null", "select, insert, update"),
}


def create_plans() -> None:
    create_plan_tables()
    for table, (visible, crossing) in PLANS.items():
        secure(table, application="select", crossing=crossing, visible=visible)
    # Whoever redeems a coupon counts it, in the unit of work of the organisation that does.
    run("grant update (redeemed) on coupon to matrix_app")
    create_plan_triggers()


def create_plan_triggers() -> None:
    run(
        """
        create function plan_version_is_kept() returns trigger language plpgsql as $$ begin
          if old.state <> 'draft' and (
            old.state = 'retired' or new.state <> 'retired'
            or (to_jsonb(new) - '{state,retired_at,version}'::text[])
              is distinct from (to_jsonb(old) - '{state,retired_at,version}'::text[])
          ) then
            raise exception 'Version % of a plan is published: a change is a new version.', old.id
              using errcode = 'restrict_violation';
          end if;
          return new;
        end $$
        """
    )
    run(
        "create trigger kept before update on plan_version for each row execute function plan_version_is_kept()"
    )
    # The version is locked, so that it cannot be published while something is put into it or taken from it.
    run(
        """
        create function plan_terms_are_kept() returns trigger language plpgsql as $$
        declare of_version text := coalesce(new.plan_version_id, old.plan_version_id);
        begin
          perform from plan_version where id = of_version and state = 'draft' for share;
          if not found then
            raise exception 'Version % of a plan is published: a change is a new version.', of_version
              using errcode = 'restrict_violation';
          end if;
          return coalesce(new, old);
        end $$
        """
    )
    for table in ("plan_charge", "plan_entitlement"):
        run(
            f"create trigger kept before insert or delete on {table}"
            " for each row execute function plan_terms_are_kept()"
        )
    run(
        """
        create function coupon_is_kept() returns trigger language plpgsql as $$ begin
          if (to_jsonb(new) - '{redeemed,archived_at}'::text[])
            is distinct from (to_jsonb(old) - '{redeemed,archived_at}'::text[])
          then
            raise exception 'The terms of coupon % never change.', old.id using errcode = 'restrict_violation';
          end if;
          return new;
        end $$
        """
    )
    run("create trigger kept before update on coupon for each row execute function coupon_is_kept()")


def create_plan_tables() -> None:
    op.create_table(
        "product",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("slug", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(collation="C"), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["created_by"], ["account.id"], name=op.f("fk_product_created_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_product")),
        sa.UniqueConstraint("slug", name=op.f("uq_product_slug")),
    )
    op.create_table(
        "plan",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("product_id", sa.Text(collation="C"), nullable=False),
        sa.Column("slug", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("addon_to", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_by", sa.Text(collation="C"), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["created_by"], ["account.id"], name=op.f("fk_plan_created_by")),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("fk_plan_product_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan")),
        sa.UniqueConstraint("slug", name=op.f("uq_plan_slug")),
    )
    op.create_index("ix_plan_product_id", "plan", ["product_id", "slug"])
    op.create_table(
        "plan_version",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("plan_id", sa.Text(collation="C"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("trial_days", sa.Integer(), nullable=False),
        sa.Column("tax_code", sa.Text(collation="C"), nullable=False),
        sa.Column("created_by", sa.Text(collation="C"), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(published_at is null) = (state = 'draft')", name=op.f("ck_plan_version_published")
        ),
        sa.CheckConstraint(
            "(retired_at is not null) = (state = 'retired')", name=op.f("ck_plan_version_retired")
        ),
        sa.CheckConstraint("state in ('draft','published','retired')", name=op.f("ck_plan_version_state")),
        sa.CheckConstraint("number >= 1", name=op.f("ck_plan_version_number")),
        sa.CheckConstraint("trial_days between 0 and 730", name=op.f("ck_plan_version_trial_days")),
        sa.ForeignKeyConstraint(["created_by"], ["account.id"], name=op.f("fk_plan_version_created_by")),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_plan_version_plan_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan_version")),
        sa.UniqueConstraint("plan_id", "number", name=op.f("uq_plan_version_plan_id_number")),
    )
    op.create_index(
        "uq_plan_version_draft",
        "plan_version",
        ["plan_id"],
        unique=True,
        postgresql_where=sa.text("state = 'draft'"),
    )
    op.create_index(
        "uq_plan_version_published",
        "plan_version",
        ["plan_id"],
        unique=True,
        postgresql_where=sa.text("state = 'published'"),
    )
    op.create_table(
        "plan_charge",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("plan_version_id", sa.Text(collation="C"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("meter", sa.Text(collation="C"), nullable=True),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("interval", sa.String(), nullable=True),
        sa.Column("interval_count", sa.Integer(), nullable=False),
        sa.Column("timing", sa.String(), nullable=False),
        sa.Column("proration", sa.String(), nullable=False),
        sa.Column("definition", postgresql.JSONB(), nullable=False),
        sa.Column("quantity_min", sa.Numeric(precision=38, scale=12), nullable=False),
        sa.Column("quantity_max", sa.Numeric(precision=38, scale=12), nullable=True),
        sa.CheckConstraint("(interval is null) = (kind = 'one_off')", name=op.f("ck_plan_charge_recurs")),
        sa.CheckConstraint("(meter is not null) = (kind = 'metered')", name=op.f("ck_plan_charge_meter")),
        sa.CheckConstraint(
            "interval in ('day','week','month','quarter','half_year','year')",
            name=op.f("ck_plan_charge_interval"),
        ),
        sa.CheckConstraint("kind in ('flat','seat','metered','one_off')", name=op.f("ck_plan_charge_kind")),
        sa.CheckConstraint(
            "proration in ('second','minute','day','fixed_30')", name=op.f("ck_plan_charge_proration")
        ),
        sa.CheckConstraint("timing in ('advance','arrears')", name=op.f("ck_plan_charge_timing")),
        sa.CheckConstraint("interval_count >= 1", name=op.f("ck_plan_charge_interval_count")),
        sa.CheckConstraint(
            "quantity_min >= 0 and quantity_max >= quantity_min", name=op.f("ck_plan_charge_quantity")
        ),
        sa.ForeignKeyConstraint(
            ["plan_version_id"], ["plan_version.id"], name=op.f("fk_plan_charge_plan_version_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan_charge")),
        sa.UniqueConstraint(
            "plan_version_id",
            "key",
            "currency",
            "interval",
            "interval_count",
            name="uq_plan_charge_price",
            postgresql_nulls_not_distinct=True,
        ),
        sa.UniqueConstraint(
            "plan_version_id", "position", name=op.f("uq_plan_charge_plan_version_id_position")
        ),
    )
    op.create_table(
        "plan_entitlement",
        sa.Column("plan_version_id", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.CheckConstraint("kind in ('flag','number','text')", name=op.f("ck_plan_entitlement_kind")),
        sa.ForeignKeyConstraint(
            ["plan_version_id"], ["plan_version.id"], name=op.f("fk_plan_entitlement_plan_version_id")
        ),
        sa.PrimaryKeyConstraint("plan_version_id", "key", name=op.f("pk_plan_entitlement")),
        sa.UniqueConstraint(
            "plan_version_id", "position", name=op.f("uq_plan_entitlement_plan_version_id_position")
        ),
    )
    op.create_table(
        "coupon",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("code_key", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("rate", sa.Numeric(precision=30, scale=12), nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(), nullable=True),
        sa.Column("duration", sa.String(), nullable=False),
        sa.Column("periods", sa.Integer(), nullable=True),
        sa.Column("meters", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("plans", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("redemptions_max", sa.Integer(), nullable=True),
        sa.Column("redeemed", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.Text(collation="C"), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(periods is not null) = (duration = 'periods')", name=op.f("ck_coupon_periods")),
        sa.CheckConstraint("duration in ('once','periods','forever')", name=op.f("ck_coupon_duration")),
        sa.CheckConstraint("plans = '{}' or meters = '{}'", name=op.f("ck_coupon_limited_to")),
        sa.CheckConstraint("(currency is null) = (amount_minor is null)", name=op.f("ck_coupon_currency")),
        sa.CheckConstraint("(rate is null) <> (amount_minor is null)", name=op.f("ck_coupon_amount")),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_coupon_amount_minor")),
        sa.CheckConstraint("rate > 0 and rate <= 1", name=op.f("ck_coupon_rate")),
        sa.CheckConstraint(
            "redeemed >= 0 and (redemptions_max is null or redeemed <= redemptions_max)",
            name=op.f("ck_coupon_redeemed"),
        ),
        sa.ForeignKeyConstraint(["created_by"], ["account.id"], name=op.f("fk_coupon_created_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_coupon")),
        sa.UniqueConstraint("code_key", name=op.f("uq_coupon_code_key")),
    )
    op.create_index("ix_coupon_created_at", "coupon", ["created_at", "id"])


def drop_plans() -> None:
    for table in ("product", "plan"):  # they look at versions
        run(f"drop policy tenant on {table}")
    for table in ("coupon", "plan_entitlement", "plan_charge", "plan_version", "plan", "product"):
        op.drop_table(table)
    for function in ("coupon_is_kept", "plan_terms_are_kept", "plan_version_is_kept"):
        run(f"drop function {function}()")


# -- invoices

# What belongs to the house, and may be read by whoever works on a document.
INVOICE_HOUSE = {
    "legal_entity": "select",
    "number_series": "select, insert, update",
    "tax_rate": "select",
}
INVOICE_TENANT = {
    "billing_profile": "select, insert, update",
    "invoice": "select, insert, update",
    "invoice_line": "select, insert, update, delete",
    "credit_note": "select, insert",
    "credit_note_line": "select, insert",
    "customer_credit": "select, insert, update",
    "credit_use": "select, insert, update",
}
INVOICE_FUNCTIONS = (
    "invoice_is_fixed",
    "invoice_adds_up",
    "invoice_lines_are_fixed",
    "credit_note_is_written_once",
    "credit_note_adds_up",
)


def create_invoices() -> None:
    create_invoice_tables()
    run(
        "alter table tax_rate add constraint ex_tax_rate_validity exclude using gist"
        " (jurisdiction with =, name with =, daterange(valid_from, valid_until) with &&)"
    )
    for table, rights in INVOICE_HOUSE.items():
        run(f"grant {rights} on {table} to matrix_app")
        run(f"grant select, insert, update on {table} to matrix_crossing")
    for table, rights in INVOICE_TENANT.items():
        secure(table, application=rights, crossing=rights)
    create_invoice_triggers()
    create_note_triggers()


def create_invoice_triggers() -> None:
    # What a document says is fixed when it has its number; after that only what became of it changes.
    run(
        """
        create function invoice_is_fixed() returns trigger language plpgsql as $$ begin
          if (old.state, new.state) not in (
            ('draft', 'draft'), ('draft', 'finalized'), ('draft', 'void'),
            ('finalized', 'finalized'), ('finalized', 'paid'), ('finalized', 'void'), ('finalized', 'uncollectible'),
            ('uncollectible', 'uncollectible'), ('uncollectible', 'paid'), ('paid', 'paid'), ('void', 'void')
          ) then
            raise exception 'An invoice does not go from % to %.', old.state, new.state
              using errcode = 'check_violation';
          end if;
          if old.state <> 'draft' and (
            to_jsonb(new) - array['state', 'credited_minor', 'offset_minor', 'paid_minor', 'written_off_minor',
              'due_minor', 'paid_at', 'voided_at', 'uncollectible_at']
            is distinct from to_jsonb(old) - array['state', 'credited_minor', 'offset_minor', 'paid_minor',
              'written_off_minor', 'due_minor', 'paid_at', 'voided_at', 'uncollectible_at']
          ) then
            raise exception 'The invoice % is final: correct it by a credit note.', old.id
              using errcode = 'restrict_violation';
          end if;
          return new;
        end $$
        """
    )
    run("create trigger is_fixed before update on invoice for each row execute function invoice_is_fixed()")
    run(
        """
        create function invoice_adds_up() returns trigger language plpgsql as $$ begin
          if exists (
            select from (
              select coalesce(sum(net_minor), 0) as net, coalesce(sum(tax_minor), 0) as tax, count(*) as lines
              from invoice_line where invoice_id = new.id
            ) l where l.net <> new.net_minor or l.tax <> new.tax_minor or l.lines <> new.lines
          ) then
            raise exception 'The lines of the invoice % do not add up to it.', new.id
              using errcode = 'check_violation';
          end if;
          return null;
        end $$
        """
    )
    run(
        "create constraint trigger adds_up after update on invoice deferrable initially deferred"
        " for each row when (old.number is null and new.number is not null) execute function invoice_adds_up()"
    )
    run(
        """
        create function invoice_lines_are_fixed() returns trigger language plpgsql as $$ begin
          if exists (
            select from touched t join invoice i on i.id = t.invoice_id where i.state <> 'draft'
          ) then
            raise exception 'Lines of a final invoice are never changed.' using errcode = 'restrict_violation';
          end if;
          return null;
        end $$
        """
    )
    for event, rows in (("insert", "new"), ("update", "old"), ("delete", "old")):
        run(
            f"create trigger fixed_on_{event} after {event} on invoice_line referencing {rows} table as touched"
            " for each statement execute function invoice_lines_are_fixed()"
        )


def create_note_triggers() -> None:
    run(
        """
        create function credit_note_is_written_once() returns trigger language plpgsql as $$ begin
          raise exception 'Rows of % are never changed.', tg_table_name using errcode = 'restrict_violation';
        end $$
        """
    )
    for table in ("credit_note", "credit_note_line"):
        run(
            f"create trigger written_once before update or delete on {table}"
            " for each statement execute function credit_note_is_written_once()"
        )
    # Notes never exceed their invoice: what they add up to is what its own check bounds.
    run(
        """
        create function credit_note_adds_up() returns trigger language plpgsql as $$ begin
          if exists (
            select from invoice i where i.id = new.invoice_id and i.credited_minor <> (
              select coalesce(sum(n.total_minor), 0) from credit_note n where n.invoice_id = i.id)
          ) or exists (
            select from (
              select coalesce(sum(net_minor), 0) as net, coalesce(sum(tax_minor), 0) as tax
              from credit_note_line where credit_note_id = new.id
            ) l where l.net <> new.net_minor or l.tax <> new.tax_minor
          ) then
            raise exception 'The credit note % does not add up.', new.id using errcode = 'check_violation';
          end if;
          return null;
        end $$
        """
    )
    run(
        "create constraint trigger adds_up after insert on credit_note deferrable initially deferred"
        " for each row execute function credit_note_adds_up()"
    )


def create_invoice_tables() -> None:
    op.create_table(
        "legal_entity",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("code", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("country", sa.String(), nullable=False),
        sa.Column("tax_ids", JSONB(), nullable=False),
        sa.Column("registrations", JSONB(), nullable=False),
        sa.Column("reverse_charge_in", JSONB(), nullable=False),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("brand", sa.String(), nullable=False),
        sa.Column("invoice_pattern", sa.String(), nullable=False),
        sa.Column("invoice_reset", sa.String(), nullable=False),
        sa.Column("note_pattern", sa.String(), nullable=False),
        sa.Column("note_reset", sa.String(), nullable=False),
        sa.Column("tax_rounding", sa.String(), nullable=False),
        sa.Column("zero_documents", sa.String(), nullable=False),
        sa.Column("grace_hours", sa.Integer(), nullable=False),
        sa.Column("payment_days", sa.Integer(), nullable=False),
        sa.Column("is_test", sa.Boolean(), nullable=False),
        sa.Column("is_usual", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "invoice_reset in ('never','yearly','monthly')", name=op.f("ck_legal_entity_invoice_reset")
        ),
        sa.CheckConstraint(
            "note_reset in ('never','yearly','monthly')", name=op.f("ck_legal_entity_note_reset")
        ),
        sa.CheckConstraint("tax_rounding in ('line','document')", name=op.f("ck_legal_entity_tax_rounding")),
        sa.CheckConstraint("zero_documents in ('issue','drop')", name=op.f("ck_legal_entity_zero_documents")),
        sa.CheckConstraint("grace_hours between 0 and 720", name=op.f("ck_legal_entity_grace_hours")),
        sa.CheckConstraint("payment_days between 0 and 365", name=op.f("ck_legal_entity_payment_days")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_legal_entity")),
        sa.UniqueConstraint("code", name=op.f("uq_legal_entity_code")),
    )
    op.create_index(
        "uq_legal_entity_usual",
        "legal_entity",
        ["is_test"],
        unique=True,
        postgresql_where=sa.text("is_usual"),
    )
    op.create_table(
        "number_series",
        sa.Column("legal_entity_id", sa.Text(collation="C"), nullable=False),
        sa.Column("series", sa.Text(collation="C"), nullable=False),
        sa.Column("brand", sa.Text(collation="C"), nullable=False),
        sa.Column("period", sa.Text(collation="C"), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("last > 0", name=op.f("ck_number_series_last")),
        sa.ForeignKeyConstraint(
            ["legal_entity_id"], ["legal_entity.id"], name=op.f("fk_number_series_legal_entity_id")
        ),
        sa.PrimaryKeyConstraint(
            "legal_entity_id", "series", "brand", "period", name=op.f("pk_number_series")
        ),
    )
    op.create_table(
        "tax_rate",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("jurisdiction", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("rate", sa.Numeric(precision=30, scale=12), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("edition", sa.String(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("rate >= 0 and rate <= 1", name=op.f("ck_tax_rate_rate")),
        sa.CheckConstraint(
            "valid_until is null or valid_until > valid_from", name=op.f("ck_tax_rate_validity")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tax_rate")),
    )
    op.create_index(
        "ix_tax_rate_jurisdiction", "tax_rate", ["jurisdiction", "name", "valid_from"], unique=False
    )
    op.create_table(
        "billing_profile",
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("legal_entity_id", sa.Text(collation="C"), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("country", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("tax_number", JSONB(), nullable=True),
        sa.Column("exemption", JSONB(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["legal_entity_id"], ["legal_entity.id"], name=op.f("fk_billing_profile_legal_entity_id")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_billing_profile_organization_id")
        ),
        sa.PrimaryKeyConstraint("organization_id", name=op.f("pk_billing_profile")),
    )
    op.create_table(
        "invoice",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("legal_entity_id", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("state", sa.Text(collation="C"), nullable=False),
        sa.Column("currency", sa.Text(collation="C"), nullable=False),
        sa.Column("memo", sa.Text(), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("next_position", sa.Integer(), nullable=False),
        sa.Column("number", sa.Text(collation="C"), nullable=True),
        sa.Column("series_brand", sa.Text(collation="C"), nullable=True),
        sa.Column("series_period", sa.Text(collation="C"), nullable=True),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.Column("label_date", sa.Date(), nullable=True),
        sa.Column("due_date", sa.Date(), nullable=True),
        sa.Column("charged_minor", sa.BigInteger(), nullable=False),
        sa.Column("discount_minor", sa.BigInteger(), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax_minor", sa.BigInteger(), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("seller", JSONB(), nullable=True),
        sa.Column("buyer", JSONB(), nullable=True),
        sa.Column("policy", JSONB(), nullable=True),
        sa.Column("coupons", JSONB(), nullable=True),
        sa.Column("taxes", JSONB(), nullable=True),
        sa.Column("journal_id", sa.Text(collation="C"), nullable=True),
        sa.Column("credited_minor", sa.BigInteger(), nullable=False),
        sa.Column("offset_minor", sa.BigInteger(), nullable=False),
        sa.Column("paid_minor", sa.BigInteger(), nullable=False),
        sa.Column("written_off_minor", sa.BigInteger(), nullable=False),
        sa.Column("due_minor", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("collect_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finalized_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("voided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("uncollectible_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(number is not null) = (finalized_at is not null) and (number is not null) = (sequence is not null)"
            " and (state not in ('finalized', 'paid', 'uncollectible') or number is not null)"
            " and (state <> 'draft' or number is null)",
            name=op.f("ck_invoice_number"),
        ),
        sa.CheckConstraint(
            "due_minor >= 0 and paid_minor >= 0 and written_off_minor >= 0 and due_minor = case"
            " when state in ('draft', 'void') then 0"
            " else greatest(total_minor, 0) - offset_minor - paid_minor - written_off_minor end",
            name=op.f("ck_invoice_due"),
        ),
        sa.CheckConstraint(
            "state = 'uncollectible' or written_off_minor = 0 or state = 'paid'",
            name=op.f("ck_invoice_written_off"),
        ),
        sa.CheckConstraint(
            "state in ('draft','finalized','paid','void','uncollectible')", name=op.f("ck_invoice_state")
        ),
        sa.CheckConstraint(
            "state not in ('paid', 'uncollectible') or due_minor = 0", name=op.f("ck_invoice_settled")
        ),
        sa.CheckConstraint(
            "credited_minor between 0 and greatest(total_minor, 0) and offset_minor between 0 and credited_minor",
            name=op.f("ck_invoice_credited"),
        ),
        sa.CheckConstraint("net_minor + tax_minor = total_minor", name=op.f("ck_invoice_total")),
        sa.ForeignKeyConstraint(
            ["legal_entity_id"], ["legal_entity.id"], name=op.f("fk_invoice_legal_entity_id")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_invoice_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice")),
        sa.UniqueConstraint("legal_entity_id", "number", name=op.f("uq_invoice_legal_entity_id_number")),
        sa.UniqueConstraint(
            "legal_entity_id",
            "series_brand",
            "series_period",
            "sequence",
            name="uq_invoice_counter",
        ),
        sa.UniqueConstraint("organization_id", "key", name=op.f("uq_invoice_organization_id_key")),
    )
    op.create_index("ix_invoice_created_at", "invoice", ["created_at", "id"], unique=False)
    op.create_index(
        "ix_invoice_open",
        "invoice",
        ["organization_id", "currency"],
        unique=False,
        postgresql_where=sa.text("state = 'finalized'"),
        postgresql_include=["due_minor"],
    )
    op.create_index(
        "ix_invoice_organization_id", "invoice", ["organization_id", "created_at", "id"], unique=False
    )
    op.create_table(
        "invoice_line",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("invoice_id", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Numeric(precision=38, scale=12), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("billed_before_minor", sa.BigInteger(), nullable=False),
        sa.Column("inclusive", sa.Boolean(), nullable=False),
        sa.Column("discountable", sa.Boolean(), nullable=False),
        sa.Column("metric", sa.Text(collation="C"), nullable=True),
        sa.Column("plan", sa.Text(collation="C"), nullable=True),
        sa.Column("tax_code", sa.Text(collation="C"), nullable=False),
        sa.Column("given_tax_minor", sa.BigInteger(), nullable=True),
        sa.Column("treatment", JSONB(), nullable=True),
        sa.Column("period_start", sa.DateTime(timezone=True), nullable=True),
        sa.Column("period_end", sa.DateTime(timezone=True), nullable=True),
        sa.Column("facts", JSONB(), nullable=False),
        sa.Column("discount_minor", sa.BigInteger(), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax_minor", sa.BigInteger(), nullable=False),
        sa.Column("gross_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax", JSONB(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "origin in ('manual','one_off','usage','subscription')", name=op.f("ck_invoice_line_origin")
        ),
        sa.CheckConstraint(
            "(period_start is null) = (period_end is null) and (period_end is null or period_end > period_start)",
            name=op.f("ck_invoice_line_period"),
        ),
        sa.CheckConstraint("net_minor + tax_minor = gross_minor", name=op.f("ck_invoice_line_gross")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_invoice_line_invoice_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_invoice_line_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice_line")),
        sa.UniqueConstraint("invoice_id", "key", name=op.f("uq_invoice_line_invoice_id_key")),
        sa.UniqueConstraint("invoice_id", "position", name=op.f("uq_invoice_line_invoice_id_position")),
    )
    op.create_table(
        "credit_note",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("legal_entity_id", sa.Text(collation="C"), nullable=False),
        sa.Column("invoice_id", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("asked", JSONB(), nullable=False),
        sa.Column("number", sa.Text(collation="C"), nullable=False),
        sa.Column("series_brand", sa.Text(collation="C"), nullable=False),
        sa.Column("series_period", sa.Text(collation="C"), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("label_date", sa.Date(), nullable=False),
        sa.Column("currency", sa.Text(collation="C"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax_minor", sa.BigInteger(), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("offset_minor", sa.BigInteger(), nullable=False),
        sa.Column("journal_id", sa.Text(collation="C"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "net_minor + tax_minor = total_minor and total_minor > 0", name=op.f("ck_credit_note_total")
        ),
        sa.CheckConstraint(
            "offset_minor between 0 and total_minor", name=op.f("ck_credit_note_offset_minor")
        ),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_credit_note_invoice_id")),
        sa.ForeignKeyConstraint(
            ["legal_entity_id"], ["legal_entity.id"], name=op.f("fk_credit_note_legal_entity_id")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_credit_note_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_note")),
        sa.UniqueConstraint("legal_entity_id", "number", name=op.f("uq_credit_note_legal_entity_id_number")),
        sa.UniqueConstraint(
            "legal_entity_id",
            "series_brand",
            "series_period",
            "sequence",
            name="uq_credit_note_counter",
        ),
        sa.UniqueConstraint("organization_id", "key", name=op.f("uq_credit_note_organization_id_key")),
    )
    op.create_index("ix_credit_note_invoice_id", "credit_note", ["invoice_id", "id"], unique=False)
    op.create_index(
        "ix_credit_note_organization_id", "credit_note", ["organization_id", "created_at", "id"], unique=False
    )
    op.create_table(
        "credit_note_line",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("credit_note_id", sa.Text(collation="C"), nullable=False),
        sa.Column("invoice_line_id", sa.Text(collation="C"), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax_parts", JSONB(), nullable=False),
        sa.ForeignKeyConstraint(
            ["credit_note_id"], ["credit_note.id"], name=op.f("fk_credit_note_line_credit_note_id")
        ),
        sa.ForeignKeyConstraint(
            ["invoice_line_id"],
            ["invoice_line.id"],
            name=op.f("fk_credit_note_line_invoice_line_id"),
            deferrable=True,
            initially="DEFERRED",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_credit_note_line_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_note_line")),
        sa.UniqueConstraint(
            "credit_note_id",
            "invoice_line_id",
            name=op.f("uq_credit_note_line_credit_note_id_invoice_line_id"),
        ),
    )
    op.create_index(
        "ix_credit_note_line_invoice_line_id", "credit_note_line", ["invoice_line_id"], unique=False
    )
    op.create_table(
        "customer_credit",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("source_id", sa.Text(collation="C"), nullable=False),
        sa.Column("currency", sa.Text(collation="C"), nullable=False),
        sa.Column("minor", sa.BigInteger(), nullable=False),
        sa.Column("left_minor", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "minor > 0 and left_minor between 0 and minor", name=op.f("ck_customer_credit_left_minor")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_customer_credit_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer_credit")),
        sa.UniqueConstraint("source_id", name=op.f("uq_customer_credit_source_id")),
    )
    op.create_index(
        "ix_customer_credit_left",
        "customer_credit",
        ["organization_id", "currency", "created_at", "id"],
        unique=False,
        postgresql_where=sa.text("left_minor > 0"),
    )
    op.create_table(
        "credit_use",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("credit_id", sa.Text(collation="C"), nullable=False),
        sa.Column("invoice_id", sa.Text(collation="C"), nullable=False),
        sa.Column("minor", sa.BigInteger(), nullable=False),
        sa.Column("journal_id", sa.Text(collation="C"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("given_back_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("minor > 0", name=op.f("ck_credit_use_minor")),
        sa.ForeignKeyConstraint(["credit_id"], ["customer_credit.id"], name=op.f("fk_credit_use_credit_id")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_credit_use_invoice_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_credit_use_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_use")),
    )
    op.create_index("ix_credit_use_credit_id", "credit_use", ["credit_id", "id"], unique=False)
    op.create_index("ix_credit_use_invoice_id", "credit_use", ["invoice_id", "id"], unique=False)


def drop_invoices() -> None:
    for table in (
        "credit_use",
        "customer_credit",
        "credit_note_line",
        "credit_note",
        "invoice_line",
        "invoice",
        "billing_profile",
        "tax_rate",
        "number_series",
        "legal_entity",
    ):
        op.drop_table(table)
    for function in INVOICE_FUNCTIONS:
        run(f"drop function {function}()")
