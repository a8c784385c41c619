"""Row-level security, proven in raw SQL by the application's own role."""

from __future__ import annotations

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.exc import ProgrammingError

from services.core.database import Database, libpq_url
from tests.world import World


async def _connect(database: Database) -> psycopg.AsyncConnection[tuple[object, ...]]:
    return await psycopg.AsyncConnection.connect(libpq_url(database.url))


async def _tenant_tables(connection: psycopg.AsyncConnection[tuple[object, ...]]) -> list[str]:
    """Every table that has a tenant column, whether or not anybody remembered to secure it."""
    rows = await connection.execute(
        "select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid"
        " where c.relkind in ('r', 'p') and not c.relispartition and a.attname = 'organization_id'"
        " and c.relname not in ('session', 'notification') order by 1"
    )
    return [str(name) for (name,) in await rows.fetchall()]


async def test_every_tenant_table_is_under_forced_policies(database: Database) -> None:
    async with await _connect(database) as connection:
        tables = [*await _tenant_tables(connection), "organization", "account"]
        rows = await connection.execute(
            "select relname from pg_class where relname = any(%s) and relrowsecurity and relforcerowsecurity",
            (tables,),
        )

        assert {name for (name,) in await rows.fetchall()} == set(tables)
        assert len(tables) > 10


async def test_the_application_role_is_bound(database: Database) -> None:
    async with await _connect(database) as connection:
        row = await (
            await connection.execute(
                "select rolsuper, rolbypassrls from pg_roles where rolname = current_user"
            )
        ).fetchone()
        owned = await (
            await connection.execute("select count(*) from pg_tables where tableowner = current_user")
        ).fetchone()

        assert row == (False, False)
        assert owned == (0,)


@pytest.mark.parametrize("setting", [None, "", "org_nobody"])
async def test_without_a_scope_there_are_no_rows(
    database: Database, world: World, setting: str | None
) -> None:
    organization = await world.organization()
    await world.account(member_of=organization)

    async with await _connect(database) as connection:
        if setting is not None:
            await connection.execute("select set_config('matrix.scope', %s, true)", (setting,))
        for table in [*await _tenant_tables(connection), "organization", "account"]:
            count = await (await connection.execute(sql_count(table))).fetchone()
            assert count == (0,), table


async def test_a_scope_shows_its_own_rows_and_no_others(database: Database, world: World) -> None:
    ours, theirs = await world.organization(name="Ours"), await world.organization(name="Theirs")
    me, them = await world.account(member_of=ours), await world.account(member_of=theirs)

    async with await _connect(database) as connection:
        await connection.execute("select set_config('matrix.scope', %s, true)", (ours.id,))
        organizations = await (await connection.execute("select id from organization")).fetchall()
        people = await (await connection.execute("select id from account")).fetchall()
        changed = await connection.execute(
            "update organization set name = 'Stolen' where id = %s", (theirs.id,)
        )

        assert organizations == [(ours.id,)]
        assert people == [(me.id,)]
        assert changed.rowcount == 0
        assert them.id != me.id


async def test_a_row_cannot_be_written_into_another_tenant(database: Database, world: World) -> None:
    ours, theirs = await world.organization(), await world.organization()

    async with await _connect(database) as connection:
        await connection.execute("select set_config('matrix.scope', %s, true)", (ours.id,))
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute(
                "insert into event (type, aggregate_id, organization_id, actor_id, payload, happened_at,"
                " recorded_at, trace_id)"
                " values ('x', 'x', %s, '', '{}', now(), now(), '')",
                (theirs.id,),
            )


async def test_the_scope_ends_with_its_transaction(database: Database, world: World) -> None:
    ours = await world.organization()

    async with await _connect(database) as connection:
        await connection.execute("select set_config('matrix.scope', %s, true)", (ours.id,))
        await connection.commit()
        count = await (await connection.execute("select count(*) from organization")).fetchone()

        assert count == (0,)


@pytest.mark.parametrize(
    "statement",
    [
        "select * from usage_event_p0",  # a partition asked directly would ignore its parent's policy
        "select * from session",
        "select * from upstream",
        "update event set type = 'changed'",
        "delete from event",
        "delete from usage_event",
        "alter table organization disable row level security",
    ],
)
async def test_what_the_application_role_may_not_even_try(database: Database, statement: str) -> None:
    async with await _connect(database) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute(statement)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "statement", ["update event set type = 'changed'", "delete from event", "delete from usage_event"]
)
async def test_logs_cannot_be_changed_even_across_tenants(database: Database, statement: str) -> None:
    async with database.engine.connect() as connection:
        await connection.execute(sa.text("set local role matrix_crossing"))
        with pytest.raises(ProgrammingError, match="permission denied"):
            await connection.execute(sa.text(statement))


def sql_count(table: str) -> sql.Composed:
    return sql.SQL("select count(*) from {}").format(sql.Identifier(table))
