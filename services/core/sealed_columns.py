"""The columns that models declare as sealed, and the values in them, whoever they belong to."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlmodel import SQLModel

from models.base import Bound
from models.types import BYTES
from services.core import crypto
from services.core.crypto import PLATFORM, Place
from services.core.work import UnitOfWork


@dataclass(frozen=True, slots=True)
class SealedColumn:
    table: sa.Table
    column: sa.Column[Any]
    bound: Bound

    def __str__(self) -> str:
        return f"{self.table.name}.{self.column.name}"

    @property
    def key(self) -> list[sa.Column[Any]]:
        return list(self.table.primary_key.columns)

    def place(self, row: sa.RowMapping) -> Place:
        """Where the sealed value of `row`, as `after` gives them, belongs."""
        tenant = PLATFORM if self.bound.tenant is None else row[self.bound.tenant]
        return Place(tenant, self.table.name, self.column.name, row[self.bound.row])


def sealed_columns() -> tuple[SealedColumn, ...]:
    """All of them, once runtime.know_all_tables() was called. In order of their names."""
    found = [
        SealedColumn(table, column, column.info["sealed"])
        for table in SQLModel.metadata.tables.values()
        for column in table.columns
        if "sealed" in column.info
    ]
    return tuple(sorted(found, key=str))


async def after(
    uow: UnitOfWork, where: SealedColumn, key: Sequence[Any] | None, *, but: bytes, most: int
) -> Sequence[sa.RowMapping]:
    """The next rows, by primary key, whose sealed values do not begin with `but`."""
    named = {column.name: column for column in (*where.key, where.column)}
    for name in (where.bound.tenant, where.bound.row):
        if name is not None:
            named[name] = where.table.c[name]
    statement = sa.select(*named.values()).where(_begins_otherwise(where, but))
    if key is not None:
        statement = statement.where(sa.tuple_(*where.key) > sa.tuple_(*map(sa.literal, key)))
    return (await uow.execute(statement.order_by(*where.key).limit(most))).mappings().all()


async def put(uow: UnitOfWork, where: SealedColumn, row: sa.RowMapping, sealed: bytes) -> bool:
    """Have `sealed` there instead of what `row` held; False if somebody wrote something else meanwhile."""
    same = [column == row[column.name] for column in (*where.key, where.column)]
    changed = await uow.execute(sa.update(where.table).where(*same).values({where.column.name: sealed}))
    return changed.rowcount == 1


async def count(uow: UnitOfWork, where: SealedColumn, *, but: bytes) -> int:
    """How many values do not begin with `but`."""
    statement = sa.select(sa.func.count()).select_from(where.table).where(_begins_otherwise(where, but))
    return (await uow.execute(statement)).scalar_one()


async def count_under(uow: UnitOfWork, where: SealedColumn, key_ids: Collection[str]) -> int:
    """How many values are sealed under one of these keys."""
    begins = [_begins(where, head) for key_id in key_ids for head in crypto.headers(key_id)]
    statement = sa.select(sa.func.count()).select_from(where.table).where(sa.or_(sa.false(), *begins))
    return (await uow.execute(statement)).scalar_one()


def _begins(where: SealedColumn, head: bytes) -> sa.ColumnElement[bool]:
    return sa.func.substr(where.column, 1, len(head), type_=BYTES) == sa.literal(head, BYTES)


def _begins_otherwise(where: SealedColumn, head: bytes) -> sa.ColumnElement[bool]:
    return where.column.is_not(None) & ~_begins(where, head)
