"""Foundations, billing and payments made whole.

Each field has a function that makes what it needs and one that takes it away again.
"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0009"
down_revision = "0008"
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
    create_list_indexes()
    create_chain_movements()
    create_tax_numbers()
    create_terms()
    create_inclusive_prices()


def downgrade() -> None:
    drop_inclusive_prices()
    drop_terms()
    drop_tax_numbers()
    drop_chain_movements()
    drop_list_indexes()


# -- lists: what staff sees of all organisations is read in order, however much there is


def create_list_indexes() -> None:
    for table in ("plan_migration_move", "wallet", "wallet_debit", "wallet_lot", "wallet_top_up"):
        op.create_index(f"ix_{table}_created_at", table, ["created_at", "id"])
    for table in ("contest", "dispute"):
        op.create_index(f"ix_{table}_due", table, ["due_at", "id"])
    op.create_index(
        "ix_subscription_parked_at",
        "subscription",
        ["parked_at", "id"],
        postgresql_where=sa.text("parked_at is not null"),
    )


def drop_list_indexes() -> None:
    op.drop_index("ix_subscription_parked_at", "subscription")
    for table in ("dispute", "contest"):
        op.drop_index(f"ix_{table}_due", table)
    for table in ("wallet_top_up", "wallet_lot", "wallet_debit", "wallet", "plan_migration_move"):
        op.drop_index(f"ix_{table}_created_at", table)


# -- chains: what moved at our addresses, for reconciliation


def create_chain_movements() -> None:
    op.create_table(
        "crypto_movement",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("provider_account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("request_id", sa.Text(collation="C"), nullable=False),
        sa.Column("kind", sa.Text(collation="C"), nullable=False),
        sa.Column("booked_id", sa.Text(collation="C"), nullable=True),
        sa.Column("block_number", sa.BigInteger(), nullable=False),
        sa.Column("units", sa.Numeric(precision=78, scale=0), nullable=False),
        sa.Column("currency", sa.Text(collation="C"), nullable=False),
        sa.Column("minor", sa.BigInteger(), nullable=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind in ('came','gone','swept','unseen')", name=op.f("ck_crypto_movement_kind")),
        sa.CheckConstraint(
            "(booked_id is null) = (kind in ('swept','unseen'))", name=op.f("ck_crypto_movement_booked")
        ),
        sa.CheckConstraint("(units = 0) = (kind in ('came','gone'))", name=op.f("ck_crypto_movement_units")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_crypto_movement_organization_id")
        ),
        sa.ForeignKeyConstraint(
            ["provider_account_id"],
            ["provider_account.id"],
            name=op.f("fk_crypto_movement_provider_account_id"),
        ),
        sa.ForeignKeyConstraint(
            ["request_id"], ["crypto_request.payment_id"], name=op.f("fk_crypto_movement_request_id")
        ),
        sa.ForeignKeyConstraint(["booked_id"], ["payment.id"], name=op.f("fk_crypto_movement_booked_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_crypto_movement")),
        sa.UniqueConstraint("booked_id", "kind", name=op.f("uq_crypto_movement_booked_id_kind")),
    )
    op.create_index("ix_crypto_movement_account", "crypto_movement", ["provider_account_id", "id"])
    op.create_index("ix_crypto_movement_request_id", "crypto_movement", ["request_id"])
    secure("crypto_movement", application="select, insert", crossing="select, insert")
    # What came until now, and what of it was taken away again.
    run(
        """
        insert into crypto_movement (id, organization_id, provider_account_id, request_id, kind, booked_id,
          block_number, units, currency, minor, happened_at)
        select 'cmov_' || split_part(b.row_id, '_', 2), b.organization_id, b.provider_account_id, b.request_id, b.kind,
          b.payment_id, 0, 0, b.currency, b.minor, b.at
        from (
          select p.id as row_id, p.id as payment_id, p.organization_id, p.provider_account_id, 'came' as kind,
            p.currency, p.minor, p.ended_at as at, p.key
          from payment p where p.provider = 'crypto' and p.state = 'succeeded'
          union all
          select j.id, p.id, p.organization_id, p.provider_account_id, 'gone', p.currency, -p.minor, j.recorded_at,
            p.key
          from payment p join ledger_journal j on j.reverses = p.journal_id
          where p.provider = 'crypto' and p.state = 'succeeded'
        ) a cross join lateral (
          select a.*, coalesce(
            (select r.payment_id from crypto_request r where r.payment_id = a.payment_id),
            (select t.payment_id from crypto_transfer t where t.id = split_part(a.key, '.', 1)),
            (select r.payment_id from crypto_request r where a.key = 'over.' || r.payment_id)) as request_id
        ) b where b.request_id is not null
        """
    )


def drop_chain_movements() -> None:
    op.drop_table("crypto_movement")


# -- tax numbers: what is known of one, when its register is asked, and whether who gave it is believed until then


def create_tax_numbers() -> None:
    op.add_column("billing_profile", sa.Column("number_check_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "billing_profile",
        sa.Column("number_check_tries", sa.Integer(), nullable=False, server_default=sa.text("0")),
    )
    op.alter_column("billing_profile", "number_check_tries", server_default=None)
    op.create_index(
        "ix_billing_profile_number_check",
        "billing_profile",
        ["number_check_at"],
        postgresql_where=sa.text("number_check_at is not null"),
    )
    op.add_column(
        "legal_entity",
        sa.Column("trusts_unanswered", sa.Boolean(), nullable=False, server_default=sa.text("false")),
    )
    op.alter_column("legal_entity", "trusts_unanswered", server_default=None)
    run(
        "update billing_profile set tax_number = tax_number - 'valid' || jsonb_build_object("
        "  'state', case when (tax_number->>'valid')::boolean then 'valid' else 'invalid' end, 'reason', '')"
        " where jsonb_typeof(tax_number) = 'object'"
    )


def drop_tax_numbers() -> None:
    run(
        "update billing_profile set tax_number = case when tax_number->>'checked_at' is null then null"
        "  else tax_number - 'state' - 'reason' || jsonb_build_object('valid', tax_number->>'state' = 'valid') end"
        " where jsonb_typeof(tax_number) = 'object'"
    )
    op.drop_column("legal_entity", "trusts_unanswered")
    op.drop_index("ix_billing_profile_number_check", "billing_profile")
    for column in ("number_check_tries", "number_check_at"):
        op.drop_column("billing_profile", column)


# -- terms: versions as they were published, and who accepted them


def create_terms() -> None:
    op.create_table(
        "terms_version",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("published_by", sa.Text(collation="C"), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("number > 0", name=op.f("ck_terms_version_number")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_terms_version")),
        sa.UniqueConstraint("number", name=op.f("uq_terms_version_number")),
    )
    op.create_index("ix_terms_version_published_at", "terms_version", ["published_at", "id"])
    run("grant select on terms_version to matrix_app")
    run("grant select, insert on terms_version to matrix_crossing")
    op.create_table(
        "terms_acceptance",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("terms_id", sa.Text(collation="C"), nullable=False),
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("occasion", sa.Text(collation="C"), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "occasion in ('founding','subscribing','paying')", name=op.f("ck_terms_acceptance_occasion")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_terms_acceptance_organization_id")
        ),
        sa.ForeignKeyConstraint(
            ["terms_id"], ["terms_version.id"], name=op.f("fk_terms_acceptance_terms_id")
        ),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_terms_acceptance_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_terms_acceptance")),
        sa.UniqueConstraint(
            "organization_id",
            "account_id",
            "terms_id",
            name=op.f("uq_terms_acceptance_organization_id_account_id_terms_id"),
        ),
    )
    op.create_index(
        "ix_terms_acceptance_accepted_at", "terms_acceptance", ["organization_id", "accepted_at", "id"]
    )
    secure("terms_acceptance", application="select, insert", crossing="select, insert")
    # With what somebody came is written down with what they accept.
    run("grant select (user_agent) on session to matrix_app")


def drop_terms() -> None:
    run("revoke select (user_agent) on session from matrix_app")
    op.drop_table("terms_acceptance")
    op.drop_table("terms_version")


# -- inclusive prices: whether the tax is in what a plan asks for


def create_inclusive_prices() -> None:
    op.add_column(
        "plan_charge",
        sa.Column("tax_inclusive", sa.Boolean(), nullable=False, server_default=sa.text("false")),
    )


def drop_inclusive_prices() -> None:
    op.drop_column("plan_charge", "tax_inclusive")
