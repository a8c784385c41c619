"""Files of the organisation one works in."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, Field, StringConstraints

from matrix_app.api.deps import Member, stranger
from matrix_app.api.v1.multipart import file_part
from matrix_app.api.v1.repeat import RepeatKey, repeat_of
from matrix_app.api.v1.shape import (
    PAGE_ROWS,
    Cursor,
    Limit,
    Page,
    Shown,
    cursor_for,
    position_in,
    resource,
)
from services.core.errors import NotFound
from services.core.permissions import Capability
from services.core.settings import settings
from services.core.work import UnitOfWork, unit_of_work
from services.files import queries, service
from services.files.rules import Kind, disposition, purpose_for_upload
from services.files.stores import places

router = resource("files", prefix="/files")

PurposeName = Annotated[
    str, StringConstraints(max_length=40), Query(description="What the file is for; says what it may be")
]


class FileShown(Shown):
    id: str
    purpose: str
    name: str = Field(description="The last part of the name it was sent under, made harmless")
    content_type: str = Field(description="By its content, not by its name")
    size_bytes: int
    created_by: str
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = Field(description="When it is deleted by itself; null when it is not")


class LinkShown(Shown):
    url: str = Field(description="A path on this site; reads the file for whoever has it")
    expires_at: AwareDatetime


FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}
_CONTENT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file, to be saved",
        "content": {kind.value: {"schema": {"type": "string", "format": "binary"}} for kind in Kind},
    }
}
# Whatever is in it, a browser that shows it after all runs nothing of it in our name.
_DOWNLOAD_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-store",
}


@router.get("")
async def list_files(
    who: Member, purpose: PurposeName = "", cursor: Cursor = None, limit: Limit = PAGE_ROWS
) -> Page[FileShown]:
    """Files, newest first."""
    filters = {"organization": who.actor.organization_id, "purpose": purpose}
    position = position_in("files", filters, cursor)
    async with unit_of_work(who.actor) as uow:
        rows = await queries.list_files(
            uow, purpose=purpose, before=position[0] if position else None, limit=limit + 1
        )
    more = len(rows) > limit
    return Page(
        data=[FileShown.model_validate(row) for row in rows[:limit]],
        next_cursor=cursor_for("files", filters, [rows[limit - 1].id]) if more else None,
    )


@router.post("", status_code=201, response_model=FileShown, openapi_extra=FORM)
async def upload_file(request: Request, who: Member, purpose: PurposeName, key: RepeatKey = None) -> Response:
    """Send one file, as the part `file` of a form. It is checked by its content."""
    who.actor.require(Capability.FILES_WRITE)
    wanted, where = purpose_for_upload(purpose), places(settings())
    part = await file_part(request)
    arrived = await service.arrive(part.pieces, name=part.name, purpose=wanted, incoming=where.incoming)
    try:
        repeat = repeat_of(request, key, f"{wanted.name}\n{arrived.name}\n".encode() + arrived.sha256)

        async def announce(uow: UnitOfWork) -> FileShown:
            return FileShown.model_validate(await service.announce(uow, arrived, purpose=wanted.name))

        answer = await repeat.once(unit_of_work(who.actor), announce, owner=who.actor.organization_id or "")
        file_id = FileShown.model_validate_json(bytes(answer.body)).id
        # Also when the answer is a repeated one: whoever gave it first may have died before this. Or it was deleted
        # since, and only the answer is the same.
        with contextlib.suppress(NotFound):
            async with service.brought(lambda: unit_of_work(who.actor), where.store, file_id, arrived) as uow:
                await service.settle(uow, file_id)
    finally:
        arrived.path.unlink(missing_ok=True)
    return answer


@router.get("/{file_id}")
async def get_file(who: Member, file_id: str) -> FileShown:
    """What is known of one file; its content is elsewhere."""
    async with unit_of_work(who.actor) as uow:
        return FileShown.model_validate(await queries.get_file(uow, file_id))


@router.post("/{file_id}/link")
async def link_to_file(who: Member, file_id: str) -> LinkShown:
    """A link by which a browser saves the file, without a key or a session, for ten minutes."""
    async with unit_of_work(who.actor) as uow:
        return LinkShown.model_validate(await service.link_to(uow, file_id))


@router.delete("/{file_id}")
async def delete_file(who: Member, file_id: str) -> FileShown:
    """End a file at once and for good."""
    async with unit_of_work(who.actor) as uow:
        return FileShown.model_validate(await service.delete(uow, file_id))


@router.get(
    "/{file_id}/content",
    dependencies=[Depends(stranger)],
    response_class=StreamingResponse,
    responses=_CONTENT,
)
async def read_file(
    file_id: str,
    expires: Annotated[int, Query(ge=0, le=2**40)],
    signature: Annotated[str, Query(max_length=100)],
) -> Response:
    """What a link leads to. The link is all that is asked for."""
    found = await service.open_link(file_id, expires=expires, signature=signature)
    pieces = places(settings()).store.read(found.file_id)
    first = await anext(pieces, b"")  # whether it is there is known before the answer begins

    async def content() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    headers = {
        **_DOWNLOAD_HEADERS,
        "Content-Disposition": disposition(found.name),
        "Content-Length": str(found.size_bytes),
    }
    return StreamingResponse(content(), headers=headers, media_type=found.content_type)
