"""The event log keeps what was committed, in order per aggregate, however commits interleave."""

from __future__ import annotations

import asyncio
from typing import ClassVar

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql
from psycopg.types.json import Jsonb

from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.events import DomainEvent
from services.core.relay import Delivered, Relay, Subscriber, deliver, follow, stamp
from services.core.work import UnitOfWork, unit_of_work
from tests.world import World


class Counted(DomainEvent):
    type: ClassVar[str] = "test.counted"
    n: int


async def _stamp(database: Database) -> int:
    async with await database.unpooled() as connection:
        await connection.execute("set role matrix_crossing")
        return await stamp(connection)


def _collector(seen: list[tuple[str, int]], name: str = "collector") -> Subscriber:
    async def collect(_: UnitOfWork, event: Delivered) -> None:
        seen.append((event.aggregate_id, event.payload["n"]))

    return Subscriber(name, {Counted.type: collect})


async def test_rows_and_events_commit_together_or_not_at_all(database: Database, world: World) -> None:
    organization = await world.organization()

    async def change_my_mind() -> None:
        async with unit_of_work(world.actor(organization)) as uow:
            uow.record(Counted(aggregate_id="a", organization_id=organization.id, n=1))
            raise RuntimeError("changed my mind")

    with pytest.raises(RuntimeError, match="changed my mind"):
        await change_my_mind()

    assert await _stamp(database) == 0


async def test_an_event_committed_late_is_not_lost(database: Database, world: World) -> None:
    organization = await world.organization()
    seen: list[tuple[str, int]] = []
    subscriber = _collector(seen)

    async with database.engine.connect() as slow:
        # Draws the lower id, commits after a later one was already delivered.
        await slow.execute(sa.text("set local role matrix_crossing"))
        await slow.execute(
            sa.text(
                "insert into event (type, aggregate_id, organization_id, actor_id, payload, happened_at,"
                " recorded_at, trace_id)"
                " values ('test.counted', 'slow', :org, '', '{\"n\": 1}', now(), now(), '')"
            ),
            {"org": organization.id},
        )
        async with unit_of_work(system(organization.id)) as uow:
            uow.record(Counted(aggregate_id="fast", organization_id=organization.id, n=2))
        await _stamp(database)
        await deliver(subscriber, database)
        await slow.commit()
    await _stamp(database)
    await deliver(subscriber, database)

    assert seen == [("fast", 2), ("slow", 1)]


async def test_many_writers_of_one_aggregate_stay_in_order(database: Database, world: World) -> None:
    organization = await world.organization()

    async def write(writer: int) -> None:
        for _ in range(10):
            async with unit_of_work(system(organization.id)) as uow:
                row = await uow.execute(
                    "update organization set version = version + 1 where id = :id returning version",
                    id=organization.id,
                )
                uow.record(
                    Counted(aggregate_id=organization.id, organization_id=organization.id, n=row.scalar_one())
                )
                uow.record(Counted(aggregate_id=f"w{writer}", organization_id=organization.id, n=0))

    seen: list[tuple[str, int]] = []
    await asyncio.gather(*(write(writer) for writer in range(6)))
    await _stamp(database)
    while await deliver(_collector(seen), database, limit=7):
        pass

    versions = [n for aggregate, n in seen if aggregate == organization.id]
    assert versions == sorted(versions)
    assert len(versions) == 60 == len(set(versions))
    assert len(seen) == 120


async def test_a_failing_handler_moves_no_cursor(database: Database, world: World) -> None:
    organization = await world.organization()
    async with unit_of_work(system(organization.id)) as uow:
        uow.record(Counted(aggregate_id="a", organization_id=organization.id, n=1))
    await _stamp(database)

    async def refuse(uow: UnitOfWork, _: Delivered) -> None:
        await uow.execute("update organization set name = 'half done' where id = :id", id=organization.id)
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        await deliver(Subscriber("fragile", {Counted.type: refuse}), database)
    seen: list[tuple[str, int]] = []
    await deliver(_collector(seen, "fragile"), database)

    assert seen == [("a", 1)]
    async with crossing(Reason.DEMO) as uow:
        assert (
            await uow.execute("select count(*) from organization where name = 'half done'")
        ).scalar_one() == 0


async def test_two_processes_deliver_each_event_once(database: Database, world: World) -> None:
    organization = await world.organization()
    for n in range(30):
        async with unit_of_work(system(organization.id)) as uow:
            uow.record(Counted(aggregate_id="a", organization_id=organization.id, n=n))
    await _stamp(database)
    seen: list[tuple[str, int]] = []
    subscriber = _collector(seen)

    async def drain() -> None:
        while await deliver(subscriber, database, limit=4):
            pass

    await asyncio.gather(drain(), drain(), drain())

    assert [n for _, n in seen] == list(range(30))


async def test_relay_and_followers_wake_up_by_themselves(database: Database, world: World) -> None:
    organization = await world.organization()
    seen: list[tuple[str, int]] = []
    arrived = asyncio.Event()

    async def collect(_: UnitOfWork, event: Delivered) -> None:
        seen.append((event.aggregate_id, event.payload["n"]))
        arrived.set()

    relay = asyncio.create_task(Relay(database).run())
    follower = asyncio.create_task(follow([Subscriber("live", {Counted.type: collect})], database))
    try:
        async with unit_of_work(system(organization.id)) as uow:
            uow.record(Counted(aggregate_id="a", organization_id=organization.id, n=7))
        await asyncio.wait_for(arrived.wait(), 60)
    finally:
        relay.cancel()
        follower.cancel()
        await asyncio.gather(relay, follower, return_exceptions=True)

    assert seen == [("a", 7)]


async def test_only_one_relay_works_at_a_time(database: Database) -> None:
    relay = asyncio.create_task(Relay(database).run())
    try:
        async with await database.unpooled() as other:
            async with asyncio.timeout(60):
                while (await (await other.execute("select pg_try_advisory_lock(4101001)")).fetchone()) == (
                    True,
                ):
                    await other.execute("select pg_advisory_unlock(4101001)")
                    await asyncio.sleep(0)
    finally:
        relay.cancel()
        await asyncio.gather(relay, return_exceptions=True)


async def test_positions_survive_a_restore_from_a_dump(
    database: Database, world: World, owner_url: str
) -> None:
    """A dump carries positions and cursors as data; nothing depends on transaction numbers of the old cluster."""
    organization = await world.organization()
    for n in range(3):
        async with unit_of_work(system(organization.id)) as uow:
            uow.record(Counted(aggregate_id="a", organization_id=organization.id, n=n))
    await _stamp(database)
    seen: list[tuple[str, int]] = []
    await deliver(_collector(seen), database, limit=2)

    async with await psycopg.AsyncConnection.connect(
        owner_url.replace("postgresql+psycopg", "postgresql")
    ) as owner:
        rows = await (await owner.execute("select * from event order by id")).fetchall()
        await owner.execute("truncate event")
        await owner.execute("alter table event alter column id restart with 1000")
        columns = len(rows[0])
        statement = sql.SQL("insert into event values ({})").format(
            sql.SQL(", ").join([sql.Placeholder()] * columns)
        )
        for row in rows:
            values = [Jsonb(value) if isinstance(value, dict) else value for value in row]
            await owner.execute(statement, values)
    async with unit_of_work(system(organization.id)) as uow:
        uow.record(Counted(aggregate_id="a", organization_id=organization.id, n=3))
    await _stamp(database)
    await deliver(_collector(seen), database)

    assert [n for _, n in seen] == [0, 1, 2, 3]
