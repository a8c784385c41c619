"""Indexes of tables that grow, made while others write to them.

A migration is one transaction, and an index made in it holds up everybody who writes to its table until all is done.
One that its model declares with `postgresql_concurrently=True` is made after the migration instead, beside the work of
others. A migration makes none of these, and drops them on its way down.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from psycopg.errors import LockNotAvailable
from sqlalchemy.exc import OperationalError
from sqlmodel import SQLModel

from services.core.logs import get_logger

log = get_logger(__name__)

# PostgreSQL waits for whoever is at work on the table, and makes nobody wait behind it.
WAIT_S = 60

_TAKE_TURN = sa.text("select pg_try_advisory_lock(4101003)")
_IS_VALID = sa.text("select indisvalid from pg_index where indexrelid = to_regclass(:name)")


def declared() -> Iterator[sa.Index]:
    """Of all models that were imported."""
    for table in SQLModel.metadata.sorted_tables:
        for index in sorted(table.indexes, key=lambda one: str(one.name)):
            if index.dialect_options["postgresql"]["concurrently"]:
                yield index


def make(engine: sa.Engine, *, wait_s: float = WAIT_S) -> None:
    """Make those that are missing, and anew those that were left half made. Blocking.

    One that gets no turn within `wait_s` is left to the next time: without it lists are slow, and nothing is wrong. The
    engine's connections must be its callers' alone: closing one gives the turn back.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.scalar(_TAKE_TURN):
            return  # another process makes them
        connection.exec_driver_sql(f"set lock_timeout = '{wait_s * 1_000:.0f}ms'")
        for index in declared():
            try:
                _make(connection, index)
            except OperationalError as error:
                if not isinstance(error.orig, LockNotAvailable):
                    raise
                log.warning("index_waits", index=index.name, waited_s=wait_s)


def _make(connection: sa.Connection, index: sa.Index) -> None:
    is_valid = connection.scalar(_IS_VALID, {"name": index.name})
    if is_valid:
        return
    if is_valid is False:
        index.drop(connection)
    index.create(connection)
