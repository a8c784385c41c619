"""The way to rows of files: who may, and whether there is anything to have."""

from __future__ import annotations

from datetime import datetime

from models.tasks import StoredFile
from services.core.errors import NotFound, not_found
from services.core.ids import is_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.files import links


async def file_for(
    uow: UnitOfWork, file_id: str, capability: Capability, *, lock: bool = False
) -> StoredFile:
    """The organisation's file, if the actor may and it is there. Raises Forbidden and NotFound."""
    uow.actor.require(capability)
    row = await uow.get(StoredFile, file_id, lock=lock) if is_id(str(file_id), "file") else None
    if row is None or row.organization_id != uow.organization_id or not _is_there(row, uow.wall_now):
        raise not_found("file", file_id)
    for needed in row.needs:
        uow.actor.require(Capability(needed))
    return row


def _is_there(row: StoredFile, now: datetime) -> bool:
    expired = row.expires_at is not None and row.expires_at <= now
    return row.stored_at is not None and row.deleted_at is None and not expired


async def arriving_file(uow: UnitOfWork, file_id: str) -> StoredFile:
    """The organisation's file whose content is on its way or there, locked. Raises NotFound."""
    row = await uow.get(StoredFile, file_id, lock=True)
    if row is None or row.organization_id != uow.organization_id or row.deleted_at is not None:
        raise not_found("file", file_id)
    return row


async def is_expected(uow: UnitOfWork, file_id: str) -> bool:
    """Whether the content of the organisation's file is, or will be, wanted in the store."""
    try:
        await arriving_file(uow, file_id)
    except NotFound:
        return False
    return True


async def linked_file(uow: UnitOfWork, file_id: str, *, expires: int, signature: str) -> StoredFile:
    """The file that a link was made for, in work that crosses tenants. Raises NotFound."""
    row = await uow.get(StoredFile, file_id) if is_id(file_id, "file") else None
    valid = row is not None and links.is_valid(
        signature, file_id=row.id, organization_id=row.organization_id, expires=expires, now=uow.wall_now
    )
    if row is None or not valid or not _is_there(row, uow.wall_now):
        raise NotFound(
            "This link leads nowhere, or no longer.",
            next_step="Ask for a new one where you found the file.",
        )
    return row
