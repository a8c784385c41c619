"""Reads of files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.files.policies import file_for


@dataclass(frozen=True, slots=True)
class FileRow:
    """A file that is there. `name` is as a person gave it, made harmless to show."""

    id: str
    purpose: str
    name: str
    content_type: str
    size_bytes: int
    created_by: str
    created_at: datetime
    expires_at: datetime | None


_COLUMNS = "id, purpose, name, content_type, size_bytes, created_by, created_at, expires_at"


async def list_files(
    uow: UnitOfWork, *, purpose: str = "", before: str | None = None, limit: int = 50
) -> list[FileRow]:
    """The organisation's files, newest first, from behind the file `before`. Needs files.read; those that need
    more than the actor has are left out."""
    uow.actor.require(Capability.FILES_READ)
    rows = await uow.execute(
        f"select {_COLUMNS} from stored_file where organization_id = :organization_id"
        " and stored_at is not null and deleted_at is null and (expires_at is null or expires_at > :now)"
        " and needs <@ cast(:held as text[]) and (:purpose = '' or purpose = :purpose)"
        " and (cast(:before as text) is null or id < :before) order by id desc limit :limit",
        organization_id=uow.organization_id,
        now=uow.wall_now,
        held=sorted(uow.actor.capabilities),
        purpose=purpose,
        before=before,
        limit=limit,
    )
    return [FileRow(**row) for row in rows.mappings()]


async def get_file(uow: UnitOfWork, file_id: str) -> FileRow:
    """One file. Raises NotFound, also for another organisation's."""
    row = await file_for(uow, file_id, Capability.FILES_READ)
    return FileRow(
        row.id,
        row.purpose,
        row.name,
        row.content_type,
        row.size_bytes,
        row.created_by,
        row.created_at,
        row.expires_at,
    )
