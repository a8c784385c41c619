"""Billing: the ledger.

Each field has a function that makes what it needs and one that takes it away again.
"""

from __future__ import annotations

import sqlalchemy as sa

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


def downgrade() -> None:
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
