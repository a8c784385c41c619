"""Tax numbers that their register is asked about.

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


def upgrade() -> None:
    create_tax_numbers()
    create_inclusive_prices()


def downgrade() -> None:
    drop_inclusive_prices()
    drop_tax_numbers()


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


# -- inclusive prices: whether the tax is in what a plan asks for


def create_inclusive_prices() -> None:
    op.add_column(
        "plan_charge",
        sa.Column("tax_inclusive", sa.Boolean(), nullable=False, server_default=sa.text("false")),
    )


def drop_inclusive_prices() -> None:
    op.drop_column("plan_charge", "tax_inclusive")
