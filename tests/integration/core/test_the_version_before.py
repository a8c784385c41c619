"""The version before works beside the newest shape: what it reads is there, and what it writes is taken."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from services.core.database import libpq_url
from services.core.migrations import LEAVING
from tests.tools.version_before import before

# Where the newest shape is narrower, by `table.column`, and why nobody is hurt. They go with the migration that made
# them once tests/tools/version_before.py has written down what the next version is to work beside.
BESIDE: set[str] = set()  # tables that have a trigger of that name
FILLED: set[str] = set()  # by such a trigger
REFUSED: set[str] = set()  # docs/operations.md says so
MAY_BE_NULL = {"payment_link.invoice_id": "of links to top-ups, which lead nowhere in the version before"}
KEYS_GONE: dict[tuple[str, ...], str] = {}

_COLUMNS = """
select c.table_name, c.column_name, c.is_nullable = 'YES', c.column_default is not null or c.is_identity = 'YES'
from information_schema.columns c where c.table_schema = 'public'
"""
_KEYS = """
select t.relname, array_agg(a.attname order by k.place) from pg_index i join pg_class t on t.oid = i.indrelid
cross join lateral unnest(i.indkey) with ordinality k (number, place)
join pg_attribute a on a.attrelid = t.oid and a.attnum = k.number
where i.indisunique and i.indpred is null group by t.relname, i.indexrelid
"""


@pytest.fixture
def columns(owner_url: str) -> dict[str, dict[str, tuple[bool, bool]]]:
    """By table and name: whether it may be null, and whether it has a default."""
    found: dict[str, dict[str, tuple[bool, bool]]] = {}
    for table, name, is_nullable, has_default in _all(owner_url, _COLUMNS):
        found.setdefault(table, {})[name] = (is_nullable, has_default)
    return found


def _all(url: str, statement: str) -> list[Any]:
    with psycopg.connect(libpq_url(url)) as connection:
        return connection.execute(statement.encode()).fetchall()


def test_all_that_it_reads_is_there(columns: dict[str, Any], owner_url: str) -> None:
    missing = {
        f"{table}.{name}"
        for table, known in before().items()
        for name in known.columns
        if name not in columns.get(table, {})
    }
    emptied = {
        f"{table}.{name}"
        for table, known in before().items()
        for name, may_be_null in known.columns.items()
        if not may_be_null and columns[table][name][0]
    }
    there = {(table, *sorted(names)) for table, names in _all(owner_url, _KEYS)}
    gone = {
        (table, *key)
        for table, known in before().items()
        for key in known.keys
        if (table, *sorted(key)) not in there
    }

    assert missing == set()
    assert emptied == set(MAY_BE_NULL)
    assert gone == set(KEYS_GONE)


def test_it_need_not_say_what_it_does_not_know(columns: dict[str, Any], owner_url: str) -> None:
    wanted = {
        f"{table}.{name}"
        for table, known in before().items()
        for name, (may_be_null, has_default) in columns[table].items()
        if name not in known.columns and not may_be_null and not has_default
    }
    triggers = "select tgrelid::regclass::text from pg_trigger where tgname = 'beside'"
    beside = {table for (table,) in _all(owner_url, triggers)}

    assert wanted == FILLED | REFUSED
    assert beside == BESIDE >= {name.partition(".")[0] for name in wanted}


def test_what_goes_with_the_next_migration_is_what_it_alone_knows(columns: dict[str, Any]) -> None:
    left = {(table, name) for table, name in LEAVING if not name.startswith(("uq_", "ix_"))}

    assert all(name in before()[table].columns and name in columns[table] for table, name in left)
