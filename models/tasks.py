"""Work that takes longer than a request, and the files it or people bring."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlmodel import Field

from models.base import Table, id_field, instant, personal, reference
from models.types import BIG, BYTES, ID, TEXT

JSONB: Any = postgresql.JSONB()


class StoredFile(Table, table=True):
    """A file in the store; `id` is its name there. What it holds was checked against `content_type`."""

    __tablename__ = "stored_file"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (sa.Index("ix_stored_file_organization_id", "organization_id", "id"),)

    id: str = id_field()
    organization_id: str = reference("organization.id")
    purpose: str = Field(sa_type=ID)
    name: str = personal()
    content_type: str
    size_bytes: int = Field(sa_type=BIG)
    sha256: bytes = Field(sa_type=BYTES)
    created_by: str = Field(default="", sa_type=ID)
    created_at: datetime = instant()
    expires_at: datetime | None = instant(nullable=True)
    deleted_at: datetime | None = instant(nullable=True)


class Task(Table, table=True):
    """Long work somebody asked for: what survives is this row, not a running coroutine."""

    __tablename__ = "task"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.CheckConstraint("state in ('waiting','running','done','failed','cancelled')", name="state"),
        sa.UniqueConstraint("organization_id", "dedupe_key"),
        sa.Index("ix_task_organization_id", "organization_id", sa.text("created_at desc"), "id"),
        sa.Index("ix_task_due", "due_at", "id", postgresql_where=sa.text("state in ('waiting','running')")),
    )

    id: str = id_field()
    organization_id: str = reference("organization.id")
    asked_by: str = Field(sa_type=ID)  # account or key
    kind: str = Field(sa_type=ID)
    parameters: dict[str, Any] = Field(sa_type=JSONB, default={})
    dedupe_key: str = Field(sa_type=ID)
    state: str = "waiting"
    done: int = Field(default=0, sa_type=BIG)
    total: int | None = Field(default=None, sa_type=BIG, nullable=True)  # unknown until counted
    result: dict[str, Any] = Field(sa_type=JSONB, default={})
    file_id: str | None = reference("stored_file.id", nullable=True)
    error: str = Field(default="", sa_type=TEXT)
    attempts: int = 0
    due_at: datetime = instant()  # when a worker may take it (again)
    cancel_asked_at: datetime | None = instant(nullable=True)
    created_at: datetime = instant()
    started_at: datetime | None = instant(nullable=True)
    finished_at: datetime | None = instant(nullable=True)
    version: int = 1
