"""What a version writes to the database, for the next one to work beside: its tables, columns and keys.

At each release, by the code of that release:
`python -m tests.tools.version_before > tests/integration/core/version_before.txt`
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from sqlmodel import SQLModel

import models

KEPT = Path(__file__).parents[1] / "integration/core/version_before.txt"


@dataclass(frozen=True, slots=True)
class KnownTable:
    """`columns` by name, and whether each may be null. `keys` are unique: what `on conflict` can name."""

    columns: dict[str, bool] = field(default_factory=dict[str, bool])
    keys: list[tuple[str, ...]] = field(default_factory=list[tuple[str, ...]])


def before() -> dict[str, KnownTable]:
    """The tables of the version before."""
    tables: dict[str, KnownTable] = {}
    for line in KEPT.read_text().splitlines():
        table, kind, *names = line.split()
        known = tables.setdefault(table, KnownTable())
        if kind == "unique":
            known.keys.append(tuple(names))
        else:
            known.columns.update({name.rstrip("?"): name.endswith("?") for name in names})
    return tables


def lines() -> Iterator[str]:
    for module in pkgutil.iter_modules(models.__path__):
        importlib.import_module(f"models.{module.name}")
    for name, table in sorted(SQLModel.metadata.tables.items()):
        yield " ".join([name, "columns", *(f"{one.name}{'?' * bool(one.nullable)}" for one in table.columns)])
        for key in sorted(_keys(table)):
            yield " ".join([name, "unique", *key])


def _keys(table: sa.Table) -> Iterator[tuple[str, ...]]:
    for one in table.constraints:
        if isinstance(one, sa.PrimaryKeyConstraint | sa.UniqueConstraint):
            yield tuple(column.name for column in one.columns)
    for index in table.indexes:
        if index.unique and index.dialect_options["postgresql"]["where"] is None:
            yield tuple(column.name for column in index.columns)


if __name__ == "__main__":
    print("\n".join(lines()))
