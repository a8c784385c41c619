"""Migrating while the version before works on: nobody is held up for long, and no row is lost or changed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from services.core import migrations
from services.core.database import libpq_url
from services.core.errors import Unavailable
from services.core.ids import new_id
from services.core.migrations import migrate

ROOT = Path(__file__).parents[3]
ROWS, ROUNDS, WAIT_S = 500, 20, 180
RECENT = "0007"  # what installations have that are one release behind, or two
# Whoever waits as long waits for what never comes: what a migration may cost is its lock timeout, of which the last
# test tells, and its own work.
STATEMENT_TIMEOUT = "30s"
TABLES = ("organization", "account", "membership", "session", "api_key", "event")

# The first version's own statements, as long as they may run beside the second's: gateway and metering on every
# call, sign-in and the event log.
FIND_KEY = """
select k.id, k.organization_id, k.scopes, k.models, o.suspended_at from api_key k
join organization o on o.id = k.organization_id where k.secret_hash = %(hash)s and k.revoked_at is null
"""
FIND_SESSION = """
select s.id, a.email, m.role from session s join account a on a.id = s.account_id
join membership m on m.account_id = a.id where s.token_hash = %(hash)s and s.ended_at is null
"""
USE_KEY = "update api_key set last_used_at = clock_timestamp() where secret_hash = %(hash)s"
SEE_SESSION = "update session set last_seen_at = clock_timestamp() where token_hash = %(hash)s"
RECORD_EVENT = """
insert into event (type, aggregate_id, organization_id, actor_id, payload, happened_at, recorded_at, trace_id)
values ('usage.seen', 'agg_1', %(organization)s, '', '{}', now(), now(), '')
"""
RECORD_USAGE = """
insert into usage_event (organization_id, source, event_id, type, time, received_at, model, key_id, properties,
  content_hash, currency) values (%(organization)s, 'app', %(id)s, 'job', now(), now(), '', '', '{}', '\\x00', '')
"""
SUM_USAGE = "select count(*) from usage_event where organization_id = %(organization)s"


@pytest.fixture
def old(owner_url: str) -> str:
    """A database of the first version, with rows; its URL."""
    migrate(owner_url, "base")
    migrate(owner_url, "0001")
    with connected(owner_url) as connection:
        fill(connection)
    return owner_url


@contextmanager
def connected(url: str, **options: Any) -> Iterator[psycopg.Connection]:
    with psycopg.connect(libpq_url(url), **options) as connection:
        yield connection


def fill(connection: psycopg.Connection) -> None:
    connection.execute(
        "insert into organization (id, kind, name, name_key, timezone, currency, billing_mode, created_at, version)"
        " values ('org_1', 'client', 'Acme', 'acme', 'UTC', 'EUR', 'postpaid', now(), 1)"
    )
    connection.execute(
        "insert into account (id, email, email_key, name, password_hash, created_at, version)"
        " values ('acc_1', 'Ana@example.com', 'ana@example.com', 'Ana', '!', now(), 1)"
    )
    connection.execute(
        "insert into membership (id, organization_id, account_id, role, created_at, version)"
        " values ('mem_1', 'org_1', 'acc_1', 'owner', now(), 1)"
    )
    for number in range(ROWS):
        values = {"id": new_id("ses"), "key": new_id("apikey"), "hash": number.to_bytes(4, "big")}
        connection.execute(
            "insert into session (id, token_hash, account_id, organization_id, user_agent, address, created_at,"
            " last_seen_at, expires_at) values (%(id)s, %(hash)s, 'acc_1', 'org_1', '', '', now(), now(), now())",
            values,
        )
        connection.execute(
            "insert into api_key (id, organization_id, name, prefix, secret_hash, scopes, models, created_at, version)"
            " values (%(key)s, 'org_1', 'key', 'mx-', %(hash)s, '{inference}', '{}', now(), 1)",
            values,
        )
        connection.execute(RECORD_EVENT, {"organization": "org_1"})


def columns(url: str, table: str) -> list[str]:
    with connected(url) as connection:
        rows = connection.execute(
            "select column_name from information_schema.columns where table_name = %s order by 1", [table]
        )
        return [row[0] for row in rows]


def rows_of(url: str, known: dict[str, list[str]]) -> dict[str, list[tuple[Any, ...]]]:
    """Every row, in the columns that the version before has."""
    with connected(url) as connection:
        return {
            table: connection.execute(
                f"select {', '.join(names)} from {table} order by id".encode()
            ).fetchall()
            for table, names in known.items()
        }


def test_the_second_migration_goes_up_down_and_up_with_every_row_as_it_was(old: str) -> None:
    known = {table: columns(old, table) for table in TABLES}
    before = rows_of(old, known)

    migrate(old, "0002")
    assert rows_of(old, known) == before
    with connected(old) as connection:
        assert connection.execute(
            "select count(*) from session where proved_at <> created_at"
        ).fetchone() == (0,)
    migrate(old, "-1")
    assert {table: columns(old, table) for table in TABLES} == known
    assert rows_of(old, known) == before
    migrate(old)
    assert rows_of(old, known) == before


class OldVersion:
    """A reader and a writer of the version before, each on a connection of its own, until they are told to stop."""

    def __init__(self, url: str) -> None:
        self.rounds = {"reads": 0, "writes": 0}
        self._url = libpq_url(url)
        self._stop = asyncio.Event()
        self._progress = asyncio.Event()

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._repeat("reads", self._read))
            group.create_task(self._repeat("writes", self._write))
            try:
                yield
            finally:
                self._stop.set()

    async def more_rounds(self, count: int) -> None:
        wanted = {name: done + count for name, done in self.rounds.items()}
        async with asyncio.timeout(WAIT_S):
            while any(self.rounds[name] < wanted[name] for name in wanted):
                self._progress.clear()
                await self._progress.wait()

    async def _repeat(
        self, name: str, work: Callable[[psycopg.AsyncConnection, int], Awaitable[None]]
    ) -> None:
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
            await connection.execute(f"set statement_timeout = '{STATEMENT_TIMEOUT}'".encode())
            while not self._stop.is_set():
                await work(connection, self.rounds[name])
                self.rounds[name] += 1
                self._progress.set()

    async def _read(self, connection: psycopg.AsyncConnection, number: int) -> None:
        values = {"hash": (number % ROWS).to_bytes(4, "big"), "organization": "org_1"}
        for statement in (FIND_KEY, FIND_SESSION, SUM_USAGE):
            found = await connection.execute(statement.encode(), values)
            assert await found.fetchone() is not None

    async def _write(self, connection: psycopg.AsyncConnection, number: int) -> None:
        values = {
            "hash": (number % ROWS).to_bytes(4, "big"),
            "organization": "org_1",
            "id": f"event {number}",
        }
        async with connection.transaction():
            for statement in (USE_KEY, SEE_SESSION, RECORD_EVENT, RECORD_USAGE):
                await connection.execute(statement.encode(), values)


def is_waiting_for_a_lock(url: str) -> bool:
    with connected(url) as connection:
        found = connection.execute(
            "select from pg_stat_activity where wait_event_type = 'Lock' and query ilike 'alter table%'"
        )
        return found.fetchone() is not None


async def test_a_migration_neither_fails_nor_holds_up_those_who_work(old: str) -> None:
    version = OldVersion(old)
    migrating = asyncio.create_task(asyncio.sleep(0))

    async with version.working():
        await version.more_rounds(ROUNDS)
        with connected(old) as report:
            report.execute("select count(*) from api_key, session")  # a long reader, which keeps its locks
            migrating = asyncio.create_task(asyncio.to_thread(migrate, old))
            async with asyncio.timeout(WAIT_S):
                while not await asyncio.to_thread(is_waiting_for_a_lock, old):
                    assert not migrating.done()
            await version.more_rounds(ROUNDS)
            assert not migrating.done()
        await asyncio.wait_for(migrating, WAIT_S)
        await version.more_rounds(ROUNDS)  # the version before goes on beside the new shape

    with connected(old) as connection:
        assert connection.execute("select version_num from alembic_version").fetchone() != ("0001",)
        counted = connection.execute("select count(*) from usage_event").fetchone()
        recorded = connection.execute("select count(*) from event").fetchone()
    assert counted == (version.rounds["writes"],)
    assert recorded == (ROWS + version.rounds["writes"],)


class EveryTable(OldVersion):
    """Reads every table of the version before and holds each as whoever writes to it does."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        with connected(url) as connection:
            found = connection.execute(
                "select tablename from pg_tables where schemaname = 'public' order by 1"
            )
            self._tables = [row[0] for row in found]

    async def _read(self, connection: psycopg.AsyncConnection, number: int) -> None:
        for table in self._tables:
            await connection.execute(f"select from {table} limit 1".encode())

    async def _write(self, connection: psycopg.AsyncConnection, number: int) -> None:
        for table in self._tables:
            async with connection.transaction():
                await connection.execute(f"lock table {table} in row exclusive mode".encode())


async def test_the_newest_migrations_come_while_every_table_is_in_use(owner_url: str) -> None:
    migrate(owner_url, RECENT)
    version = EveryTable(owner_url)

    async with version.working():
        await version.more_rounds(1)
        await asyncio.wait_for(asyncio.to_thread(migrate, owner_url), WAIT_S)
        await version.more_rounds(1)

    with connected(owner_url) as connection:
        assert connection.execute("select version_num from alembic_version").fetchone() != (RECENT,)


def test_a_migration_that_gets_no_turn_changes_nothing_and_names_who_holds_it(old: str) -> None:
    with connected(old) as report:
        report.execute("select count(*) from api_key")
        holder = report.info.backend_pid

        with pytest.raises(Unavailable, match=f"process {holder} has one open since"):
            migrate(old, retry_for_s=0)

    with connected(old) as connection:
        assert connection.execute("select version_num from alembic_version").fetchone() == ("0001",)
        assert "project_id" not in columns(old, "api_key")


def test_two_processes_that_migrate_at_once_do_it_once(old: str) -> None:
    program = "import sys; from services.core.migrations import migrate; migrate(sys.argv[1])"
    command = [sys.executable, "-c", program, old]

    both = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) for _ in range(2)]
    said = [one.communicate(timeout=WAIT_S)[1].decode() for one in both]

    assert [one.returncode for one in both] == [0, 0], said
    with connected(old) as connection:
        assert len(connection.execute("select version_num from alembic_version").fetchall()) == 1


def test_a_migration_waits_less_than_the_server_takes_to_end_a_caller_for_a_deadlock(owner_url: str) -> None:
    with connected(owner_url) as connection:
        found = connection.execute(
            "select setting::int / 1000.0 from pg_settings where name = 'deadlock_timeout'"
        )
        assert found.fetchone() == (1,)
    assert migrations.LOCK_TIMEOUT_S < 1
