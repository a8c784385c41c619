"""Brands of a legal entity, and what is chosen for one subscription.

Each field has a function that makes what it needs and one that takes it away again.

The version before works beside this shape. What is there for that alone goes with the next migration, and so do its
lines in services/core/migrations.py LEAVING and its rows in tests/integration/core/test_the_version_before.py:
- legal_entity.brand, template_version.brand;
- bank_line.account, match, subject_id and journal_id, and uq_bank_line_account_bank_ref;
- the default of crypto_movement.nth;
- every trigger that is called `beside`, and the functions `<table>_beside`.
What waits for it: `payment.provider_account_id` and `provider_ref` of transfers that lines from before this migration
are, which the version before would take for payments that a provider gives back.
"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0010"
down_revision = "0009"
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


def stand_beside(table: str, when: str, body: str, *, names: str = "") -> None:
    """A trigger that does for the version before what it does not know. `when` says which rows of whose acts; this
    version's own acts leave it nothing to do."""
    kind = "constraint trigger" if "deferrable" in when else "trigger"
    run(
        f"create function {table}_beside() returns trigger language plpgsql as $$ {names} begin {body} end $$"
    )
    run(f"create {kind} beside {when.format(table=table)} execute function {table}_beside()")


def stand_alone(*tables: str) -> None:
    for table in tables:
        run(f"drop trigger if exists beside on {table}")
        run(f"drop function if exists {table}_beside()")


def upgrade() -> None:
    create_brands()
    create_banks()
    name_cards()
    create_blocks()
    let_coins_come_back()
    open_openings()
    create_later_starts()
    create_ways_of_collecting()
    create_renewed_numbers()
    create_late()


def downgrade() -> None:
    drop_late()
    drop_renewed_numbers()
    drop_ways_of_collecting()
    drop_later_starts()
    close_openings()
    forget_coins_that_came_back()
    drop_blocks()
    drop_banks()
    forget_cards()
    drop_brands()


# -- banks: accounts with a bank are accounts with a provider, and lines of statements what moved there


_NAMED = "'Bank ' || upper(regexp_replace(account, '\\s', '', 'g'))"
# A number that was written in two ways is one account; a line that both had keeps its name once.
_LINES_HAVE_ACCOUNTS = f"""
update bank_line l set provider_account_id = a.id,
  bank_ref = case d.turn when 1 then l.bank_ref else l.bank_ref || '/' || l.id end
from (select id, {_NAMED} as name, row_number() over (
  partition by {_NAMED}, bank_ref order by id) as turn from bank_line) d
join provider_account a on a.provider = 'bank' and a.name = d.name where d.id = l.id
"""
_MOVED = """
insert into provider_movement (id, provider_account_id, provider_ref, kind, category, currency, gross_minor, fee_minor,
  net_minor, source, payment_ref, key, match, subject_id, journal_id, happened_at, available_at, stored_at)
select 'mvt_' || substr(l.id, 5), l.provider_account_id, l.id, case when l.minor > 0 then 'charge' else 'other' end,
  case when l.minor > 0 then 'came' else 'went_out' end, l.currency, l.minor, 0, l.minor, '',
  case when l.minor > 0 then l.bank_ref else '' end, '', l.match, l.subject_id,
  coalesce(l.journal_id, (select w.journal_id from provider_movement w where w.subject_id = l.subject_id
    and w.kind = 'payout' and w.journal_id is not null order by w.id limit 1)),
  cast(l.booked_on as timestamp) at time zone 'UTC', cast(l.booked_on as timestamp) at time zone 'UTC', s.imported_at
from bank_line l join bank_statement s on s.id = l.statement_id
"""
# The version before knows no such provider and asks every account that is enabled: these are once a statement of them
# is imported. It finds no open line either, since it would match what is a movement now. It has history to show.
BANKS = (
    "alter table provider_account alter column secrets drop not null",
    f"""
insert into provider_account (id, provider, name, is_test, settings, secrets, enabled, created_at, version)
select 'pacc_' || substr(min(l.id), 5), 'bank', {_NAMED}, false,
  jsonb_build_object('number', upper(regexp_replace(min(account), '\\s', '', 'g'))), null, false, min(s.imported_at), 1
from bank_line l join bank_statement s on s.id = l.statement_id group by {_NAMED}
""",
    _LINES_HAVE_ACCOUNTS,
    "alter table bank_line alter column provider_account_id set not null",
    _MOVED,
    "update bank_line set match = 'settled' where match in ('waiting','differs')",
    "alter table bank_line alter column match set default 'settled'",
    "drop index ix_bank_line_open",
    "update payment_case c set subject = 'mvt_' || substr(c.subject, 5), proposal = case"
    " when c.proposal ->> 'act' = 'book' and c.state = 'open'"
    " then jsonb_set(c.proposal, '{account}', to_jsonb(l.provider_account_id)) else c.proposal end"
    " from bank_line l where c.kind = 'unmatched' and c.subject = l.id",
    "drop index uq_provider_movement_journal_id",
    "create unique index uq_provider_movement_journal_id on provider_movement (journal_id, provider_account_id)"
    " where kind <> 'fee'",
    # Where a transfer came to, a statement says later.
    "grant update (provider_account_id) on payment to matrix_crossing",
)
NO_BANKS = (
    "revoke update (provider_account_id) on payment from matrix_crossing",
    "update payment_case c set subject = m.provider_ref from provider_movement m"
    " where c.kind = 'unmatched' and c.subject = m.id",
    "update payment set provider_account_id = null, provider_ref = null where provider = 'bank'",
    "update bank_line set match = 'waiting'",
    "alter table bank_line alter column match drop default",
    "update bank_line l set match = m.match, subject_id = m.subject_id, journal_id = m.journal_id"
    " from provider_movement m where m.provider_account_id = l.provider_account_id and m.provider_ref = l.id",
    *(
        f"delete from {table} t using provider_account a where a.id = t.provider_account_id and a.provider = 'bank'"
        for table in ("provider_movement", "provider_pull")
    ),
    "drop index uq_provider_movement_journal_id",
    "create unique index uq_provider_movement_journal_id on provider_movement (journal_id) where kind <> 'fee'",
)


def create_banks() -> None:
    op.add_column("bank_line", sa.Column("provider_account_id", sa.Text(collation="C"), nullable=True))
    for statement in BANKS:
        run(statement)
    op.create_foreign_key(
        op.f("fk_bank_line_provider_account_id"),
        "bank_line",
        "provider_account",
        ["provider_account_id"],
        ["id"],
    )
    op.create_unique_constraint(
        op.f("uq_bank_line_provider_account_id_bank_ref"), "bank_line", ["provider_account_id", "bank_ref"]
    )
    # Told so, its importer says that the database takes no changes at the moment, and keeps nothing of the file.
    stand_beside(
        "bank_line",
        "before insert on {table} for each row",
        """
          if new.provider_account_id is null then
            raise exception 'The version before imports no statement any more.' using errcode = '25006';
          end if;
          new.account := (
            select coalesce(settings ->> 'number', name) from provider_account where id = new.provider_account_id);
          return new;
        """,
    )
    # Cases of lines are cases of movements now: closed by the version before, which looks for the line, they settle it.
    stand_beside(
        "payment_case",
        "after update on {table} deferrable initially deferred"
        " for each row when (new.kind = 'unmatched' and old.state = 'open' and new.state <> 'open')",
        """
          update provider_movement set match = 'settled', journal_id = coalesce(journal_id, new.journal_id)
          where id = new.subject and match in ('waiting','differs');
          return null;
        """,
    )


def drop_banks() -> None:
    stand_alone("bank_line", "payment_case")
    for statement in NO_BANKS:
        run(statement)
    op.drop_column("bank_line", "provider_account_id")
    run("delete from provider_account where provider = 'bank'")
    op.alter_column("provider_account", "secrets", nullable=False)
    op.create_index(
        "ix_bank_line_open", "bank_line", ["id"], postgresql_where=sa.text("match in ('waiting','differs')")
    )


# -- cards: a brand is one of our codes, where it was the provider's word


_CARDS = (
    "'amex','cartes_bancaires','diners','discover','eftpos_au','jcb',"
    "'link','maestro','mastercard','unionpay','visa'"
)


def name_cards() -> None:
    run(
        f"update payment_method set brand = case when lower(brand) in ({_CARDS}) then lower(brand) else '' end"
    )
    stand_beside(
        "payment_method",
        f"before insert or update of brand on {{table}} for each row when (new.brand not in ('',{_CARDS}))",
        f"""
          new.brand := case when lower(new.brand) in ({_CARDS}) then lower(new.brand) else '' end;
          return new;
        """,
    )


def forget_cards() -> None:
    """The codes stay: they are the words of the one provider that keeps cards."""
    stand_alone("payment_method")


# -- brands: names under which a legal entity issues documents, each with templates and perhaps numbers of its own


def create_brands() -> None:
    create_brand_table()
    run("grant select on brand to matrix_app")
    run("grant select, insert, update on brand to matrix_crossing")
    # The one by which each entity numbered until now bills whom nobody gave another.
    run(
        "insert into brand (id, legal_entity_id, code, name, is_default, created_at, version)"
        " select 'brnd_' || split_part(id, '_', 2), id, brand, name, true, created_at, 1 from legal_entity"
    )
    # Templates stayed with the brand that an entity had before its first number, and documents with those that an
    # earlier upgrade, which was taken back, let it have.
    run(
        "insert into brand (id, legal_entity_id, code, name, is_default, archived_at, created_at, version)"
        " select 'brnd_' || split_part(min(t.id), '_', 2), e.id, t.code, t.code, false, now(), min(t.created_at), 1"
        " from (select id, legal_entity_id, brand as code, created_at from template_version union all"
        "   select id, legal_entity_id, series_brand, created_at from invoice where series_brand <> '') t"
        " join legal_entity e on e.id = t.legal_entity_id where t.code <> e.brand group by e.id, t.code"
    )
    op.add_column("billing_profile", sa.Column("brand_id", sa.Text(collation="C"), nullable=True))
    op.create_check_constraint(
        op.f("ck_billing_profile_brand_id"),
        "billing_profile",
        "brand_id is null or legal_entity_id is not null",
    )
    of_its_number = "case when t.series_brand <> '' then b.code = t.series_brand else b.is_default end"
    add_brand("invoice", "is_fixed", of=of_its_number)
    add_brand("template_version", "is_kept", of="b.code = t.brand")
    for table in BRANDED:
        op.create_foreign_key(
            op.f(f"fk_{table}_legal_entity_id_brand_id"),
            table,
            "brand",
            ["legal_entity_id", "brand_id"],
            ["legal_entity_id", "id"],
        )
    number_templates("brand_id")
    run("alter table legal_entity alter column brand drop not null")
    let_entities_name_a_brand()


BRANDED = ("billing_profile", "invoice", "template_version")


def let_entities_name_a_brand() -> None:
    """To the version before an entity has the code of its default brand, documents and templates are under that one,
    and a brand has the name of its entity."""
    stand_beside(
        "brand",
        "after insert or update of is_default on {table} for each row when (new.is_default)",
        """
          update legal_entity set brand = new.code where id = new.legal_entity_id and brand is distinct from new.code;
          return null;
        """,
    )
    stand_beside(
        "legal_entity",
        "after insert or update of brand, name on {table} for each row when (new.brand is not null)",
        """
          if tg_op = 'UPDATE' then
            update brand set name = new.name, version = version + 1
            where legal_entity_id = new.id and name = old.name and name <> new.name;
          end if;
          if not exists (select from brand where legal_entity_id = new.id and is_default and code = new.brand) then
            update brand set is_default = false, version = version + 1 where legal_entity_id = new.id and is_default;
            insert into brand (id, legal_entity_id, code, name, is_default, created_at, version)
            values ('brnd_0' || substr(md5(new.id || new.brand), 1, 25), new.id, new.brand, new.name, true, now(), 1)
            on conflict (legal_entity_id, code) do update
              set is_default = true, archived_at = null, version = brand.version + 1;
          end if;
          return null;
        """,
    )
    stand_beside(
        "invoice",
        "before insert on {table} for each row when (new.brand_id is null)",
        """
          new.brand_id := (select id from brand where legal_entity_id = new.legal_entity_id and is_default);
          return new;
        """,
    )
    stand_beside(
        "template_version",
        "before insert on {table} for each row",
        """
          if new.brand_id is null then
            new.brand_id := (select id from brand where legal_entity_id = new.legal_entity_id and code = new.brand);
          else
            new.brand := (select code from brand where id = new.brand_id);
          end if;
          return new;
        """,
    )


def create_brand_table() -> None:
    op.create_table(
        "brand",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("legal_entity_id", sa.Text(collation="C"), nullable=False),
        sa.Column("code", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("code ~ '^[A-Z0-9]{1,10}$'", name=op.f("ck_brand_code")),
        sa.CheckConstraint("archived_at is null or not is_default", name=op.f("ck_brand_archived_at")),
        sa.ForeignKeyConstraint(
            ["legal_entity_id"], ["legal_entity.id"], name=op.f("fk_brand_legal_entity_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_brand")),
        sa.UniqueConstraint("legal_entity_id", "code", name=op.f("uq_brand_legal_entity_id_code")),
        sa.UniqueConstraint("legal_entity_id", "id", name=op.f("uq_brand_legal_entity_id_id")),
    )
    op.create_index(
        "uq_brand_default",
        "brand",
        ["legal_entity_id"],
        unique=True,
        postgresql_where=sa.text("is_default"),
    )


def add_brand(table: str, keeps: str, *, of: str) -> None:
    """Say the brand of rows that are there, final ones too, which the trigger `keeps` as they are otherwise."""
    op.add_column(table, sa.Column("brand_id", sa.Text(collation="C"), nullable=True))
    run(f"alter table {table} disable trigger {keeps}")
    run(
        f"update {table} t set brand_id = b.id from brand b"
        f" where b.legal_entity_id = t.legal_entity_id and {of}"
    )
    run(f"alter table {table} enable trigger {keeps}")
    op.alter_column(table, "brand_id", nullable=False)


def number_templates(by: str) -> None:
    """Versions of a template count by the column that says of which brand they are."""
    op.drop_index("uq_template_version_draft", "template_version")
    whose = ["legal_entity_id", "brand"] if by == "brand" else ["brand_id"]
    other = ["brand_id"] if by == "brand" else ["legal_entity_id", "brand"]
    op.drop_constraint(
        op.f(f"uq_template_version_{'_'.join(other)}_number"), "template_version", type_="unique"
    )
    op.create_unique_constraint(
        op.f(f"uq_template_version_{'_'.join(whose)}_number"), "template_version", [*whose, "number"]
    )
    op.create_index(
        "uq_template_version_draft",
        "template_version",
        whose,
        unique=True,
        postgresql_where=sa.text("state = 'draft'"),
    )


def drop_brands() -> None:
    stand_alone("brand", "legal_entity", "invoice", "template_version")
    op.alter_column("legal_entity", "brand", nullable=False)
    number_templates("brand")
    for table in BRANDED:
        op.drop_constraint(op.f(f"fk_{table}_legal_entity_id_brand_id"), table, type_="foreignkey")
    op.drop_constraint(op.f("ck_billing_profile_brand_id"), "billing_profile", type_="check")
    for table in BRANDED:
        op.drop_column(table, "brand_id")
    op.drop_table("brand")


# -- blocks: since when and until when a case had calls refused, so that what was paid for that time is credited


def create_blocks() -> None:
    op.create_table(
        "dunning_block",
        sa.Column("case_id", sa.Text(collation="C"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due", sa.Boolean(), nullable=False),
        sa.CheckConstraint("ended_at >= started_at", name=op.f("ck_dunning_block_ended")),
        sa.CheckConstraint("not due or ended_at is not null", name=op.f("ck_dunning_block_due")),
        sa.ForeignKeyConstraint(["case_id"], ["dunning_case.id"], name=op.f("fk_dunning_block_case_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_dunning_block_organization_id")
        ),
        sa.PrimaryKeyConstraint("case_id", "started_at", name=op.f("pk_dunning_block")),
    )
    op.create_index(
        "uq_dunning_block_open", "dunning_block", ["case_id"], unique=True,
        postgresql_where=sa.text("ended_at is null"),
    )  # fmt: skip
    op.create_index("ix_dunning_block_organization_id", "dunning_block", ["organization_id", "started_at"])
    op.create_index(
        "ix_dunning_block_due", "dunning_block", ["organization_id"], postgresql_where=sa.text("due")
    )
    rights = "select, insert, update"
    secure("dunning_block", application=rights, crossing=rights)
    # Cases that have calls refused now: since their step, or since they were restored.
    run("""
        insert into dunning_block (case_id, started_at, organization_id, due)
        select c.id, greatest(min(s.done_at), (
            select max(e.happened_at) from event e where e.aggregate_id = c.id and e.type = 'dunning.restored'
          )), c.organization_id, false
        from dunning_case c join dunning_step s on s.case_id = c.id and s.action in ('restrict', 'suspend')
        where c.restricts and not c.lifted group by c.id
    """)

    stand_beside(
        "dunning_case",
        "after insert or update of restricts, lifted on {table} deferrable initially deferred for each row",
        """
          select case when k.id is null or (k.follows_wall and k.now_at >= now()) then now() else k.now_at end
          into at from organization o left join test_clock k on k.id = o.test_clock_id where o.id = new.organization_id;
          if exists (select from dunning_case where id = new.id and restricts and not lifted) then
            insert into dunning_block (case_id, started_at, organization_id, due)
            select new.id, at, new.organization_id, false
            where not exists (select from dunning_block where case_id = new.id and ended_at is null)
            on conflict (case_id, started_at) do update set ended_at = null, due = false;
          else
            update dunning_block set ended_at = greatest(at, started_at), due = true
            where case_id = new.id and ended_at is null;
          end if;
          return null;
        """,
        names="declare at timestamptz;",
    )


def drop_blocks() -> None:
    stand_alone("dunning_case")
    op.drop_table("dunning_block")


# -- coins: what a chain took away of a payment that could not be undone, and gave back


def let_coins_come_back() -> None:
    # The version before cannot say that a payment is gone, as it wants one of each kind: its worker tries until one of
    # this version does.
    op.add_column("crypto_movement", sa.Column("nth", sa.Integer(), nullable=False, server_default="1"))
    op.create_check_constraint(op.f("ck_crypto_movement_nth"), "crypto_movement", "nth >= 1")
    _bind_coins("'came','gone','back'", "booked_id", "kind", "nth")


def forget_coins_that_came_back() -> None:
    run("delete from crypto_movement where kind = 'back' or nth > 1")
    _bind_coins("'came','gone'", "booked_id", "kind")
    op.drop_column("crypto_movement", "nth")


def _bind_coins(of_payments: str, *unique: str) -> None:
    for name, rule in (
        ("kind", f"kind in ({of_payments},'swept','unseen')"),
        ("units", f"(units = 0) = (kind in ({of_payments}))"),
    ):
        op.drop_constraint(op.f(f"ck_crypto_movement_{name}"), "crypto_movement")
        op.create_check_constraint(op.f(f"ck_crypto_movement_{name}"), "crypto_movement", rule)
    run("alter table crypto_movement drop constraint if exists uq_crypto_movement_booked_id_kind")
    run("alter table crypto_movement drop constraint if exists uq_crypto_movement_booked_id_kind_nth")
    op.create_unique_constraint(
        op.f(f"uq_crypto_movement_{'_'.join(unique)}"), "crypto_movement", list(unique)
    )


# -- openings: who works for a tenant reads what was opened of that tenant, as the whole log was for staff alone


def open_openings() -> None:
    run(
        "create policy of_tenant on secret_opening for select to matrix_app"
        " using (tenant = any ((select matrix_scope())::text[]))"
    )
    run("grant select on secret_opening to matrix_app")


def close_openings() -> None:
    run("revoke select on secret_opening from matrix_app")
    run("drop policy of_tenant on secret_opening")


# -- later starts: a subscription that was agreed to and begins on a day to come


def create_later_starts() -> None:
    _allow_states("'scheduled','incomplete','trialing','active','past_due','paused','canceled','ended'")


def drop_later_starts() -> None:
    run(
        "update subscription set state = 'ended', ended_at = created_at, next_at = null where state = 'scheduled'"
    )
    _allow_states("'incomplete','trialing','active','past_due','paused','canceled','ended'")


def _allow_states(states: str) -> None:
    run("alter table subscription drop constraint ck_subscription_state")
    run(f"alter table subscription add constraint ck_subscription_state check (state in ({states}))")


# -- ways of collecting: invoices of a subscription are charged by themselves, or sent with days to pay them in


def create_ways_of_collecting() -> None:
    run(
        "alter table subscription add collection text collate \"C\" not null default 'charge', add payment_days integer"
    )
    run(
        "alter table subscription add constraint ck_subscription_collection check (collection in ('charge','send'))"
    )
    run(
        "alter table subscription add constraint ck_subscription_payment_days check"
        " (payment_days is null or (collection = 'send' and payment_days between 0 and 365))"
    )


def drop_ways_of_collecting() -> None:
    run("alter table subscription drop payment_days, drop collection")


# -- tax numbers: valid ones are asked about again before their proof is old


_RENEWED = "(tax_number ->> 'checked_at')::timestamptz + interval '90 days'"


def create_renewed_numbers() -> None:
    run(
        f"update billing_profile set number_check_at = {_RENEWED}"
        " where tax_number ->> 'state' = 'valid' and tax_number ->> 'source' = 'VIES' and number_check_at is null"
    )
    # The version before asks about those that are due, and then never again. Not at once, as it keeps the old proof.
    stand_beside(
        "billing_profile",
        "before insert or update on {table} for each row when (new.number_check_at is null"
        " and new.tax_number ->> 'state' = 'valid' and new.tax_number ->> 'source' = 'VIES')",
        f"""
          new.number_check_at := greatest({_RENEWED.replace("tax_number", "new.tax_number")}, now() + interval '1 day');
          return new;
        """,
    )


def drop_renewed_numbers() -> None:
    stand_alone("billing_profile")
    run("update billing_profile set number_check_at = null where tax_number ->> 'state' = 'valid'")


# -- overdue invoices: found by their due dates, and by the clocks of those who have one of their own


def create_late() -> None:
    # A function, because its answer is known when a statement is planned: how few they mostly are makes its plan.
    run(
        "create function matrix_on_clocks() returns text[] language sql stable parallel safe as"
        " $$ select coalesce(array_agg(id), '{}') from organization where test_clock_id is not null $$"
    )
    # What comes in its place is made beside the work of others: services/core/online_indexes.py.
    op.drop_index("ix_invoice_overdue", table_name="invoice")


def drop_late() -> None:
    for index in ("ix_invoice_unpaid", "ix_invoice_state", "ix_terms_acceptance_terms_id"):
        run(f"drop index if exists {index}")
    op.create_index(
        "ix_invoice_overdue",
        "invoice",
        ["due_date", "id"],
        postgresql_where=sa.text("state = 'finalized' and due_minor > 0 and subscription_id is not null"),
    )
    run("drop function matrix_on_clocks()")
