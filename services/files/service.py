"""Files of an organisation: taken in, linked to, deleted.

The content never lies in the database and never moves inside a transaction. A row says first that a file arrives,
then the store gets the content, then the row says that it is there; deleting goes the other way round. So whatever
is cut off in between has a row by which services/files/retention.py finds it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from models.tasks import StoredFile
from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.settings import settings
from services.core.work import UnitOfWork
from services.files import content, links, policies
from services.files.events import FileDeleted, FileLinked, FileStored
from services.files.rules import (
    HELD_BYTES_MIN,
    LINK_VALID,
    MB,
    PURPOSES,
    FilesFull,
    FileTooLarge,
    Kind,
    Purpose,
    shown_name,
)
from services.files.stores import Store
from services.tasks import drafts


@dataclass(frozen=True, slots=True)
class Arrived:
    """What lies in the folder for what arrives. `kind` was found in its content, unless we wrote it ourselves."""

    path: Path
    name: str
    kind: Kind
    size_bytes: int
    sha256: bytes


async def arrive(pieces: AsyncIterator[bytes], *, name: str, purpose: Purpose, incoming: Path) -> Arrived:
    """Write an upload down, no more of it than its purpose allows, and look what it is.

    Raises FileTooLarge and FileRefused; then nothing is left of it.
    """
    path = new_arrival(incoming)
    try:
        with path.open("xb") as target:
            size, sha256 = await _written(pieces, target, purpose)
        kind = await asyncio.to_thread(lambda: content.checked(path.read_bytes(), name, purpose))
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return Arrived(path, shown_name(name, kind), kind, size, sha256)


def new_arrival(incoming: Path) -> Path:
    """Where a file may be written before it has a row."""
    incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
    return incoming / new_id("file")


async def _written(pieces: AsyncIterator[bytes], target: BinaryIO, purpose: Purpose) -> tuple[int, bytes]:
    size, digest = 0, hashlib.sha256()
    async for piece in pieces:
        size += len(piece)
        if size > purpose.bytes_max:
            raise FileTooLarge(purpose)
        digest.update(piece)
        target.write(piece)
    return size, digest.digest()


async def announce(
    uow: UnitOfWork,
    arrived: Arrived,
    *,
    purpose: str,
    needs: tuple[Capability, ...] = (),
    draft_of: str = "",
) -> StoredFile:
    """Write the row of a file whose content comes next, by `settle`. Needs files.write.

    Who reads it needs `needs` as well. `draft_of` is the task that has written it. Raises FilesFull.
    """
    uow.actor.require(Capability.FILES_WRITE)
    await require_room(uow, arrived.size_bytes, draft_of=draft_of)
    kept = PURPOSES[purpose].kept
    row = StoredFile(
        id=new_id("file"),
        organization_id=uow.organization_id,
        purpose=purpose,
        name=arrived.name,
        content_type=arrived.kind,
        size_bytes=arrived.size_bytes,
        sha256=arrived.sha256,
        needs=sorted(needs),
        created_by=uow.actor.id,
        created_at=uow.wall_now,
        expires_at=uow.wall_now + kept if kept is not None else None,
    )
    uow.add(row)
    return row


async def require_room(uow: UnitOfWork, size_bytes: int, *, draft_of: str = "") -> None:
    """Counts what is announced, stored, deleted and still on the disk, or being written by tasks, one at a time for
    each organisation. `size_bytes` is the whole of what is to have room, also of the draft of `draft_of`.

    Raises FilesFull.
    """
    await uow.execute(
        "select pg_advisory_xact_lock(hashtextextended(:key, 52))", key=f"files {uow.organization_id}"
    )
    found = await uow.execute(
        "select coalesce(sum(greatest(size_bytes, :least)), 0)::bigint from stored_file"
        " where organization_id = :organization_id and purged_at is null",
        organization_id=uow.organization_id,
        least=HELD_BYTES_MIN,
    )
    written_bytes = await drafts.held_bytes(uow, least=HELD_BYTES_MIN, but_of=draft_of)
    held_bytes, bytes_max = found.scalar_one() + written_bytes, settings().organization_files_mb * MB
    if held_bytes + max(size_bytes, HELD_BYTES_MIN) > bytes_max:
        raise FilesFull(held_bytes=held_bytes, bytes_max=bytes_max)


async def settle(uow: UnitOfWork, file_id: str) -> None:
    """Say that the content of an announced file is in the store. Saying so again changes nothing.

    Raises NotFound when the file was given up meanwhile; its content is swept.
    """
    row = await policies.arriving_file(uow, file_id)
    if row.stored_at is not None:
        return
    row.stored_at = uow.wall_now
    uow.record(
        FileStored(
            aggregate_id=row.id,
            organization_id=row.organization_id,
            purpose=row.purpose,
            content_type=row.content_type,
            size_bytes=row.size_bytes,
        )
    )


@asynccontextmanager
async def brought(
    work: Callable[[], AbstractAsyncContextManager[UnitOfWork]], store: Store, file_id: str, arrived: Arrived
) -> AsyncGenerator[UnitOfWork]:
    """The content of an announced file in the store, and a unit of `work` to settle it in.

    Raises NotFound when it was given up or deleted, also meanwhile; then its content is not left behind, where no sweep
    would look for it any more.
    """
    async with work() as uow:
        row = await policies.arriving_file(uow, file_id)
    if row.stored_at is None:
        await store.put(file_id, arrived.path, sha256=arrived.sha256)
    try:
        async with work() as uow:
            yield uow
    except Exception:
        async with work() as uow:
            has_ended = not await policies.is_expected(uow, file_id)
        if has_ended:
            await store.remove(file_id)
        raise


async def give_up(uow: UnitOfWork, file_id: str) -> None:
    """End an announced file that will not be settled; what there is of its content is swept."""
    await uow.execute(
        "update stored_file set deleted_at = :now where id = :id and stored_at is null and deleted_at is null",
        now=uow.wall_now,
        id=file_id,
    )


@dataclass(frozen=True, slots=True)
class FileLink:
    """`url` reads the file until `expires_at`, for whoever has it."""

    url: str
    expires_at: datetime


async def link_to(uow: UnitOfWork, file_id: str, *, valid: timedelta = LINK_VALID) -> FileLink:
    """A link by which a browser saves the file. Needs files.read and what the file itself needs. Raises NotFound."""
    row = await policies.file_for(uow, file_id, Capability.FILES_READ)
    expires_at = uow.wall_now + valid
    uow.record(FileLinked(aggregate_id=row.id, organization_id=row.organization_id, purpose=row.purpose))
    return FileLink(links.url_for(row.id, row.organization_id, expires_at), expires_at)


async def delete(uow: UnitOfWork, file_id: str) -> StoredFile:
    """End a file at once; its content goes within minutes. Raises NotFound."""
    row = await policies.file_for(uow, file_id, Capability.FILES_WRITE, lock=True)
    row.deleted_at = uow.wall_now
    uow.record(FileDeleted(aggregate_id=row.id, organization_id=row.organization_id, purpose=row.purpose))
    return row


@dataclass(frozen=True, slots=True)
class Download:
    file_id: str
    name: str
    content_type: str
    size_bytes: int


async def open_link(
    file_id: str,
    *,
    expires: int,
    signature: str,
    on: Database | None = None,
    clock: Clock | None = None,
) -> Download:
    """What a link leads to. Raises NotFound for one that is changed, expired, of another file, or whose file is gone:
    they are not told apart."""
    async with crossing(Reason.FILES, on=on, clock=clock) as uow:
        row = await policies.linked_file(uow, file_id, expires=expires, signature=signature)
        return Download(row.id, row.name, row.content_type, row.size_bytes)
