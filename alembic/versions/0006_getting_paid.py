"""Getting paid goes on: cases, refunds, disputes, dunning, payment links, reconciliation and crypto.

Each field has a function that makes what it needs and one that takes it away again.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from alembic import op

revision = "0006"
down_revision = "0005"
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
    create_cases()
    create_refunds()
    create_disputes()
    create_dunning()
    create_links()
    create_reconciliation()
    create_crypto()


def downgrade() -> None:
    drop_crypto()
    drop_reconciliation()
    drop_links()
    drop_dunning()
    drop_disputes()
    drop_refunds()
    drop_cases()


# -- cases: what somebody has to look at


def create_cases() -> None:
    op.create_table(
        "payment_case",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=True),
        sa.Column("kind", sa.Text(collation="C"), nullable=False),
        sa.Column("subject", sa.Text(collation="C"), nullable=False),
        sa.Column("currency", sa.Text(collation="C"), nullable=True),
        sa.Column("minor", sa.BigInteger(), nullable=True),
        sa.Column("cause", sa.Text(collation="C"), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("proposal", JSONB(), nullable=True),
        sa.Column("state", sa.Text(collation="C"), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("resolved_by", sa.Text(collation="C"), nullable=True),
        sa.Column("journal_id", sa.Text(collation="C"), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("state in ('open','accepted','dismissed')", name=op.f("ck_payment_case_state")),
        sa.CheckConstraint("(state = 'open') = (resolved_at is null)", name=op.f("ck_payment_case_resolved")),
        sa.CheckConstraint("(currency is null) = (minor is null)", name=op.f("ck_payment_case_amount")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_case")),
        sa.UniqueConstraint("kind", "subject", name=op.f("uq_payment_case_kind_subject")),
    )
    op.create_index(
        "ix_payment_case_open",
        "payment_case",
        ["created_at", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index("ix_payment_case_created_at", "payment_case", ["created_at", "id"], unique=False)
    resolving = "state, note, resolved_by, journal_id, resolved_at, version"
    rights = f"select, insert, update ({resolving})"
    secure("payment_case", application=rights, crossing=rights)


def drop_cases() -> None:
    op.drop_table("payment_case")


# -- refunds


def create_refunds() -> None:
    pass


def drop_refunds() -> None:
    pass


# -- disputes: what customers contest, and what their banks take back


def create_disputes() -> None:
    pass


def drop_disputes() -> None:
    pass


# -- retries and dunning


def create_dunning() -> None:
    pass


def drop_dunning() -> None:
    pass


# -- payment links


def create_links() -> None:
    pass


def drop_links() -> None:
    pass


# -- reconciliation: what providers and banks say moved


def create_reconciliation() -> None:
    pass


def drop_reconciliation() -> None:
    pass


# -- crypto


# Of the house: the chain is followed by work across tenants; who asks to be paid takes an address and a rate.
CRYPTO_HOUSE = {
    "crypto_key": ("select, insert, update (next_index)", "select, insert, update (next_index)"),
    "crypto_rate": ("select", "select, insert"),
    "crypto_watch": ("select", "select, insert, update"),
    "crypto_block": ("", "select, insert, delete"),
}
CRYPTO_TENANT = {
    "crypto_request": ("select, insert", "select, insert"),
    "crypto_transfer": (
        "select, update (state, booked_by, version)",
        "select, insert, update (block_number, block_hash, block_at, units, state, version)",
    ),
}
_BECOMES = """
create or replace function invoice_is_fixed() returns trigger language plpgsql as $$ begin
  if (old.state, new.state) not in (
    ('draft', 'draft'), ('draft', 'finalized'), ('draft', 'void'),
    ('finalized', 'finalized'), ('finalized', 'paid'), ('finalized', 'void'), ('finalized', 'uncollectible'),
    ('uncollectible', 'uncollectible'), ('uncollectible', 'paid'), ('paid', 'paid'), ('void', 'void') {more}
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


def create_crypto() -> None:
    create_crypto_tables()
    for table, (application, crossing) in CRYPTO_TENANT.items():
        secure(table, application=application, crossing=crossing)
    for table, (application, crossing) in CRYPTO_HOUSE.items():
        run(f"grant {crossing} on {table} to matrix_crossing")
        if application:
            run(f"grant {application} on {table} to matrix_app")
    # Money that came may be taken away again: what it paid is due then.
    run(_BECOMES.replace("{more}", ", ('paid', 'finalized')"))


def create_crypto_tables() -> None:
    op.create_table(
        "crypto_key",
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("next_index", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("next_index between 0 and 2147483648", name=op.f("ck_crypto_key_next_index")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_crypto_key")),
    )
    op.create_table(
        "crypto_block",
        sa.Column("provider_account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.Text(collation="C"), nullable=False),
        sa.ForeignKeyConstraint(
            ["provider_account_id"], ["provider_account.id"], name=op.f("fk_crypto_block_provider_account_id")
        ),
        sa.PrimaryKeyConstraint("provider_account_id", "number", name=op.f("pk_crypto_block")),
    )
    op.create_table(
        "crypto_rate",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("provider_account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("asset", sa.Text(collation="C"), nullable=False),
        sa.Column("currency", sa.Text(collation="C"), nullable=False),
        sa.Column("price", sa.Numeric(precision=30, scale=12), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entered_by", sa.Text(collation="C"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("price > 0", name=op.f("ck_crypto_rate_price")),
        sa.CheckConstraint("valid_from < valid_until", name=op.f("ck_crypto_rate_validity")),
        sa.ForeignKeyConstraint(
            ["provider_account_id"], ["provider_account.id"], name=op.f("fk_crypto_rate_provider_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_crypto_rate")),
    )
    op.create_index("ix_crypto_rate_created_at", "crypto_rate", ["created_at", "id"], unique=False)
    op.create_index(
        "ix_crypto_rate_in_force",
        "crypto_rate",
        ["provider_account_id", "asset", "currency", "valid_from", "id"],
        unique=False,
    )
    op.create_table(
        "crypto_watch",
        sa.Column("provider_account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("height", sa.BigInteger(), nullable=False),
        sa.Column("read_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("problem", sa.String(), nullable=True),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["provider_account_id"], ["provider_account.id"], name=op.f("fk_crypto_watch_provider_account_id")
        ),
        sa.PrimaryKeyConstraint("provider_account_id", name=op.f("pk_crypto_watch")),
    )
    op.create_table(
        "crypto_request",
        sa.Column("payment_id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("provider_account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("derivation_index", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.Text(collation="C"), nullable=False),
        sa.Column("asset", sa.Text(collation="C"), nullable=False),
        sa.Column("contract", sa.Text(collation="C"), nullable=True),
        sa.Column("decimals", sa.Integer(), nullable=False),
        sa.Column("expected_units", sa.Numeric(precision=78, scale=0), nullable=False),
        sa.Column("price", sa.Numeric(precision=30, scale=12), nullable=False),
        sa.Column("confirmations", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("watched_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("decimals between 0 and 36", name=op.f("ck_crypto_request_decimals")),
        sa.CheckConstraint("expected_units > 0 and price > 0", name=op.f("ck_crypto_request_expected")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_crypto_request_organization_id")
        ),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_crypto_request_payment_id")),
        sa.ForeignKeyConstraint(
            ["provider_account_id"],
            ["provider_account.id"],
            name=op.f("fk_crypto_request_provider_account_id"),
        ),
        sa.PrimaryKeyConstraint("payment_id", name=op.f("pk_crypto_request")),
        sa.UniqueConstraint("address", name=op.f("uq_crypto_request_address")),
        sa.UniqueConstraint("key", "derivation_index", name=op.f("uq_crypto_request_key_derivation_index")),
    )
    op.create_index(
        "ix_crypto_request_watched",
        "crypto_request",
        ["provider_account_id", "watched_until", "payment_id"],
        unique=False,
    )
    op.create_table(
        "crypto_transfer",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("provider_account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("payment_id", sa.Text(collation="C"), nullable=False),
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("tx_hash", sa.Text(collation="C"), nullable=False),
        sa.Column("log_index", sa.Integer(), nullable=False),
        sa.Column("block_number", sa.BigInteger(), nullable=False),
        sa.Column("block_hash", sa.Text(collation="C"), nullable=False),
        sa.Column("block_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("units", sa.Numeric(precision=78, scale=0), nullable=False),
        sa.Column("state", sa.Text(collation="C"), nullable=False),
        sa.Column("booked_by", sa.Text(collation="C"), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state in ('seen','confirmed','too_small','orphaned')", name=op.f("ck_crypto_transfer_state")
        ),
        sa.CheckConstraint("units > 0", name=op.f("ck_crypto_transfer_units")),
        sa.ForeignKeyConstraint(["booked_by"], ["payment.id"], name=op.f("fk_crypto_transfer_booked_by")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_crypto_transfer_organization_id")
        ),
        sa.ForeignKeyConstraint(
            ["payment_id"], ["crypto_request.payment_id"], name=op.f("fk_crypto_transfer_payment_id")
        ),
        sa.ForeignKeyConstraint(
            ["provider_account_id"],
            ["provider_account.id"],
            name=op.f("fk_crypto_transfer_provider_account_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_crypto_transfer")),
        sa.UniqueConstraint(
            "chain_id", "tx_hash", "log_index", name=op.f("uq_crypto_transfer_chain_id_tx_hash_log_index")
        ),
    )
    op.create_index(
        "ix_crypto_transfer_block", "crypto_transfer", ["provider_account_id", "block_number"], unique=False
    )
    op.create_index(
        "ix_crypto_transfer_payment_id", "crypto_transfer", ["payment_id", "created_at", "id"], unique=False
    )


def drop_crypto() -> None:
    run(_BECOMES.replace("{more}", ""))
    for table in (*reversed(CRYPTO_TENANT), *CRYPTO_HOUSE):
        op.drop_table(table)
