"""What every table shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from models.types import BYTES, ID, UTC

# Names that Alembic can find again when a constraint must be dropped.
SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Table(SQLModel):
    """Base of all tables. `tenant_column` names the column that row-level security tests, if any."""

    tenant_column: ClassVar[str | None] = None
    if TYPE_CHECKING:
        # SQLModel declares it as something computed; here every table says its name.
        __tablename__: ClassVar[str]  # pyright: ignore[reportIncompatibleVariableOverride]


def id_field() -> Any:
    return Field(primary_key=True, sa_type=ID)


def reference(target: str, *, nullable: bool = False, index: bool = False) -> Any:
    """A foreign key to `table.column`; rows are ended or erased by verbs, never by cascade."""
    return Field(
        default=None if nullable else ...,
        sa_type=ID,
        foreign_key=target,
        nullable=nullable,
        index=index,
    )


def instant(*, nullable: bool = False) -> Any:
    """An aware UTC instant."""
    return Field(default=None if nullable else ..., sa_type=UTC, nullable=nullable)


def personal(**options: Any) -> Any:
    """A column holding personal data: export, erasure, retention and log redaction read this mark."""
    return Field(sa_column_kwargs={"info": {"pii": True}}, **options)


@dataclass(frozen=True, slots=True)
class Bound:
    """What a sealed value of a column is bound to: the row's columns that name its tenant and its row.

    `tenant` is None for what belongs to the installation.
    """

    tenant: str | None
    row: str


def sealed(*, tenant: str | None, row: str, nullable: bool = False) -> Any:
    """A column of values sealed by services/core/crypto.py, which seals for no other; a rotation of keys re-wraps
    every column with this mark. See `Bound` for `tenant` and `row`."""
    return Field(
        default=None if nullable else ...,
        sa_type=BYTES,
        nullable=nullable,
        sa_column_kwargs={"info": {"sealed": Bound(tenant, row)}},
    )


def partitioned_by_organization() -> dict[str, Any]:
    return {"postgresql_partition_by": "HASH (organization_id)"}


def check(condition: str, name: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=name)
