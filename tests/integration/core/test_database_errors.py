"""What the database refuses reaches people as an error of ours, with a sentence and a next step."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import psycopg
import pytest
from psycopg import sql

from services.core.database import Database, libpq_url
from services.core.errors import Busy, Conflict, Unavailable
from services.core.work import UnitOfWork, unit_of_work
from services.identity.events import OrganizationResumed
from tests.world import World

UNREACHABLE = "The database cannot be reached."
READ_ONLY = "The database takes no changes at the moment: it is read-only."


async def test_a_read_only_database_still_answers_and_takes_no_changes(
    database: Database, world: World, owner_url: str
) -> None:
    organization = await world.organization(name="Before")
    await _allow_no_changes(database, owner_url)
    async with unit_of_work(world.actor(organization)) as uow:
        assert (await uow.execute("select name from organization")).scalar_one() == "Before"

    with pytest.raises(Unavailable) as refused:
        async with unit_of_work(world.actor(organization)) as uow:
            await uow.execute("update organization set name = 'After'")

    assert refused.value.message == READ_ONLY
    assert refused.value.next_step
    assert isinstance(refused.value.__cause__, Exception)


async def test_what_is_written_at_the_very_end_is_refused_as_well(
    database: Database, world: World, owner_url: str
) -> None:
    organization = await world.organization(name="Before")
    await _allow_no_changes(database, owner_url)

    with pytest.raises(Unavailable, match="read-only"):
        async with unit_of_work(world.actor(organization)) as uow:
            uow.record(OrganizationResumed(aggregate_id=organization.id, organization_id=organization.id))


async def test_a_column_that_a_migration_adds_ends_what_was_planned_without_it_once(
    database: Database, world: World, owner_url: str
) -> None:
    organization = await world.organization(name="Before")

    async def read() -> None:
        async with unit_of_work(world.actor(organization)) as uow:
            await uow.execute("select * from organization")

    for _ in range(60):  # until each connection has it planned
        await read()
    async with await psycopg.AsyncConnection.connect(libpq_url(owner_url)) as owner:
        await owner.execute("alter table organization add column more text")

    with pytest.raises(Busy, match="brought up to date"):
        await read()
    await read()


async def _ended_by_an_administrator(uow: UnitOfWork) -> None:
    await uow.execute("select pg_terminate_backend(pg_backend_pid())")
    await uow.execute("select 1")


async def _stood_idle_too_long(uow: UnitOfWork) -> None:
    await uow.execute("set local idle_in_transaction_session_timeout = 1")
    connection = await uow.connection()
    raw = (await connection.get_raw_connection()).driver_connection
    assert isinstance(raw, psycopg.AsyncConnection)
    with pytest.raises(psycopg.Error):
        async for _ in raw.notifies(timeout=30):  # hears that the server hangs up
            pass
    await uow.execute("select 1")


@pytest.mark.parametrize("lost", [_ended_by_an_administrator, _stood_idle_too_long])
async def test_a_connection_that_is_taken_away_may_be_tried_again(
    database: Database, world: World, lost: Callable[[UnitOfWork], Awaitable[None]]
) -> None:
    organization = await world.organization()

    with pytest.raises(Unavailable) as refused:
        async with unit_of_work(world.actor(organization)) as uow:
            await lost(uow)

    assert refused.value.message == UNREACHABLE
    async with unit_of_work(world.actor(organization)) as uow:
        assert (await uow.execute("select 1")).scalar_one() == 1


async def test_two_changes_that_meet_are_told_apart_from_a_database_that_is_away(
    database: Database, world: World
) -> None:
    organization = await world.organization()

    async with unit_of_work(world.actor(organization)) as first:
        await first.execute("update organization set name = 'First'")
        with pytest.raises(Conflict) as refused:
            async with unit_of_work(world.actor(organization)) as second:
                await _rename_without_waiting(second)

    assert refused.value.error_code == "busy"


async def _rename_without_waiting(uow: UnitOfWork) -> None:
    await uow.execute("set local lock_timeout = '1ms'")
    await uow.execute("update organization set name = 'Second'")


async def _allow_no_changes(database: Database, owner_url: str) -> None:
    """On any connection made from now on; those that are open are let go."""
    async with await psycopg.AsyncConnection.connect(libpq_url(owner_url), autocommit=True) as owner:
        await owner.execute(
            sql.SQL("alter database {} set default_transaction_read_only = on").format(
                sql.Identifier(owner.info.dbname)
            )
        )
    await database.engine.dispose()
