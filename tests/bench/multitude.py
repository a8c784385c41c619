"""Many rows out of one: a row of a table copied in SQL, told apart where the table or its lists ask for it.

A copy keeps what its row says, so that it stays a row that its list shows and finds what it is joined to. What is
unique gets a number at its end, the same for all tables, and what refers to a row that is copied refers to its copy of
the same number: a hundred thousand payments of one invoice are no shop, and make plans that no shop has. Moments and
days go back a minute a copy, all of a row alike; states, names and flags vary. For databases that are thrown away:
checks and triggers are taken off, since not every copy would be a row that the product writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from services.core.listing import Column, Kind, Listing

RARE_EVERY = 5_000  # of so many rows one has the last of a column's values
NAMES = 1_000
MINUTES_A_DAY = 24 * 60
_PLAIN = re.compile(r"(?:\w+\.)?(\w+)")
_TABLE = re.compile(r"\w+")

# `unique` where a copy must differ: what refers to another row only where nothing else in the index could.
_COLUMNS = """
with refers as (
  select conkey[1] as attnum, min(confrelid::regclass::text) as place from pg_constraint
  where conrelid = %(table)s::regclass and contype = 'f' and cardinality(conkey) = 1 group by 1
)
select a.attname as name, format_type(a.atttypid, null) as type, a.attnotnull as needed, r.place as refers,
  exists (select from pg_index i
    where i.indrelid = a.attrelid and i.indisunique and a.attnum = any(i.indkey)
      and (r.place is null or not exists (
        select from unnest(i.indkey) k where k > 0 and k not in (select attnum from refers)))) as unique
from pg_attribute a left join refers r on r.attnum = a.attnum
where a.attrelid = %(table)s::regclass and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
order by a.attnum
"""
_BLANK: dict[str, LiteralString] = {
    "text": "'x'", "character varying": "'x'",
    "integer": "1", "bigint": "1", "smallint": "1", "numeric": "1", "boolean": "false", "jsonb": "'{}'",
    "date": "current_date", "bytea": "''", "text[]": "'{}'", "timestamp with time zone": "now()",
}  # fmt: skip
_CHECKS = """
select conrelid::regclass::text, conname from pg_constraint
where contype in ('c', 'x') and conrelid <> 0 and conparentid = 0 and connamespace = 'public'::regnamespace
"""


def table_of(listing: Listing[Any]) -> str:
    """The table that the list's rows come from."""
    found = _TABLE.match(listing.source)
    if found is None:
        raise ValueError(f"The list {listing.name!r} reads no table but {listing.source!r}.")
    return found.group()


def loosen(connection: psycopg.Connection) -> None:
    """Take off what would refuse a copy."""
    connection.execute("set session_replication_role = replica")
    for table, name in connection.execute(_CHECKS).fetchall():
        connection.execute(
            sql.SQL("alter table {} drop constraint {}").format(sql.SQL(table), sql.Identifier(name))
        )


def begin(connection: psycopg.Connection, table: str, lists: Iterable[Listing[Any]]) -> None:
    """Make a row to be copied where there is none: as little as the table allows, and what it refers to is there."""
    declared = _declared(lists)
    names: list[str] = []
    values: list[sql.Composable] = []
    for name, kind, needed, refers, _ in _columns(connection, table):
        if not needed:
            continue
        value: sql.Composable = sql.SQL(_BLANK[kind])
        if refers is not None:
            value = sql.SQL("coalesce((select min(id) from {}), 'x')").format(sql.SQL(refers))
        elif name in declared and declared[name].values:
            value = sql.Literal(declared[name].values[0])
        names.append(name)
        values.append(value)
    connection.execute(
        sql.SQL("insert into {} ({}) overriding system value values ({})").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, names)),
            sql.SQL(", ").join(values),
        )
    )


def multiply(
    connection: psycopg.Connection,
    table: str,
    keys: Mapping[str, tuple[str, Any]],
    rows: int,
    lists: Iterable[Listing[Any]],
) -> None:
    """Copy the row that `keys` names of the table, by a column and its value there, `rows` times, as varied as its
    `lists` ask for."""
    declared, key = _declared(lists), keys[table]
    columns = _columns(connection, table)
    values = [
        _value(name, kind, unique, refers is not None, declared.get(name))
        if refers == table or (copied := _copied(keys, refers)) is None
        else _numbered(sql.Literal(copied), kind)
        for name, kind, _, refers, unique in columns
    ]
    statement = sql.SQL(
        "insert into {table} ({names}) overriding system value select {values}"
        " from {table} t, generate_series(1, {rows}) n where t.{key} = {is_}"
    ).format(
        table=sql.Identifier(table),
        names=sql.SQL(", ").join(sql.Identifier(name) for name, *_ in columns),
        values=sql.SQL(", ").join(values),
        rows=sql.Literal(rows),
        key=sql.Identifier(key[0]),
        is_=sql.Literal(key[1]),
    )
    connection.execute(statement)


def _copied(keys: Mapping[str, tuple[str, Any]], refers: str | None) -> str | None:
    """The id of the row that is copied in the table which a column refers to."""
    column, value = keys.get(refers or "", ("", None))
    return value if column == "id" and isinstance(value, str) and refers != "organization" else None


def _columns(connection: psycopg.Connection, table: str) -> list[Any]:
    return connection.execute(_COLUMNS, {"table": table}).fetchall()


def _declared(lists: Iterable[Listing[Any]]) -> dict[str, Column]:
    """The lists' own columns that are columns of the table, by their names there."""
    return {
        found.group(1): column
        for listing in lists
        for column in listing.columns
        if (found := _PLAIN.fullmatch(column.sql)) is not None and (column.filters or column.sortable)
    }


def _value(name: str, kind: str, unique: bool, refers: bool, declared: Column | None) -> sql.Composable:
    column = sql.SQL("t.{}").format(sql.Identifier(name))
    if kind.startswith("timestamp"):
        return sql.SQL("{} - n * interval '1 minute'").format(column)
    if kind == "date":
        return sql.SQL("{} - n / {}").format(column, sql.Literal(MINUTES_A_DAY))
    if unique and name != "organization_id":
        return _numbered(column, kind)
    if declared is None or refers or name == "organization_id":
        return column
    if declared.values:
        common, rare = declared.values[:-1] or declared.values, declared.values[-1]
        return sql.SQL("case when n % {} = 0 then {} else ({}::text[])[1 + n % {}] end").format(
            sql.Literal(RARE_EVERY), sql.Literal(rare), sql.Literal(list(common)), sql.Literal(len(common))
        )
    if kind == "boolean":
        return sql.SQL("n % {} = 0").format(sql.Literal(RARE_EVERY))
    if kind in {"integer", "bigint", "numeric"} and declared.kind in {Kind.INTEGER, Kind.DECIMAL}:
        return sql.SQL("{} + n % 9973").format(column)
    if kind == "text":
        return sql.SQL("{} || ' ' || n % {}").format(column, sql.Literal(NAMES))
    return column


def _numbered(column: sql.Composable, kind: str) -> sql.Composable:
    if kind in {"integer", "bigint", "smallint", "numeric"}:
        return sql.SQL("{} + n").format(column)
    if kind == "text":
        return sql.SQL("{} || '_' || lpad(n::text, 8, '0')").format(column)
    if kind == "bytea":
        return sql.SQL("sha256(coalesce({}, '') || n::text::bytea)").format(column)
    return column
