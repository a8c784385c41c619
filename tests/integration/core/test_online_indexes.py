"""Indexes that are made beside the work of others: all there, whole, and nobody waits for them."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
import sqlalchemy as sa

from services.core import online_indexes
from services.core.database import libpq_url
from services.core.migrations import migrate

NAME, TABLE = "ix_invoice_state", "invoice"
WAIT_S = 30


@pytest.fixture
def engine(owner_url: str) -> sa.Engine:
    return sa.create_engine(owner_url, poolclass=sa.NullPool)


def is_valid(engine: sa.Engine, name: str = NAME) -> bool | None:
    with engine.connect() as connection:
        return connection.scalar(
            sa.text("select indisvalid from pg_index where indexrelid = to_regclass(:name)"), {"name": name}
        )


def drop(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(f"drop index {NAME}")


def test_whoever_migrates_has_all_of_them(engine: sa.Engine) -> None:
    names = [str(index.name) for index in online_indexes.declared()]

    assert NAME in names
    assert {name: is_valid(engine, name) for name in names} == dict.fromkeys(names, True)


async def test_nobody_who_writes_waits_while_one_is_made(engine: sa.Engine, owner_url: str) -> None:
    drop(engine)
    with psycopg.connect(libpq_url(owner_url)) as report:
        report.execute(f"lock table {TABLE} in row exclusive mode")  # as who writes, and is not done yet
        making = asyncio.create_task(asyncio.to_thread(online_indexes.make, engine))
        async with asyncio.timeout(WAIT_S):
            while is_valid(engine) is None:
                assert not making.done()
                await asyncio.sleep(0)
        with psycopg.connect(libpq_url(owner_url)) as writer:
            writer.execute("set lock_timeout = '1s'")
            writer.execute(f"lock table {TABLE} in row exclusive mode")
        assert not making.done()
    await asyncio.wait_for(making, WAIT_S)

    assert is_valid(engine)


def test_one_that_gets_no_turn_is_made_the_next_time(engine: sa.Engine, owner_url: str) -> None:
    drop(engine)
    with psycopg.connect(libpq_url(owner_url)) as report:
        report.execute(f"lock table {TABLE} in row exclusive mode")
        online_indexes.make(engine, wait_s=0.1)

    assert is_valid(engine) is False  # left half made
    migrate(owner_url)
    assert is_valid(engine)


def test_who_finds_another_at_it_leaves_it_to_them(engine: sa.Engine, owner_url: str) -> None:
    drop(engine)
    with psycopg.connect(libpq_url(owner_url)) as other:
        other.execute("select pg_advisory_lock(4101003)")
        online_indexes.make(engine)

    assert is_valid(engine) is None
