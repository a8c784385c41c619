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
TEXTS: Any = postgresql.ARRAY(sa.Text())


class StoredFile(Table, table=True):
    """A file in the store; `id` is its name there. What it holds was checked against `content_type`.

    The row is there before the content and goes after it, so that no content is ever without a row:
    arriving (no `stored_at`), stored, deleted (`deleted_at`), purged (`purged_at`: the content is gone).
    """

    __tablename__ = "stored_file"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.Index("ix_stored_file_organization_id", "organization_id", "id"),
        # How much an organisation has is added up from the index alone.
        sa.Index(
            "ix_stored_file_held",
            "organization_id",
            "size_bytes",
            postgresql_where=sa.text("purged_at is null"),
        ),
        sa.Index(
            "ix_stored_file_arriving",
            "created_at",
            postgresql_where=sa.text("stored_at is null and deleted_at is null"),
        ),
        sa.Index("ix_stored_file_expiring", "expires_at", postgresql_where=sa.text("deleted_at is null")),
        sa.Index(
            "ix_stored_file_to_purge",
            sa.text("purge_tried_at nulls first"),
            "deleted_at",
            postgresql_where=sa.text("deleted_at is not null and purged_at is null"),
        ),
    )

    id: str = id_field()
    organization_id: str = reference("organization.id")
    purpose: str = Field(sa_type=ID)
    name: str = personal()
    content_type: str
    size_bytes: int = Field(sa_type=BIG)
    sha256: bytes = Field(sa_type=BYTES)
    needs: list[str] = Field(default=[], sa_type=TEXTS)  # capabilities it takes to read it, beside files.read
    created_by: str = Field(default="", sa_type=ID)
    created_at: datetime = instant()
    stored_at: datetime | None = instant(nullable=True)
    expires_at: datetime | None = instant(nullable=True)
    deleted_at: datetime | None = instant(nullable=True)
    purged_at: datetime | None = instant(nullable=True)
    purge_tried_at: datetime | None = instant(nullable=True)  # its content would not go then


class Task(Table, table=True):
    """Long work somebody asked for: what survives is this row, not a running coroutine."""

    __tablename__ = "task"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.CheckConstraint("state in ('waiting','running','done','failed','cancelled')", name="state"),
        # Asked twice while it is under way, it is one task; once it has ended it may be asked again.
        sa.Index(
            "uq_task_under_way",
            "organization_id",
            "dedupe_key",
            unique=True,
            postgresql_where=sa.text("state in ('waiting','running')"),
        ),
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
    checkpoint: dict[str, Any] = Field(sa_type=JSONB, default={})  # from where the next worker goes on
    result: dict[str, Any] = Field(sa_type=JSONB, default={})
    file_id: str | None = reference("stored_file.id", nullable=True)
    error: str = Field(default="", sa_type=TEXT)
    attempts: int = 0  # since the last step that succeeded
    due_at: datetime = instant()  # when a worker may take it (again): while it runs, the end of the lease
    holder: str = Field(default="", sa_type=ID)  # which taking of it may write; "" when none may
    cancel_asked_at: datetime | None = instant(nullable=True)
    created_at: datetime = instant()
    started_at: datetime | None = instant(nullable=True)
    finished_at: datetime | None = instant(nullable=True)
