"""The database's shape: reversible, and equal to the models."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import command
from services.core import migrations, online_indexes
from services.core.postgres import EmbeddedPostgres
from tests.conftest import TEMPLATE


def test_head_equals_the_models(postgres: EmbeddedPostgres) -> None:
    engine = sa.create_engine(postgres.owner_url(TEMPLATE), poolclass=sa.NullPool)
    with engine.connect() as connection:
        command.check(migrations.config(connection))


# All that a revision makes of tables, whatever the order it came in.
_SHAPE = """
select 'column', attrelid::regclass::text, attname, concat_ws(' ', format_type(atttypid, atttypmod), attcollation,
  attnotnull, pg_get_expr(adbin, adrelid), attacl::text)
from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum
where attnum > 0 and not attisdropped and attrelid in (
  select oid from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r','p'))
union all select 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint
where connamespace = 'public'::regnamespace
union all select 'index', tablename, indexname, indexdef from pg_indexes where schemaname = 'public'
union all select 'policy', tablename, policyname, concat_ws(' ', roles, cmd, qual, with_check) from pg_policies
union all select 'rights', oid::regclass::text, '', relacl::text from pg_class
where relnamespace = 'public'::regnamespace and relkind in ('r','p')
union all select 'trigger', tgrelid::regclass::text, tgname, concat(tgenabled, ' ', pg_get_triggerdef(oid))
from pg_trigger where not tgisinternal
union all select 'function', oid::regprocedure::text, '', prosrc from pg_proc
where pronamespace = 'public'::regnamespace
"""


def test_migrations_go_down_and_up_again(owner_url: str) -> None:
    engine = sa.create_engine(owner_url, poolclass=sa.NullPool)

    migrations.migrate(owner_url, "base")
    with engine.connect() as connection:
        left = set(sa.inspect(connection).get_table_names()) - {"alembic_version"}
    migrations.migrate(owner_url, migrations.known()[1])
    before = _shape(engine)
    migrations.migrate(owner_url)
    migrations.migrate(owner_url, "-1")
    again = _shape(engine)
    migrations.migrate(owner_url)

    assert left == set()
    of_no_revision = {str(index.name) for index in online_indexes.declared()}
    assert {row for row in again - before if row[2] not in of_no_revision} == set()
    assert before - again == set()
    with engine.connect() as connection:
        assert "usage_event_p7" in sa.inspect(connection).get_table_names()


def _shape(engine: sa.Engine) -> set[tuple[str, ...]]:
    """The same for texts that differ in white space alone."""
    with engine.connect() as connection:
        found = connection.execute(sa.text(_SHAPE))
        return {tuple(" ".join((value or "").split()) for value in row) for row in found}
