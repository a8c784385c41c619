"""Databases of tests: a copy of the template, which the next test takes over once its rows are deleted.

To copy and drop 1,300 files takes ten times as long as to delete what a test wrote. A database in which anything but
rows was changed is dropped, and so is one that is not as new when its rows are gone.
"""

from __future__ import annotations

import itertools
from typing import Any

import psycopg
from psycopg import sql

from tests import leftovers
from tests.leftovers import LookedThrough

# What was deleted and made again leaves a little behind in the database's own tables and indexes.
_TAKEN_MAX = 100

# Columns, constraints, functions, statistics of columns and the like are rows of the database's own tables.
_OTHERWISE_CHANGED = """
    select exists (
        select from pg_class where relkind = 'r' and not relisshared and (
            relnamespace = 'pg_catalog'::regnamespace or oid = any(%s::regclass[])
        ) and pg_stat_get_tuples_inserted(oid) + pg_stat_get_tuples_updated(oid) + pg_stat_get_tuples_deleted(oid) > 0
    ) or exists (
        select from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase where datname = current_database()
    )
"""
# Triggers and foreign keys have nothing to say about it.
_AS_REPLICA = "set session_replication_role = replica"
# Where the planner finds a table as it was made, it plans as it would for one.
_FORGET = "select pg_clear_relation_stats(n, t) from unnest(%s::text[], %s::text[]) as emptied (n, t)"
_SEQUENCES_ANEW = "select setval(seqrelid::regclass, seqstart, false) from pg_sequence"
_COUNT_FROM_HERE = ("select pg_stat_force_next_flush()", "select pg_stat_reset()")


class Clones:
    """Of one template, each taken by one test at a time."""

    def __init__(self, server: LookedThrough, template: str) -> None:
        self._server, self._template = server, template
        self._numbers = itertools.count()
        self._free: list[str] = []
        self._taken: dict[str, int] = {}
        self._inside: dict[str, psycopg.Connection[Any]] = {}
        with server.superuser(template) as connection:
            self._filled = set(leftovers.tables(connection))

    def take(self) -> str:
        if self._free:
            name = self._free.pop()
        else:
            name = f"test_{next(self._numbers)}"
            self._server.ensure_database(name, template=self._template)
        self._taken[name] = self._taken.get(name, 0) + 1
        return name

    def give_back(self, name: str) -> None:
        """Raises CardNumberKept as dropping it does."""
        again = False
        try:
            connection = self._connection(name)
            self._server.end_users(name, but=connection.info.backend_pid)
            changed = leftovers.tables(connection, changed=True)
            leftovers.look_through_tables(connection, changed)
            again = self._taken[name] < _TAKEN_MAX and self._emptied(connection, changed)
        finally:
            if again:
                self._free.append(name)
            else:
                if (kept := self._inside.pop(name, None)) is not None:
                    kept.close()
                self._server.drop_looked_through(name)

    def _connection(self, name: str) -> psycopg.Connection[Any]:
        """The one that stays in a database, idle while it is taken: what a new one learns of all its tables costs more
        than the look. A test may have ended it."""
        kept = self._inside.get(name)
        if kept is None or not _lives(kept):
            kept = self._inside[name] = self._server.superuser(name)
        return kept

    def close(self) -> None:
        for connection in self._inside.values():
            connection.close()
        self._inside.clear()

    def _emptied(self, connection: psycopg.Connection[Any], changed: list[tuple[str, str]]) -> bool:
        """Whether the database is as new, now that the rows of these tables are deleted."""
        filled = [".".join(table) for table in self._filled]
        otherwise = connection.execute(_OTHERWISE_CHANGED, [filled]).fetchone()
        if otherwise is None or otherwise[0]:
            return False
        if changed:
            connection.execute(_AS_REPLICA)
            with connection.transaction():
                for table in changed:
                    connection.execute(sql.SQL("delete from {}").format(sql.Identifier(*table)))
            names = sql.SQL(", ").join(sql.Identifier(*table) for table in changed)
            connection.execute(sql.SQL("vacuum (skip_database_stats) {}").format(names))
            connection.execute(_FORGET, [[schema for schema, _ in changed], [name for _, name in changed]])
            connection.execute(_SEQUENCES_ANEW)
            for statement in _COUNT_FROM_HERE:
                connection.execute(statement)
        return set(leftovers.tables(connection)) == self._filled


def _lives(connection: psycopg.Connection[Any]) -> bool:
    try:
        connection.execute("select 1")
    except psycopg.OperationalError:
        return False
    return True
