"""Files that staff adds to the answer of a dispute."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Annotated

from fastapi import Query, Request, Response
from pydantic import AwareDatetime, Field, StringConstraints

from matrix_app.api.deps import AnyCaller, Caller, staff_work
from matrix_app.api.v1.files import FORM, LinkShown
from matrix_app.api.v1.multipart import file_part
from matrix_app.api.v1.repeat import RepeatKey, repeat_of
from matrix_app.api.v1.route import failures
from matrix_app.api.v1.shape import Shown, resource
from matrix_app.api.v1.staff_invoices import within
from services.core.errors import NotFound
from services.core.permissions import Capability
from services.core.settings import settings
from services.core.work import UnitOfWork
from services.disputes import evidence_files
from services.files import service as files
from services.files.stores import places
from services.payments import policies

router = resource("staff", prefix="/staff")

READ, WRITE = Capability.STAFF_PAYMENTS_READ, Capability.STAFF_PAYMENTS_WRITE
About = Annotated[
    str, StringConstraints(max_length=60), Query(description="What it shows, in the provider's word")
]


class EvidenceFileShown(Shown):
    id: str
    field: str = Field(description="What it shows, in the provider's word")
    name: str
    content_type: str = Field(description="By its content, not by its name")
    size_bytes: int
    created_by: str
    added_by: str
    created_at: AwareDatetime


class EvidenceFiles(Shown):
    """All of them: no more than the provider takes."""

    data: list[EvidenceFileShown]


@router.get("/disputes/{dispute_id}/files")
async def list_dispute_files(who: AnyCaller, dispute_id: str) -> EvidenceFiles:
    """Files that go along with the answer, or went, the oldest first."""
    async with staff_work(who, READ) as uow:
        rows = await evidence_files.listed(uow, dispute_id)
    return EvidenceFiles(data=[EvidenceFileShown.model_validate(row) for row in rows])


@router.post(
    "/disputes/{dispute_id}/files",
    status_code=201,
    response_model=EvidenceFileShown,
    responses=failures(404, 409),
    openapi_extra=FORM,
)
async def add_dispute_file(
    request: Request, who: AnyCaller, dispute_id: str, about: About, key: RepeatKey = None
) -> Response:
    """Add a file to the answer, as the part `file` of a form. It is checked by its content, and goes along when the
    dispute is answered."""
    organization_id = await _organization_of(who, dispute_id)
    where, part = places(settings()), await file_part(request)
    async with within(who, organization_id, WRITE) as uow:
        _, terms = await evidence_files.answerable(uow, dispute_id)
    purpose = evidence_files.purpose_of(terms)
    arrived = await files.arrive(part.pieces, name=part.name, purpose=purpose, incoming=where.incoming)
    try:
        repeat = repeat_of(request, key, f"{about}\n{arrived.name}\n".encode() + arrived.sha256)

        async def attach(uow: UnitOfWork) -> EvidenceFileShown:
            file_id = await evidence_files.attach(uow, dispute_id, arrived, field=about)
            await uow.session.flush()
            return EvidenceFileShown.model_validate(await evidence_files.get(uow, dispute_id, file_id))

        work = partial(within, who, organization_id, WRITE)
        answer = await repeat.once(work(), attach, owner=who.actor.id)
        file_id = EvidenceFileShown.model_validate_json(bytes(answer.body)).id
        with contextlib.suppress(NotFound):  # it was taken away since, and only the answer is the same
            async with files.brought(work, where.store, file_id, arrived) as uow:
                await files.settle(uow, file_id)
    finally:
        arrived.path.unlink(missing_ok=True)
    return answer


@router.post("/disputes/{dispute_id}/files/{file_id}/link", responses=failures(404))
async def link_to_dispute_file(who: AnyCaller, dispute_id: str, file_id: str) -> LinkShown:
    """A link by which a browser saves the file, for ten minutes."""
    async with within(who, await _organization_of(who, dispute_id), WRITE) as uow:
        return LinkShown.model_validate(await evidence_files.link_to(uow, dispute_id, file_id))


@router.delete("/disputes/{dispute_id}/files/{file_id}", status_code=204, responses=failures(404, 409))
async def remove_dispute_file(who: AnyCaller, dispute_id: str, file_id: str) -> None:
    """Take a file away again, before the dispute is answered."""
    async with within(who, await _organization_of(who, dispute_id), WRITE) as uow:
        await evidence_files.remove(uow, dispute_id, file_id)


async def _organization_of(who: Caller, dispute_id: str) -> str:
    async with staff_work(who, WRITE) as uow:
        return (await policies.dispute_for(uow, dispute_id, WRITE)).organization_id
