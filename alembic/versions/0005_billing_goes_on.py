"""What billing needs to go on by itself: plans that move their subscribers, usage that is billed without a plan.

Each field has a function that makes what it needs and one that takes it away again.
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def run(statement: str) -> None:
    """Plain SQL, as it is: colons and percent signs mean nothing to the driver."""
    op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})


def upgrade() -> None:
    create_for_runs()
    create_for_plans()
    create_for_usage()
    create_for_pages()


def downgrade() -> None:
    drop_for_pages()
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
    """Nothing yet."""


def drop_for_plans() -> None:
    """Nothing yet."""


# -- usage, wallets and budgets


def create_for_usage() -> None:
    """Nothing yet."""


def drop_for_usage() -> None:
    """Nothing yet."""


# -- what staff pages need


def create_for_pages() -> None:
    """Nothing yet."""


def drop_for_pages() -> None:
    """Nothing yet."""
