"""The files of invoices and credit notes: handed out as they are kept, for clients and for staff."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from enum import Enum
from functools import partial
from typing import Annotated, Any, NamedTuple

from fastapi import Path, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, Field

from matrix_app.api.deps import AnyCaller, Caller, Member, staff_work
from matrix_app.api.v1.etag import IF_NONE_MATCH, is_among
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.repeat import RepeatOnce
from matrix_app.api.v1.route import failures
from matrix_app.api.v1.shape import Body, Shown, resource
from models.papers import Form, Paper, PaperState
from services.core.permissions import Capability
from services.core.settings import settings
from services.core.work import UnitOfWork, unit_of_work
from services.files.rules import disposition
from services.files.stores import places
from services.papers import keeping, queries, service
from services.papers.queries import KeptFile
from services.papers.service import files_of

router = resource("invoices")

READ, WRITE = Capability.STAFF_INVOICES_READ, Capability.STAFF_INVOICES_WRITE
# A browser that shows it runs nothing of it, and it may be printed. What the view itself says is stricter still.
SHOWN_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox allow-modals;"
    " frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-cache",  # kept by a browser, and asked for again by its hash
}
_MEDIA = {Form.PDF: "application/pdf", Form.UBL: "application/xml", Form.HTML: "text/html"}
_TOLD = {
    Form.PDF: "as PDF/A-3, with Factur-X in it where it could be written",
    Form.UBL: "for machines: UBL 2.1 by EN 16931",
    Form.HTML: "as a page that prints well and runs nothing",
}


class KeptShown(Shown):
    sha256: str = Field(description="In hex; also the ETag of the file")
    bytes: int


class PaperShown(Shown):
    """What is kept of one document. Made once: its files never change after that."""

    document_id: str
    number: str
    state: PaperState = Field(description="`waiting` for seconds; `parked` until staff has looked at it")
    missing: list[str] = Field(description="Why there is no file for machines; empty where there is one")
    template_version_id: str | None = Field(description="The seller's template that shaped it; null for ours")
    edition: str = Field(description="Version of the layout and of the typesetter that made it")
    files: dict[Form, KeptShown]
    made_at: AwareDatetime | None


class StaffPaperShown(PaperShown):
    organization_id: str
    attempts: int
    error: str = Field(description="Why the last try failed")


class PaperListed(Shown):
    document_id: str
    organization_id: str
    organization_name: str
    kind: str
    number: str
    state: PaperState
    attempts: int
    error: str
    template_version_id: str | None
    edition: str
    created_at: AwareDatetime
    made_at: AwareDatetime | None


class TryAgain(Body):
    """Nothing has to be said."""


def _facts(paper: Paper) -> dict[str, Any]:
    kept = {form: KeptShown.model_validate(one) for form, one in files_of(paper).items()}
    return paper.model_dump() | {"files": kept}


class _Kind(NamedTuple):
    """Where documents of a kind are, what an operation on one is called, and how its paper is found."""

    path: str
    name: str
    noun: str
    find: Callable[..., Awaitable[Paper]]


class _Sight(NamedTuple):
    """Whose documents are seen."""

    staff: bool
    path: str
    name: str
    noun: str
    tags: list[str | Enum]
    caller: Any
    work: Callable[[Caller], AbstractAsyncContextManager[UnitOfWork]]


_KINDS = (
    _Kind("/invoices", "invoice", "invoice", queries.invoice_paper),
    _Kind("/credit-notes", "credit_note", "credit note", queries.note_paper),
)
_SIGHTS = (
    _Sight(False, "", "", "One's own", [], Member, lambda who: unit_of_work(who.actor)),
    _Sight(True, "/staff", "any_", "Any", ["staff"], AnyCaller, lambda who: staff_work(who, READ)),
)


def media(form: Form) -> dict[int | str, dict[str, Any]]:
    tag: dict[str, Any] = {"ETag": {"schema": {"type": "string"}, "description": "The SHA-256 of the file"}}
    return {
        200: {
            "description": "The file",
            "headers": tag,
            "content": {_MEDIA[form]: {"schema": {"type": "string", "format": "binary"}}},
        },
        304: {"description": "Unchanged, as it always is once it is made", "headers": tag},
    }


def _offer(kind: _Kind, sight: _Sight) -> None:
    """The operations on papers of a kind, for those who see them so."""
    one = f"{sight.path}{kind.path}/{{{kind.name}_id}}"

    async def facts(who: Any, document_id: str) -> PaperShown | StaffPaperShown:
        shown = StaffPaperShown if sight.staff else PaperShown
        async with sight.work(who) as uow:
            return shown.model_validate(_facts(await kind.find(uow, document_id, staff=sight.staff)))

    facts.__annotations__ |= {"who": sight.caller, "document_id": _identifier(kind)}
    router.add_api_route(
        f"{one}/paper",
        facts,
        response_model=StaffPaperShown if sight.staff else PaperShown,
        name=f"get_{sight.name}{kind.name}_paper",
        description=f"How far the files of {_an(sight, kind)} are.",
        tags=sight.tags,
    )
    for form in Form:
        _offer_file(kind, sight, form, f"{one}/{form.value}")


def _offer_file(kind: _Kind, sight: _Sight, form: Form, path: str) -> None:
    async def file(request: Request, who: Any, document_id: str) -> Response:
        async with sight.work(who) as uow:
            found = queries.kept_file(await kind.find(uow, document_id, staff=sight.staff), form)
        return await handed_out(request, found, form)

    file.__annotations__ |= {
        "request": Request,
        "who": sight.caller,
        "document_id": _identifier(kind),
        "return": Response,
    }
    router.add_api_route(
        path,
        file,
        response_class=StreamingResponse,
        responses=media(form) | failures(409),
        openapi_extra={"parameters": [IF_NONE_MATCH]},
        name=f"read_{sight.name}{kind.name}_{form.value}",
        description=f"{_an(sight, kind)[0].upper()}{_an(sight, kind)[1:]} {_TOLD[form]}. The same bytes for ever;"
        " `paper_not_made` for the seconds until they are there.",
        tags=sight.tags,
    )


def _identifier(kind: _Kind) -> Any:
    return Annotated[str, Path(alias=f"{kind.name}_id")]


def _an(sight: _Sight, kind: _Kind) -> str:
    return f"{kind.noun} of any organisation" if sight.staff else f"{kind.noun} of the organisation"


async def handed_out(request: Request, found: KeptFile, form: Form) -> Response:
    """The bytes as they are kept; 304 for who has them."""
    tag = f'"{found.kept.sha256}"'
    if is_among(tag, request.headers.get("if-none-match", "")):
        return Response(
            status_code=304, headers={"ETag": tag, "Cache-Control": SHOWN_HEADERS["Cache-Control"]}
        )
    pieces = keeping.read(places(settings()).store, found.kept)
    first = await anext(pieces)  # whether it is there is known before the answer begins

    async def content() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    saved = {} if form is Form.HTML else {"Content-Disposition": disposition(found.name)}
    headers = {**SHOWN_HEADERS, **saved, "ETag": tag, "Content-Length": str(found.kept.bytes)}
    return StreamingResponse(content(), headers=headers, media_type=found.content_type)


for _kind in _KINDS:
    for _sight in _SIGHTS:
        _offer(_kind, _sight)


@router.get("/staff/papers", tags=["staff"], **listed(queries.STAFF_PAPERS, PaperListed))
async def list_papers(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """Papers of all documents, the latest first; `state=parked` are those that wait for somebody to look at them."""
    return await answer(request, queries.STAFF_PAPERS, PaperListed, asked, partial(staff_work, who, READ))


@router.post("/staff/papers/{document_id}/retry", tags=["staff"], response_model=StaffPaperShown)
async def retry_paper(who: AnyCaller, document_id: str, body: TryAgain, repeat: RepeatOnce) -> Response:
    """Have the files of a document tried again at once."""

    async def again(uow: UnitOfWork) -> StaffPaperShown:
        return StaffPaperShown.model_validate(_facts(await service.retry(uow, document_id)))

    return await repeat.once(staff_work(who, WRITE), again, owner=who.actor.id, status=200)
