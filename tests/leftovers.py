"""What tests leave behind is looked through for numbers of payment cards where it is thrown away: every row of every
database before it is dropped, every file of a folder before it is deleted, all that was captured of a test's output,
and what a fake collector was sent. What counts as one, the product's own rule says: `services/core/cards.py`.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql
from sqlmodel import SQLModel

import models
from services.core.cards import card_numbers, masked
from services.core.postgres import SUPERUSER, EmbeddedPostgres

# What the rule finds has this in it, also where a line's end or the like is written as `copy` and JSON escape it.
# The digit comes first, since Python then looks at digits alone.
_LONG = re.compile(r"\d(?:(?<![\w.,]\d)|(?<=\\[bfnrtv]\d))(?:[ -]?\d){12}")
_LONG_IN_HEX = re.compile(r"(?:3\d(?:2[0d])?){12}3\d")
# Identifiers of this form are sixteen digits with a card's check digit once in some ten thousand times.
_DRAWN = re.compile(
    r"\b(?:[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})\b"
)
_BYTES = re.compile(r"\\\\x((?:[0-9a-f]{2})+)")
_PARTITION = re.compile(r"_p\d+$")
_ESCAPED = re.compile(r"\\+[bfnrtv]")
_FILE_BYTES_MAX = 50_000_000
_ENDED_WITHIN_MS = 10_000
_FIRST_NUMBER_OF_OTHERS = 16_384

# By the size of their files, since to look into each of the many empty ones would take ten times as long.
_TABLES = """
    select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'm') and n.nspname not in ('pg_catalog', 'pg_toast', 'information_schema')
    and (pg_stat_file(pg_relation_filepath(c.oid), true)).size > 0
"""
# Of what was copied from another database, which is looked through itself. A process counts before it has ended.
_CHANGED = "and pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid) > 0"
# A process that was killed while it held a lock would have the look wait; and who has not ended has not counted yet.
_END_USERS = """
    select pg_terminate_backend(pid, %s) from pg_stat_activity
    where datname = %s and backend_type = 'client backend' and pid <> %s
"""


class CardNumberKept(AssertionError):
    """A number of a card is where none may be. Says where, and never the number."""

    def __init__(self, places: list[str]) -> None:
        test = os.environ.get("PYTEST_CURRENT_TEST", "these tests")
        super().__init__(f"Numbers of cards stay behind {masked(test)}:\n" + "\n".join(places))


def require_none(place: str, text: str) -> None:
    """Raises CardNumberKept when a card's number is in `text`, which was found at `place`."""
    if found := _numbers(text):
        raise CardNumberKept([f"{place}: {number}" for number in found])


def look_through_report(report: pytest.TestReport) -> None:
    """Have a test fail in its end when anything that was captured of its output shows a card's number."""
    if report.when != "teardown" or report.failed:
        return
    try:
        require_none("output", "\n".join(text for _, text in report.sections))
    except CardNumberKept as error:
        report.outcome, report.longrepr, report.sections = "failed", str(error), []


def look_through(server: EmbeddedPostgres, database: str, *, changed: bool = False) -> None:
    """Every value of every row of a database, or of the tables in it that were `changed` since it was made.

    Raises CardNumberKept as look_through_tables() does.
    """
    with server.superuser(database) as connection:
        look_through_tables(connection, tables(connection, changed=changed))


def tables(connection: psycopg.Connection[Any], *, changed: bool = False) -> list[tuple[str, str]]:
    """Schema and name of those that hold anything, or of those that were `changed` since the database was made."""
    return connection.execute(f"{_TABLES}{_CHANGED if changed else ''}").fetchall()


def look_through_tables(connection: psycopg.Connection[Any], named: list[tuple[str, str]]) -> None:
    """Raises CardNumberKept with table, column and the row's first value."""
    if found := [place for table in named for place in _places(connection, table)]:
        raise CardNumberKept(found)


def look_through_folder(folder: Path) -> None:
    """Every file of text below, and the databases of every PostgreSQL cluster, which is started for it.

    Raises CardNumberKept with the file.
    """
    found: list[str] = []
    clusters: list[Path] = []
    for path, below, names in os.walk(folder):
        if {"PG_VERSION", "base"} <= {*below, *names}:
            clusters.append(Path(path))
            below.clear()
            continue
        files = [Path(path, name) for name in names]
        found += [
            f"{file.relative_to(folder)}: {number}" for file in files for number in _numbers(_text(file))
        ]
    if found:
        raise CardNumberKept(found)
    for cluster in clusters:
        if cluster.name == "postgres" and _has_tables(cluster):
            _look_through_cluster(cluster.parent)


class LookedThrough(EmbeddedPostgres):
    """A server whose databases are looked through before they are dropped.

    One connection stays open to make and drop databases by, which saves what looking through them costs.
    """

    _standing: _Standing | None = None

    def drop_database(self, name: str) -> None:
        try:
            self.end_users(name)
            look_through(self, name, changed=True)
        finally:
            self.drop_looked_through(name)

    def end_users(self, name: str, *, but: int = 0) -> None:
        """All who use a database, but the process of that number."""
        with self.superuser() as standing:
            standing.execute(_END_USERS, [_ENDED_WITHIN_MS, name, but])

    def drop_looked_through(self, name: str) -> None:
        super().drop_database(name)

    def superuser(self, database: str = "postgres") -> psycopg.Connection[Any]:
        if database != "postgres":
            return super().superuser(database)
        if self._standing is None or self._standing.closed:
            self._standing = _Standing.connect(
                host=str(self.socket_dir), user=SUPERUSER, dbname=database, autocommit=True, connect_timeout=5
            )
        return self._standing

    def stop(self) -> None:
        if self._standing is not None:
            self._standing.close()
        super().stop()


class _Standing(psycopg.Connection[Any]):
    """Stays open at the end of a block."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


def _numbers(text: str) -> list[str]:
    """Those in `text`, by their last four digits. Within a UUID or a `traceparent` there are none."""
    return [
        "*" * (len(number) - 4) + number[-4:]
        for line in _lines_with(text, _LONG)
        for number in card_numbers(_DRAWN.sub("-", _ESCAPED.sub("\n", line)))
    ]


def _lines_with(text: str, *looks_for: re.Pattern[str]) -> Iterator[str]:
    """Those that the rule has to be asked about: there are many lines, and these are few."""
    starts = {text.rfind("\n", 0, found.start()) + 1 for one in looks_for for found in one.finditer(text)}
    for start in sorted(starts):
        end = text.find("\n", start)
        yield text[start : end if end >= 0 else len(text)]


def _places(connection: psycopg.Connection[Any], table: tuple[str, str]) -> Iterator[str]:
    # To copy a table out opens nothing but the table, where a query would be planned with each of its indexes.
    statement = sql.SQL("copy {} to stdout with (header)").format(sql.Identifier(*table))
    with connection.cursor().copy(statement) as copy:
        text = b"".join(copy).decode()
    names = text[: text.index("\n")].split("\t")
    declared = _PARTITION.sub("", table[1])
    read = [at for at, name in enumerate(names) if (declared, name) not in _sums()]
    bytes_too = [_LONG_IN_HEX] if r"\\x" in text else []
    for row in _lines_with(text, _LONG, *bytes_too):
        values = [_meant(value) for value in row.split("\t")]
        for at in read:
            for number in _numbers(values[at]):
                yield f"{table[1]}.{names[at]} of {masked(values[0])}: {number}"


@cache
def _sums() -> frozenset[tuple[str, str]]:
    """Columns that models declare as numbers, by table: of sums of sixteen digits one in fifty looks like a card."""
    for module in pkgutil.iter_modules(models.__path__):
        importlib.import_module(f"models.{module.name}")
    tables = SQLModel.metadata.tables.values()
    return frozenset(
        (table.name, column.name)
        for table in tables
        for column in table.columns
        if isinstance(column.type, sa.Numeric | sa.Integer)
    )


def _meant(value: str) -> str:
    """Bytes, which `copy` writes in hexadecimal digits, as the text that they may be."""
    content = _BYTES.fullmatch(value)
    return value if content is None else bytes.fromhex(content[1]).decode("latin-1")


def _text(path: Path) -> str:
    """Of a file that holds text; nothing of others."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size > _FILE_BYTES_MAX:
        return ""
    content = path.read_bytes()
    return "" if b"\0" in content else content.decode("utf-8", "replace")


def _has_tables(cluster: Path) -> bool:
    """Whether any were made since the cluster was: their files have the numbers above those that initdb gives."""
    names = (path.name for path in (cluster / "base").glob("*/*"))
    return any(name.isdecimal() and int(name) >= _FIRST_NUMBER_OF_OTHERS for name in names)


def _look_through_cluster(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir, durable=False)
    server.start()
    try:
        with server.superuser() as connection:
            listed = connection.execute("select datname from pg_database where datallowconn").fetchall()
        for (name,) in listed:
            look_through(server, name)
    finally:
        server.stop()
