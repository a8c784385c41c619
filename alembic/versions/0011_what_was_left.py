"""What the last change set left for the version before it, and what waited for that to be gone.

Each field has a function that makes what it needs and one that takes it away again.
"""

from __future__ import annotations

from types import ModuleType

from alembic import context, op

revision = "0011"
down_revision = "0010"
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
    drop_what_was_left()
    adopt_transfers()
    pay_top_ups()


def downgrade() -> None:
    drop_brand_index()
    ask_for_transfers_alone()
    leave_again()


# -- what was left: columns, keys and triggers that only the version before the last migration named


BESIDE = (
    "bank_line",
    "billing_profile",
    "brand",
    "dunning_case",
    "invoice",
    "legal_entity",
    "payment_case",
    "payment_method",
    "template_version",
)


def drop_what_was_left() -> None:
    for table in BESIDE:
        run(f"drop trigger beside on {table}")
        run(f"drop function {table}_beside()")
    run("alter table legal_entity drop brand")
    run("alter table template_version drop brand")
    run("alter table bank_line drop account, drop match, drop subject_id, drop journal_id")
    run("alter table crypto_movement alter nth drop default")


def leave_again() -> None:
    run("alter table crypto_movement alter nth set default 1")
    _name_brands()
    _show_lines()
    _stand_beside()


def _name_brands() -> None:
    run("alter table legal_entity add brand varchar")
    run(
        "update legal_entity e set brand = b.code from brand b where b.legal_entity_id = e.id and b.is_default"
    )
    run('alter table template_version add brand text collate "C"')
    run("alter table template_version disable trigger is_kept")
    run("update template_version t set brand = b.code from brand b where b.id = t.brand_id")
    run("alter table template_version enable trigger is_kept, alter brand set not null")


def _show_lines() -> None:
    run(
        'alter table bank_line add account text collate "C", add subject_id text collate "C",'
        ' add journal_id text collate "C", add match text collate "C" not null default \'settled\','
        " add constraint ck_bank_line_match check (match in ('waiting','matched','differs','settled'))"
    )
    run(
        "update bank_line l set account = coalesce(a.settings ->> 'number', a.name)"
        " from provider_account a where a.id = l.provider_account_id"
    )
    run(
        "update bank_line l set match = m.match, subject_id = m.subject_id, journal_id = m.journal_id"
        " from provider_movement m where m.provider_account_id = l.provider_account_id and m.provider_ref = l.id"
        " and m.match = 'matched'"
    )
    run(
        "alter table bank_line alter account set not null,"
        " add constraint uq_bank_line_account_bank_ref unique (account, bank_ref)"
    )
    run("grant update (match, subject_id, journal_id) on bank_line to matrix_crossing")


def _stand_beside() -> None:
    last = _last()
    last.name_cards()
    last.let_entities_name_a_brand()
    last.create_renewed_numbers()
    last.stand_beside(
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
    last.stand_beside(
        "payment_case",
        "after update on {table} deferrable initially deferred"
        " for each row when (new.kind = 'unmatched' and old.state = 'open' and new.state <> 'open')",
        """
          update provider_movement set match = 'settled', journal_id = coalesce(journal_id, new.journal_id)
          where id = new.subject and match in ('waiting','differs');
          return null;
        """,
    )
    last.stand_beside(
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


def _last() -> ModuleType:
    """The migration before this one, which made most of the triggers in functions of their own."""
    return context.script.get_revision(down_revision).module


# -- transfers: those that lines of statements are, which the version before would have taken for payments that a
# provider gives back, are of the account that told of them, as every later one is


def adopt_transfers() -> None:
    """Not undone: they are what a statement that is imported again would make of them."""
    run("""
        update payment p set provider_account_id = m.provider_account_id, provider_ref = m.payment_ref,
          version = p.version + 1
        from provider_movement m
        where p.provider = 'bank' and p.provider_account_id is null and p.state = 'succeeded'
          and m.subject_id = p.id and m.kind = 'charge' and m.payment_ref <> ''
          and not exists (select from payment x
            where x.provider_account_id = m.provider_account_id and x.provider_ref = m.payment_ref)
    """)


# -- paid top-ups: payments and links are for an invoice, or for a top-up of a wallet


def pay_top_ups() -> None:
    run(
        'alter table payment add top_up_id text collate "C"'
        " constraint fk_payment_top_up_id references wallet_top_up (id)"
    )
    run(
        'alter table payment_link alter invoice_id drop not null, add top_up_id text collate "C"'
        " constraint fk_payment_link_top_up_id references wallet_top_up (id),"
        " add constraint ck_payment_link_one check ((invoice_id is null) <> (top_up_id is null))"
    )
    run(
        "create index ix_payment_link_top_up_id on payment_link (top_up_id, expires_at) where revoked_at is null"
    )


def ask_for_transfers_alone() -> None:
    """What was begun by a link of a top-up came from nowhere then; what it paid stays a payment on account."""
    run("drop index if exists uq_payment_top_up_under_way")
    run(
        "update payment p set link_id = null from payment_link l where l.id = p.link_id and l.top_up_id is not null"
    )
    run("delete from payment_link where top_up_id is not null")
    run("alter table payment_link drop top_up_id, alter invoice_id set not null")
    run("alter table payment drop top_up_id")


# -- brands: staff finds the invoices of one by an index, which is made beside the work of others


def drop_brand_index() -> None:
    run("drop index if exists ix_invoice_brand_id")
