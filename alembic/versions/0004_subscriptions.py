"""What is billed by itself: subscriptions, wallets, budgets, and the papers that are made of documents.

Each field has a function that makes what it needs and one that takes it away again.
"""

from __future__ import annotations

import sqlalchemy as sa
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
    # Whoever took a coupon keeps it when it is offered no more.
    run("drop policy tenant on coupon")
    run(
        "create policy tenant on coupon to matrix_app using (archived_at is null"
        " or exists (select from coupon_redemption r where r.coupon_id = coupon.id))"
    )


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
