"""Templates of documents as staff works on them: versions, a logo, and how they look on a sample."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

from fastapi import Query, Request, Response
from pydantic import AwareDatetime, Field

from matrix_app.api.deps import AnyCaller, staff_work
from matrix_app.api.v1.etag import IfMatch, showing_current
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.multipart import file_part
from matrix_app.api.v1.papers import SHOWN_HEADERS
from matrix_app.api.v1.repeat import RepeatKey, RepeatOnce, repeat_of
from matrix_app.api.v1.route import failures
from matrix_app.api.v1.shape import Body, Shown, resource
from models.papers import TemplateState, TemplateVersion
from services.billing import policies as billing
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.documents.content import Labelled
from services.documents.html import html
from services.documents.style import LOGO_BYTES_MAX, Font, Paper
from services.documents.style import Field as DocumentField
from services.papers import queries, templates
from services.papers.designs import Design, Wording, design_from_json
from services.papers.templates import LogoTooLarge

router = resource("staff", prefix="/staff/templates")

READ, WRITE = Capability.STAFF_INVOICES_READ, Capability.STAFF_INVOICES_WRITE
Language = Annotated[
    Literal["en", "de", "fr", "ja", "ar"], Query(description="Of the sample; Arabic runs from right to left")
]


class ExtraGiven(Body):
    label: str
    value: str


class WordingGiven(Body):
    """Words in one language, shown as they are typed."""

    notes: list[str] = Field([], max_length=100)
    legal_text: str = ""
    payment_text: str = ""
    extras: list[ExtraGiven] = Field([], max_length=100, description="Fields beside number and date")


class TemplateGiven(Body):
    """All that a draft says; what is left out is as without a template."""

    accent: str = Field(Design().accent, description="As #rrggbb")
    font: Font = Font.SANS
    paper: Paper = Paper.A4
    fields: list[DocumentField] = Field(
        sorted(DocumentField), description="What shows of what may be left out"
    )
    email: str = ""
    phone: str = ""
    registration_number: str = ""
    account: str = Field("", description="Where transfers go", examples=["DE89 3704 0044 0532 0130 00"])
    account_name: str = ""
    bank_code: str = ""
    wording: dict[str, WordingGiven] = Field({}, description="By language: en, de, fr, ja, ar")
    version: int | None = Field(None, description="What it must be by now, else 412")


class NewTemplate(Body):
    brand_id: str | None = None
    legal_entity_id: str | None = Field(None, description="For its default brand, where no brand is named")


class TemplateListed(Shown):
    id: str
    legal_entity_id: str
    legal_entity: str = Field(description="Code of who issues")
    brand_id: str
    brand: str = Field(description="Code of the brand")
    number: int
    state: TemplateState
    is_in_force: bool = Field(description="Whether documents are made by it now")
    has_logo: bool
    created_by: str
    created_at: AwareDatetime
    published_at: AwareDatetime | None
    version: int


class TemplateShown(Shown):
    """A version. Once it is published it stays as it is."""

    id: str
    legal_entity_id: str
    brand_id: str
    brand: str = Field(description="Code of the brand")
    number: int
    state: TemplateState
    design: dict[str, Any] = Field(description="As it is sent to change a draft")
    logo_sha256: str | None
    contrast: float = Field(
        description="Of the accent on white, by WCAG 2; below 4.5 it colours areas, no text"
    )
    created_at: AwareDatetime
    published_at: AwareDatetime | None
    version: int


async def _shown(uow: UnitOfWork, row: TemplateVersion) -> TemplateShown:
    contrast = round(design_from_json(row.design).style().contrast, 2)
    brand = await billing.brand_for(uow, row.brand_id, READ)
    return TemplateShown.model_validate(row.model_dump() | {"contrast": contrast, "brand": brand.code})


def _design(given: TemplateGiven) -> Design:
    said = given.model_dump(exclude={"version", "wording", "fields"})
    wording = {
        language: Wording(
            notes=tuple(one.notes),
            legal_text=one.legal_text,
            payment_text=one.payment_text,
            extras=tuple(Labelled(extra.label, extra.value) for extra in one.extras),
        )
        for language, one in given.wording.items()
    }
    return Design(**said, fields=frozenset(given.fields), wording=wording)


async def _read(uow: UnitOfWork, template_id: str) -> TemplateShown:
    return await _shown(uow, await queries.template(uow, template_id))


@router.get("", **listed(queries.TEMPLATES, TemplateListed))
async def list_templates(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """Versions of templates, the newest first; filter by `legal_entity_id`, `brand_id`, `brand` and `state`."""
    return await answer(request, queries.TEMPLATES, TemplateListed, asked, partial(staff_work, who, READ))


@router.post("", status_code=201, response_model=TemplateShown, responses=failures(404, 409))
async def draft_template(who: AnyCaller, body: NewTemplate, repeat: RepeatOnce) -> Response:
    """Begin a draft for a brand, as its version in force is; the draft that is there already is given as it is."""

    async def begin(uow: UnitOfWork) -> TemplateShown:
        return await _shown(uow, await templates.begin(uow, **body.model_dump()))

    return await repeat.once(staff_work(who, WRITE), begin, owner=who.actor.id)


@router.get("/{template_id}")
async def get_template(who: AnyCaller, template_id: str) -> TemplateShown:
    """One version with all that it says."""
    async with staff_work(who, READ) as uow:
        return await _read(uow, template_id)


@router.put("/{template_id}", responses=failures(409))
async def change_template(
    who: AnyCaller, template_id: str, body: TemplateGiven, expected: IfMatch
) -> TemplateShown:
    """Replace all that a draft says but its logo."""
    design = _design(body)
    async with staff_work(who, WRITE) as uow, showing_current(lambda: _read(uow, template_id)):
        there = await queries.template(uow, template_id)
        version = expected.version(body.version) or there.version
        return await _shown(uow, await templates.change(uow, template_id, design, version=version))


_FORM: dict[str, Any] = {
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


@router.post(
    "/{template_id}/logo", response_model=TemplateShown, responses=failures(409), openapi_extra=_FORM
)
async def set_template_logo(
    request: Request, who: AnyCaller, template_id: str, key: RepeatKey = None
) -> Response:
    """Give a draft a logo: a PNG, JPEG or SVG as the part `file` of a form, checked by its content."""
    who.actor.require(WRITE)
    logo = bytearray()
    async for piece in (await file_part(request)).pieces:
        logo += piece
        if len(logo) > LOGO_BYTES_MAX:
            raise LogoTooLarge

    async def put(uow: UnitOfWork) -> TemplateShown:
        return await _shown(uow, await templates.set_logo(uow, template_id, bytes(logo)))

    repeat = repeat_of(request, key, bytes(logo))
    return await repeat.once(staff_work(who, WRITE), put, owner=who.actor.id, status=200)


@router.delete("/{template_id}/logo", responses=failures(409))
async def remove_template_logo(who: AnyCaller, template_id: str) -> TemplateShown:
    """Take the logo off a draft: documents then say the seller's name in its place."""
    async with staff_work(who, WRITE) as uow:
        return await _shown(uow, await templates.set_logo(uow, template_id, None))


@router.post("/{template_id}/publish", responses=failures(409), response_model=TemplateShown)
async def publish_template(
    who: AnyCaller, template_id: str, expected: IfMatch, repeat: RepeatOnce
) -> Response:
    """Make documents by a draft from now on. It is never changed again; documents that are made stay as they are."""

    async def act(uow: UnitOfWork) -> TemplateShown:
        async with showing_current(lambda: _read(uow, template_id)):
            return await _shown(uow, await templates.publish(uow, template_id, version=expected.version()))

    return await repeat.once(staff_work(who, WRITE), act, owner=who.actor.id, status=200)


@router.delete("/{template_id}", responses=failures(409))
async def discard_template(who: AnyCaller, template_id: str) -> TemplateShown:
    """Give a draft up."""
    async with staff_work(who, WRITE) as uow:
        return await _shown(uow, await templates.discard(uow, template_id))


_PAGE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The sample", "content": {"text/html": {"schema": {"type": "string"}}}}
}
_PDF: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The sample",
        "content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.get("/{template_id}/preview", response_class=Response, responses=_PAGE)
async def preview_template(who: AnyCaller, template_id: str, language: Language = "en") -> Response:
    """A made-up invoice of the brand by a version, as a page that runs nothing."""
    async with staff_work(who, READ) as uow:
        content, style = await queries.previewed(uow, template_id, language)
    return Response(html(content, style), headers=SHOWN_HEADERS, media_type="text/html")


@router.get("/{template_id}/preview/pdf", response_class=Response, responses=_PDF)
async def preview_template_as_pdf(
    request: Request, who: AnyCaller, template_id: str, language: Language = "en"
) -> Response:
    """The same as the PDF it would be."""
    async with staff_work(who, READ) as uow:
        content, style = await queries.previewed(uow, template_id, language)
    made = await request.app.state.press.pdf(content, style)
    return Response(made.pdf, headers=SHOWN_HEADERS, media_type="application/pdf")
