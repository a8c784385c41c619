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
    op.create_table(
        "refund",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("payment_id", sa.Text(collation="C"), nullable=False),
        sa.Column("credit_note_id", sa.Text(collation="C"), nullable=True),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("asked", JSONB(), nullable=False),
        sa.Column("destination", sa.Text(collation="C"), nullable=False),
        sa.Column("state", sa.Text(collation="C"), nullable=False),
        sa.Column("currency", sa.Text(collation="C"), nullable=False),
        sa.Column("minor", sa.BigInteger(), nullable=False),
        sa.Column("credits", JSONB(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("refusal", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Text(collation="C"), nullable=False),
        sa.Column("approved_by", sa.Text(collation="C"), nullable=True),
        sa.Column("provider_ref", sa.Text(collation="C"), nullable=True),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("failure", sa.Text(collation="C"), nullable=True),
        sa.Column("journal_id", sa.Text(collation="C"), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("succeeded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("check_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("checks", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state in ('awaiting_approval','sending','processing','succeeded','failed','canceled','rejected')",
            name=op.f("ck_refund_state"),
        ),
        sa.CheckConstraint("destination in ('source','credit')", name=op.f("ck_refund_destination")),
        sa.CheckConstraint("minor > 0", name=op.f("ck_refund_minor")),
        sa.CheckConstraint(
            "approved_by is null or approved_by <> requested_by", name=op.f("ck_refund_approved_by_another")
        ),
        sa.CheckConstraint(
            "(state = 'succeeded') = (succeeded_at is not null)", name=op.f("ck_refund_succeeded")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_refund_organization_id")
        ),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_refund_payment_id")),
        sa.ForeignKeyConstraint(
            ["credit_note_id"], ["credit_note.id"], name=op.f("fk_refund_credit_note_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund")),
        sa.UniqueConstraint("organization_id", "key", name=op.f("uq_refund_organization_id_key")),
    )
    op.create_index(
        "ix_refund_check_at",
        "refund",
        ["check_at", "id"],
        unique=False,
        postgresql_where=sa.text("check_at is not null"),
    )
    op.create_index("ix_refund_created_at", "refund", ["created_at", "id"], unique=False)
    op.create_index(
        "ix_refund_organization_id", "refund", ["organization_id", "created_at", "id"], unique=False
    )
    op.create_index("ix_refund_payment_id", "refund", ["payment_id", "created_at", "id"], unique=False)
    becoming = (
        "state, credit_note_id, credits, refusal, approved_by, provider_ref, reference, failure, journal_id,"
        " asked_at, succeeded_at, ended_at, check_at, checks, version"
    )
    rights = f"select, insert, update ({becoming})"
    secure("refund", application=rights, crossing=rights)
    # What events were about before was looked up as payments. The server's defaults are for the rows that are there.
    for column, value in (("about", "payment"), ("reference", "")):
        op.add_column(
            "provider_event",
            sa.Column(column, sa.Text(collation="C"), nullable=False, server_default=value),
        )
        op.alter_column("provider_event", column, server_default=None)


def drop_refunds() -> None:
    for column in ("reference", "about"):
        op.drop_column("provider_event", column)
    op.drop_table("refund")


# -- disputes: what customers contest, and what their banks take back


def create_disputes() -> None:
    create_chargebacks()
    create_contests()
    # What a bank takes back is owed again.
    allow_transitions("('uncollectible', 'uncollectible'), ('uncollectible', 'paid'), ('paid', 'finalized'),")


def allow_transitions(others: str) -> None:
    """What may become of an invoice, besides what always may."""
    run(
        f"""
        create or replace function invoice_is_fixed() returns trigger language plpgsql as $$ begin
          if (old.state, new.state) not in (
            ('draft', 'draft'), ('draft', 'finalized'), ('draft', 'void'),
            ('finalized', 'finalized'), ('finalized', 'paid'), ('finalized', 'void'), ('finalized', 'uncollectible'),
            {others} ('paid', 'paid'), ('void', 'void')
          ) or ((old.state, new.state) = ('paid', 'finalized') and new.paid_minor >= old.paid_minor) then
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


def create_chargebacks() -> None:
    op.create_table(
        "dispute",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("payment_id", sa.Text(collation="C"), nullable=False),
        sa.Column("provider_account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("provider_ref", sa.Text(collation="C"), nullable=False),
        sa.Column("state", sa.Text(collation="C"), nullable=False),
        sa.Column("reason", sa.Text(collation="C"), nullable=False),
        sa.Column("currency", sa.Text(collation="C"), nullable=False),
        sa.Column("minor", sa.BigInteger(), nullable=False),
        sa.Column("fee_currency", sa.Text(collation="C"), nullable=False),
        sa.Column("fee_minor", sa.BigInteger(), nullable=False),
        sa.Column("taken_invoice_minor", sa.BigInteger(), nullable=False),
        sa.Column("taken_credit_minor", sa.BigInteger(), nullable=False),
        sa.Column("taken_unknown_minor", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("returned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("evidence", JSONB(), nullable=True),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("submitted_by", sa.Text(collation="C"), nullable=True),
        sa.Column("conceded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reminded_days", sa.Integer(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state in ('warning_needs_answer','warning_under_review','warning_closed','needs_answer',"
            "'under_review','won','lost')",
            name=op.f("ck_dispute_state"),
        ),
        sa.CheckConstraint("minor > 0", name=op.f("ck_dispute_minor")),
        sa.CheckConstraint(
            "taken_invoice_minor >= 0 and taken_credit_minor >= 0 and taken_unknown_minor >= 0",
            name=op.f("ck_dispute_taken"),
        ),
        sa.CheckConstraint(
            "taken_at is not null or taken_invoice_minor + taken_credit_minor + taken_unknown_minor = 0",
            name=op.f("ck_dispute_taken_when"),
        ),
        sa.CheckConstraint(
            "returned_at is null or (taken_at is not null and state = 'won')",
            name=op.f("ck_dispute_returned"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_dispute_organization_id")
        ),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_dispute_payment_id")),
        sa.ForeignKeyConstraint(
            ["provider_account_id"], ["provider_account.id"], name=op.f("fk_dispute_provider_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispute")),
        sa.UniqueConstraint(
            "provider_account_id", "provider_ref", name=op.f("uq_dispute_provider_account_id_provider_ref")
        ),
    )
    op.create_index("ix_dispute_organization_id", "dispute", ["organization_id", "created_at", "id"])
    op.create_index("ix_dispute_created_at", "dispute", ["created_at", "id"])
    op.create_index("ix_dispute_payment_id", "dispute", ["payment_id", "id"])
    op.create_index(
        "ix_dispute_due_at",
        "dispute",
        ["due_at", "id"],
        postgresql_where=sa.text("state in ('warning_needs_answer','needs_answer')"),
    )
    becoming = (
        "state, reason, fee_currency, fee_minor, taken_invoice_minor, taken_credit_minor, taken_unknown_minor,"
        " due_at, taken_at, returned_at, evidence, submitted_at, submitted_by, conceded_at, reminded_days,"
        " ended_at, version"
    )
    rights = f"select, insert, update ({becoming})"
    secure("dispute", application=rights, crossing=rights)


def create_contests() -> None:
    op.create_table(
        "contest",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("invoice_id", sa.Text(collation="C"), nullable=False),
        sa.Column("line_id", sa.Text(collation="C"), nullable=True),
        sa.Column("state", sa.Text(collation="C"), nullable=False),
        sa.Column("currency", sa.Text(collation="C"), nullable=False),
        sa.Column("minor", sa.BigInteger(), nullable=False),
        sa.Column("credited_minor", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("credit_note_id", sa.Text(collation="C"), nullable=True),
        sa.Column("created_by", sa.Text(collation="C"), nullable=False),
        sa.Column("answered_by", sa.Text(collation="C"), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reminded_days", sa.Integer(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state in ('open','credited','refused','withdrawn')", name=op.f("ck_contest_state")
        ),
        sa.CheckConstraint("minor > 0 and credited_minor between 0 and minor", name=op.f("ck_contest_minor")),
        sa.CheckConstraint("(state = 'open') = (ended_at is null)", name=op.f("ck_contest_ended")),
        sa.CheckConstraint(
            "(state = 'credited') = (credit_note_id is not null)", name=op.f("ck_contest_credit_note")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_contest_organization_id")
        ),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_contest_invoice_id")),
        sa.ForeignKeyConstraint(["line_id"], ["invoice_line.id"], name=op.f("fk_contest_line_id")),
        sa.ForeignKeyConstraint(
            ["credit_note_id"], ["credit_note.id"], name=op.f("fk_contest_credit_note_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contest")),
    )
    op.create_index(
        "uq_contest_open",
        "contest",
        ["invoice_id", sa.literal_column("coalesce(line_id, '')")],
        unique=True,
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index("ix_contest_organization_id", "contest", ["organization_id", "created_at", "id"])
    op.create_index("ix_contest_created_at", "contest", ["created_at", "id"])
    op.create_index(
        "ix_contest_due_at", "contest", ["due_at", "id"], postgresql_where=sa.text("state = 'open'")
    )
    becoming = "state, credited_minor, answer, credit_note_id, answered_by, ended_at, reminded_days, version"
    rights = f"select, insert, update ({becoming})"
    secure("contest", application=rights, crossing=rights)


def drop_disputes() -> None:
    allow_transitions("('uncollectible', 'uncollectible'), ('uncollectible', 'paid'),")
    op.drop_table("contest")
    op.drop_table("dispute")


# -- retries and dunning


def create_dunning() -> None:
    op.create_table(
        "dunning_campaign",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("plan_id", sa.Text(collation="C"), nullable=True),
        sa.Column("currency", sa.Text(collation="C"), nullable=True),
        sa.Column("country", sa.Text(collation="C"), nullable=True),
        sa.Column("minimum_minor", sa.BigInteger(), nullable=False),
        sa.Column("maximum_minor", sa.BigInteger(), nullable=True),
        sa.Column("retry_days", JSONB(), nullable=False),
        sa.Column("learned_hours", sa.Boolean(), nullable=False),
        sa.Column("steps", JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "currency is not null or (minimum_minor = 0 and maximum_minor is null)",
            name=op.f("ck_dunning_campaign_bounds_in_a_currency"),
        ),
        sa.CheckConstraint("maximum_minor >= minimum_minor", name=op.f("ck_dunning_campaign_maximum_minor")),
        sa.CheckConstraint("minimum_minor >= 0", name=op.f("ck_dunning_campaign_minimum_minor")),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_dunning_campaign_plan_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dunning_campaign")),
        sa.UniqueConstraint("name", name=op.f("uq_dunning_campaign_name")),
    )
    op.create_index("ix_dunning_campaign_created_at", "dunning_campaign", ["created_at", "id"], unique=False)
    op.create_table(
        "dunning_case",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("invoice_id", sa.Text(collation="C"), nullable=False),
        sa.Column("campaign_id", sa.Text(collation="C"), nullable=False),
        sa.Column("state", sa.Text(collation="C"), nullable=False),
        sa.Column("outcome", sa.Text(collation="C"), nullable=True),
        sa.Column("steps", JSONB(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("base_date", sa.Date(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("restricts", sa.Boolean(), nullable=False),
        sa.Column("paused_subscription", sa.Boolean(), nullable=False),
        sa.Column("currency", sa.Text(collation="C"), nullable=False),
        sa.Column("recovered_minor", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(state = 'active') = (next_at is not null)", name=op.f("ck_dunning_case_next_at")
        ),
        sa.CheckConstraint(
            "(state = 'ended') = (ended_at is not null and outcome is not null)",
            name=op.f("ck_dunning_case_ended"),
        ),
        sa.CheckConstraint("state in ('active','paused','ended')", name=op.f("ck_dunning_case_state")),
        sa.CheckConstraint("recovered_minor >= 0", name=op.f("ck_dunning_case_recovered")),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["dunning_campaign.id"], name=op.f("fk_dunning_case_campaign_id")
        ),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_dunning_case_invoice_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_dunning_case_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dunning_case")),
        sa.UniqueConstraint("invoice_id", name=op.f("uq_dunning_case_invoice_id")),
    )
    op.create_index("ix_dunning_case_campaign_id", "dunning_case", ["campaign_id", "id"], unique=False)
    op.create_index("ix_dunning_case_created_at", "dunning_case", ["created_at", "id"], unique=False)
    op.create_index(
        "ix_dunning_case_next_at",
        "dunning_case",
        ["next_at", "id"],
        unique=False,
        postgresql_where=sa.text("next_at is not null"),
    )
    op.create_index(
        "ix_dunning_case_organization_id",
        "dunning_case",
        ["organization_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_dunning_case_restricts",
        "dunning_case",
        ["organization_id"],
        unique=False,
        postgresql_where=sa.text("restricts"),
    )
    op.create_index(
        "ix_dunning_case_open",
        "dunning_case",
        ["id"],
        unique=False,
        postgresql_where=sa.text("state <> 'ended' or restricts or paused_subscription"),
    )
    op.create_table(
        "dunning_step",
        sa.Column("case_id", sa.Text(collation="C"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("action", sa.Text(collation="C"), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recovered_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("recovered_minor >= 0", name=op.f("ck_dunning_step_recovered")),
        sa.ForeignKeyConstraint(["case_id"], ["dunning_case.id"], name=op.f("fk_dunning_step_case_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_dunning_step_organization_id")
        ),
        sa.PrimaryKeyConstraint("case_id", "position", name=op.f("pk_dunning_step")),
    )
    op.create_table(
        "invoice_collection",
        sa.Column("invoice_id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(collation="C"), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["invoice_id"], ["invoice.id"], name=op.f("fk_invoice_collection_invoice_id")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_invoice_collection_organization_id")
        ),
        sa.PrimaryKeyConstraint("invoice_id", name=op.f("pk_invoice_collection")),
    )
    op.create_index(
        "ix_invoice_collection_next_at",
        "invoice_collection",
        ["next_at", "invoice_id"],
        unique=False,
        postgresql_where=sa.text("next_at is not null"),
    )
    run("grant select on dunning_campaign to matrix_app")
    run("grant select, insert, update on dunning_campaign to matrix_crossing")
    for table in ("dunning_case", "dunning_step", "invoice_collection"):
        rights = "select, insert, update"
        secure(table, application=rights, crossing=rights)


def drop_dunning() -> None:
    for table in ("invoice_collection", "dunning_step", "dunning_case", "dunning_campaign"):
        op.drop_table(table)


# -- payment links


def create_links() -> None:
    op.create_table(
        "payment_link",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("invoice_id", sa.Text(collation="C"), nullable=False),
        sa.Column("created_by", sa.Text(collation="C"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_payment_link_invoice_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_payment_link_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_link")),
    )
    op.create_index(
        "ix_payment_link_invoice_id",
        "payment_link",
        ["invoice_id", "expires_at"],
        unique=False,
        postgresql_where=sa.text("revoked_at is null"),
    )
    rights = "select, insert, update (revoked_at)"
    secure("payment_link", application=rights, crossing=rights)
    op.add_column("payment", sa.Column("link_id", sa.Text(collation="C"), nullable=True))
    op.create_foreign_key(op.f("fk_payment_link_id"), "payment", "payment_link", ["link_id"], ["id"])
    create_method_setups()


def create_method_setups() -> None:
    op.create_table(
        "method_setup",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("provider_account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("state", sa.Text(collation="C"), nullable=False),
        sa.Column("provider_ref", sa.Text(collation="C"), nullable=True),
        sa.Column("action", JSONB(), nullable=True),
        sa.Column("method_id", sa.Text(collation="C"), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("check_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("checks", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state in ('sending','waiting','kept','failed','canceled')", name=op.f("ck_method_setup_state")
        ),
        sa.CheckConstraint(
            "(state in ('sending','waiting')) = (ended_at is null)", name=op.f("ck_method_setup_ended")
        ),
        sa.CheckConstraint("(state = 'kept') = (method_id is not null)", name=op.f("ck_method_setup_kept")),
        sa.ForeignKeyConstraint(["method_id"], ["payment_method.id"], name=op.f("fk_method_setup_method_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_method_setup_organization_id")
        ),
        sa.ForeignKeyConstraint(
            ["provider_account_id"], ["provider_account.id"], name=op.f("fk_method_setup_provider_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_method_setup")),
        sa.UniqueConstraint("organization_id", "key", name=op.f("uq_method_setup_organization_id_key")),
    )
    op.create_index(
        "ix_method_setup_organization_id",
        "method_setup",
        ["organization_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_method_setup_check_at",
        "method_setup",
        ["check_at", "id"],
        unique=False,
        postgresql_where=sa.text("check_at is not null"),
    )
    changes = "state, provider_ref, action, method_id, message, ended_at, check_at, checks, version"
    rights = f"select, insert, update ({changes})"
    secure("method_setup", application=rights, crossing=rights)


def drop_links() -> None:
    op.drop_table("method_setup")
    op.drop_constraint(op.f("fk_payment_link_id"), "payment", type_="foreignkey")
    op.drop_column("payment", "link_id")
    op.drop_table("payment_link")


# -- reconciliation: what providers and banks say moved


_OF_A_MOVEMENT = "payout_id, match, subject_id, journal_id, fee_journal_id"
RECONCILED = {
    "provider_pull": "select, insert, update (read_until, page_since, page_until, cursor, due_at, pulled_at, reason)",
    "provider_payout": "select, insert, update (state, failure, arrives_at, traced, read_at, bank_line_id)",
    "provider_movement": f"select, insert, update ({_OF_A_MOVEMENT})",
    "bank_statement": "select, insert, update (new_lines)",
    "bank_line": "select, insert, update (match, subject_id, journal_id)",
}


def create_reconciliation() -> None:
    op.create_table(
        "bank_statement",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("format", sa.Text(collation="C"), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("new_lines", sa.Integer(), nullable=False),
        sa.Column("imported_by", sa.Text(collation="C"), nullable=False),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_statement")),
        sa.UniqueConstraint("sha256", name=op.f("uq_bank_statement_sha256")),
    )
    op.create_index("ix_bank_statement_imported_at", "bank_statement", ["imported_at", "id"], unique=False)
    op.create_table(
        "bank_line",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("statement_id", sa.Text(collation="C"), nullable=False),
        sa.Column("account", sa.Text(collation="C"), nullable=False),
        sa.Column("bank_ref", sa.Text(collation="C"), nullable=False),
        sa.Column("booked_on", sa.Date(), nullable=False),
        sa.Column("currency", sa.Text(collation="C"), nullable=False),
        sa.Column("minor", sa.BigInteger(), nullable=False),
        sa.Column("counterparty", sa.Text(), nullable=False),
        sa.Column("remittance", sa.Text(), nullable=False),
        sa.Column("match", sa.Text(collation="C"), nullable=False),
        sa.Column("subject_id", sa.Text(collation="C"), nullable=True),
        sa.Column("journal_id", sa.Text(collation="C"), nullable=True),
        sa.CheckConstraint(
            "match in ('waiting','matched','differs','settled')", name=op.f("ck_bank_line_match")
        ),
        sa.CheckConstraint("minor <> 0", name=op.f("ck_bank_line_minor")),
        sa.ForeignKeyConstraint(
            ["statement_id"], ["bank_statement.id"], name=op.f("fk_bank_line_statement_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_line")),
        sa.UniqueConstraint("account", "bank_ref", name=op.f("uq_bank_line_account_bank_ref")),
    )
    op.create_index("ix_bank_line_booked_on", "bank_line", ["booked_on", "id"], unique=False)
    op.create_index(
        "ix_bank_line_open",
        "bank_line",
        ["id"],
        unique=False,
        postgresql_where=sa.text("match in ('waiting','differs')"),
    )
    op.create_index("ix_bank_line_statement_id", "bank_line", ["statement_id", "id"], unique=False)
    op.create_table(
        "provider_payout",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("provider_account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("provider_ref", sa.Text(collation="C"), nullable=False),
        sa.Column("state", sa.Text(collation="C"), nullable=False),
        sa.Column("currency", sa.Text(collation="C"), nullable=False),
        sa.Column("minor", sa.BigInteger(), nullable=False),
        sa.Column("traced", sa.Boolean(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("arrives_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("bank_line_id", sa.Text(collation="C"), nullable=True),
        sa.ForeignKeyConstraint(
            ["provider_account_id"],
            ["provider_account.id"],
            name=op.f("fk_provider_payout_provider_account_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_payout")),
        sa.UniqueConstraint(
            "provider_account_id",
            "provider_ref",
            name=op.f("uq_provider_payout_provider_account_id_provider_ref"),
        ),
    )
    op.create_index(
        "ix_provider_payout_amount", "provider_payout", ["currency", "minor", "arrives_at"], unique=False
    )
    op.create_index("ix_provider_payout_happened_at", "provider_payout", ["happened_at", "id"], unique=False)
    op.create_table(
        "provider_pull",
        sa.Column("provider_account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("read_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("page_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("page_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cursor", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("pulled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["provider_account_id"],
            ["provider_account.id"],
            name=op.f("fk_provider_pull_provider_account_id"),
        ),
        sa.PrimaryKeyConstraint("provider_account_id", name=op.f("pk_provider_pull")),
    )
    op.create_index(
        "ix_provider_pull_due_at", "provider_pull", ["due_at", "provider_account_id"], unique=False
    )
    op.create_table(
        "provider_movement",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("provider_account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("provider_ref", sa.Text(collation="C"), nullable=False),
        sa.Column("kind", sa.Text(collation="C"), nullable=False),
        sa.Column("category", sa.Text(collation="C"), nullable=False),
        sa.Column("currency", sa.Text(collation="C"), nullable=False),
        sa.Column("gross_minor", sa.BigInteger(), nullable=False),
        sa.Column("fee_minor", sa.BigInteger(), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(collation="C"), nullable=False),
        sa.Column("payment_ref", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("payout_id", sa.Text(collation="C"), nullable=True),
        sa.Column("match", sa.Text(collation="C"), nullable=False),
        sa.Column("subject_id", sa.Text(collation="C"), nullable=True),
        sa.Column("journal_id", sa.Text(collation="C"), nullable=True),
        sa.Column("fee_journal_id", sa.Text(collation="C"), nullable=True),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("available_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "match in ('waiting','matched','differs','settled')", name=op.f("ck_provider_movement_match")
        ),
        sa.CheckConstraint("net_minor = gross_minor - fee_minor", name=op.f("ck_provider_movement_net")),
        sa.ForeignKeyConstraint(
            ["payout_id"], ["provider_payout.id"], name=op.f("fk_provider_movement_payout_id")
        ),
        sa.ForeignKeyConstraint(
            ["provider_account_id"],
            ["provider_account.id"],
            name=op.f("fk_provider_movement_provider_account_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_movement")),
        sa.UniqueConstraint(
            "provider_account_id",
            "provider_ref",
            name=op.f("uq_provider_movement_provider_account_id_provider_ref"),
        ),
    )
    op.create_index(
        "ix_provider_movement_account",
        "provider_movement",
        ["provider_account_id", "currency", "happened_at"],
        unique=False,
    )
    op.create_index(
        "ix_provider_movement_fee",
        "provider_movement",
        ["id"],
        unique=False,
        postgresql_where=sa.text("fee_journal_id is null and (fee_minor <> 0 or kind = 'fee')"),
    )
    op.create_index(
        "ix_provider_movement_happened_at", "provider_movement", ["happened_at", "id"], unique=False
    )
    op.create_index(
        "ix_provider_movement_open",
        "provider_movement",
        ["id"],
        unique=False,
        postgresql_where=sa.text("match in ('waiting','differs')"),
    )
    op.create_index("ix_provider_movement_payout_id", "provider_movement", ["payout_id"], unique=False)
    op.create_index("ix_provider_movement_subject_id", "provider_movement", ["subject_id"], unique=False)
    op.create_index(
        "uq_provider_movement_journal_id",
        "provider_movement",
        ["journal_id"],
        unique=True,
        postgresql_where=sa.text("kind <> 'fee'"),
    )
    for table, rights in RECONCILED.items():
        run(f"grant {rights} on {table} to matrix_crossing")
    # What came instead of what was asked for is booked as it came.
    run("grant update (minor) on payment to matrix_crossing")


def drop_reconciliation() -> None:
    run("revoke update (minor) on payment from matrix_crossing")
    for table in ("provider_movement", "provider_pull", "provider_payout", "bank_line", "bank_statement"):
        op.drop_table(table)


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


def create_crypto() -> None:
    create_crypto_tables()
    for table, (application, crossing) in CRYPTO_TENANT.items():
        secure(table, application=application, crossing=crossing)
    for table, (application, crossing) in CRYPTO_HOUSE.items():
        run(f"grant {crossing} on {table} to matrix_crossing")
        if application:
            run(f"grant {application} on {table} to matrix_app")


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
    for table in (*reversed(CRYPTO_TENANT), *CRYPTO_HOUSE):
        op.drop_table(table)
