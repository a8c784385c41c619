"""Alembic's entry: runs as the owner of the tables, on the connection or URL it is given."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping

import sqlalchemy as sa
from sqlmodel import SQLModel

import models
from alembic import context
from services.core.migrations import LEAVING

for module in pkgutil.iter_modules(models.__path__):
    importlib.import_module(f"models.{module.name}")

PARTITIONED = {
    table.name
    for table in SQLModel.metadata.tables.values()
    if table.dialect_options["postgresql"]["partition_by"]
}


def include_name(name: str | None, kind: str, parents: Mapping[str, str | None]) -> bool:
    """Leave out partitions (their parent stands for them), the tables that belong to PgQueuer, and what goes with the
    next migration."""
    if kind != "table" or name is None:
        return (parents.get("table_name"), name) not in LEAVING
    parent, _, number = name.rpartition("_p")
    return not name.startswith("pgqueuer") and not (parent in PARTITIONED and number.isdigit())


def migrate(connection: sa.Connection) -> None:
    context.configure(
        connection=connection, target_metadata=SQLModel.metadata, include_name=include_name, compare_type=True
    )
    with context.begin_transaction():
        # Two processes that start at once must not migrate at once.
        connection.execute(sa.text("select pg_advisory_xact_lock(4101002)"))
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    url = context.config.get_main_option("sqlalchemy.url")
    if url is None:
        raise SystemExit("Set sqlalchemy.url, or run `matrix migrate`.")
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        migrate(connection)
        connection.commit()
    engine.dispose()
