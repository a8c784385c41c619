"""Reads of papers: of one's own documents, and of all for staff."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from models.papers import Form, Paper, PaperState, TemplateState, TemplateVersion
from services.billing import policies as billing_policies
from services.billing import queries as billing
from services.core.errors import Conflict
from services.core.listing import Column, Kind, Listing, Operator
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.documents.content import Content
from services.documents.style import LOGO_BYTES_MAX, Style
from services.papers import policies
from services.papers.designs import Design, design_from_json
from services.papers.keeping import KeptBytes
from services.papers.samples import sample
from services.papers.service import files_of
from services.papers.templates import Look

RETRY_AFTER_S = 3
_EXACTLY = (Operator.EQ, Operator.IN)
_TYPES = {
    Form.PDF: "application/pdf",
    Form.UBL: "application/xml",
    Form.HTML: "text/html; charset=utf-8",
}
_ENDINGS = {Form.PDF: "pdf", Form.UBL: "xml", Form.HTML: "html"}


class PaperNotMade(Conflict):
    """The files of a document come seconds after it was issued."""

    code = "paper_not_made"
    title = "The files of this document are being made"

    def __init__(self, number: str) -> None:
        super().__init__(
            f"The files of {number} are not made yet.",
            next_step=f"Try again in {RETRY_AFTER_S} seconds.",
            retry_after_s=RETRY_AFTER_S,
        )


class PaperIsParked(Conflict):
    """The files of a document could not be made, and staff is to look at it."""

    code = "paper_parked"
    title = "The files of this document could not be made"

    def __init__(self, number: str) -> None:
        super().__init__(
            f"The files of {number} could not be made.",
            next_step="Ask whoever issued it; read it on its page meanwhile.",
        )


class NoElectronicInvoice(Conflict):
    """The document says less than EN 16931 asks for."""

    code = "no_electronic_invoice"
    title = "There is no file for machines of this document"

    def __init__(self, number: str, missing: list[str]) -> None:
        super().__init__(
            f"{number} cannot be written by EN 16931: {' '.join(missing)}",
            next_step="Use its PDF.",
            missing=missing,
        )


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file of a document, and how it is handed out."""

    name: str
    content_type: str
    kept: KeptBytes


async def invoice_paper(uow: UnitOfWork, invoice_id: str, *, staff: bool = False) -> Paper:
    """The paper of an invoice of the organisation that the work is bound to; of any, for staff across tenants. One
    that waits where nobody has begun with it yet. Raises Forbidden and NotFound, also for a draft."""
    found = await billing.invoice(uow, invoice_id, staff=staff)
    if found.number is None:
        raise not_issued(invoice_id)
    there = await policies.paper_of(uow, found.id)
    return there or Paper(
        document_id=found.id,
        organization_id=found.organization_id,
        kind="invoice",
        number=found.number,
        due_minor=0,
        due_at=uow.wall_now,
        created_at=uow.wall_now,
    )


async def note_paper(uow: UnitOfWork, note_id: str, *, staff: bool = False) -> Paper:
    """The same of a credit note."""
    found = await billing.require_note(uow, note_id, staff=staff)
    there = await policies.paper_of(uow, found.id)
    return there or Paper(
        document_id=found.id,
        organization_id=found.organization_id,
        kind="credit_note",
        number=found.number,
        due_at=uow.wall_now,
        created_at=uow.wall_now,
    )


async def made_of(uow: UnitOfWork, document_ids: Sequence[str]) -> set[str]:
    """Those of the documents, which the caller was let to, that have their files."""
    found = await uow.execute(
        "select document_id from paper where document_id = any(:ids) and state = 'made'",
        ids=list(document_ids),
    )
    return set(found.scalars())


def not_issued(invoice_id: str) -> Conflict:
    return Conflict(
        f"{invoice_id} is not issued: it has no number and no files.", next_step="Finalise it first."
    )


def kept_file(paper: Paper, form: Form) -> KeptFile:
    """Raises PaperNotMade, PaperIsParked and NoElectronicInvoice."""
    if paper.state == PaperState.PARKED:
        raise PaperIsParked(paper.number)
    if paper.state != PaperState.MADE:
        raise PaperNotMade(paper.number)
    kept = files_of(paper).get(form)
    if kept is None:
        raise NoElectronicInvoice(paper.number, paper.missing)
    return KeptFile(f"{paper.number}.{_ENDINGS[form]}", _TYPES[form], kept)


# -- all papers, for staff


@dataclass(frozen=True, slots=True)
class PaperRow:
    """How far the files of one document are. `error` says why the last try failed."""

    document_id: str
    organization_id: str
    organization_name: str
    kind: str
    number: str
    state: str
    attempts: int
    error: str
    template_version_id: str | None
    edition: str
    created_at: datetime
    made_at: datetime | None


def _numbered(is_so: str) -> str:
    """A paper bears the number of its document, which has an index of them."""
    documents = " union all ".join(
        f"select id from {table} where number {is_so}" for table in ("invoice", "credit_note")
    )
    return f"p.document_id = any(array({documents}))"


STAFF_PAPERS: Listing[PaperRow] = Listing(
    "staff.papers",
    row=PaperRow,
    needs=Capability.STAFF_INVOICES_READ,
    source="paper p",
    alias="p",
    joins="join organization o on o.id = p.organization_id",
    key="document_id",
    columns=(
        Column("document_id", "p.document_id", Kind.ID, operators=_EXACTLY),
        Column("organization_id", "p.organization_id", Kind.ID, operators=_EXACTLY),
        Column("organization_name", "o.name", joined=True),
        Column("kind", "p.kind", Kind.ENUM, values=("invoice", "credit_note")),
        Column(
            "number",
            "p.number",
            operators=_EXACTLY,
            conditions={Operator.EQ: _numbered("= {value}"), Operator.IN: _numbered("= any({value})")},
        ),
        Column("state", "p.state", Kind.ENUM, values=tuple(PaperState), filterable=True),
        Column("attempts", "p.attempts", Kind.INTEGER),
        Column("error", "p.error", text="Why the last try failed"),
        Column("template_version_id", "p.template_version_id", Kind.ID, nullable=True, operators=_EXACTLY),
        Column("edition", "p.edition", text="Version of the layout and of the typesetter that made it"),
        Column("created_at", "p.created_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
        Column("made_at", "p.made_at", Kind.INSTANT, nullable=True),
    ),
    sort="-created_at",
)


# -- templates


@dataclass(frozen=True, slots=True)
class TemplateRow:
    """A version of a template. Of those that are published for a brand, the latest is in force."""

    id: str
    legal_entity_id: str
    legal_entity: str
    brand_id: str
    brand: str
    number: int
    state: str
    is_in_force: bool
    has_logo: bool
    created_by: str
    created_at: datetime
    published_at: datetime | None
    version: int


TEMPLATES: Listing[TemplateRow] = Listing(
    "staff.templates",
    row=TemplateRow,
    needs=Capability.STAFF_INVOICES_READ,
    source="template_version t",
    alias="t",
    joins="join legal_entity e on e.id = t.legal_entity_id",
    columns=(
        Column("id", "t.id", Kind.ID, filterable=True),
        Column("legal_entity_id", "t.legal_entity_id", Kind.ID, operators=_EXACTLY),
        Column("legal_entity", "e.code", joined=True, text="Code of who issues"),
        Column("brand_id", "t.brand_id", Kind.ID, operators=_EXACTLY),
        Column(
            "brand",
            "(select b.code from brand b where b.id = t.brand_id)",
            text="Code of the brand",
            operators=_EXACTLY,
        ),
        Column("number", "t.number", Kind.INTEGER),
        Column("state", "t.state", Kind.ENUM, values=tuple(TemplateState), filterable=True),
        Column(
            "is_in_force",
            "t.state = 'published' and not exists (select from template_version n"
            " where n.brand_id = t.brand_id and n.state = 'published' and n.number > t.number)",
            Kind.FLAG,
        ),
        Column("has_logo", "t.logo_sha256 is not null", Kind.FLAG),
        Column("created_by", "t.created_by", Kind.ID),
        Column("created_at", "t.created_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
        Column("published_at", "t.published_at", Kind.INSTANT, nullable=True),
        Column("version", "t.version", Kind.INTEGER),
    ),
    sort="-created_at",
)


async def template(uow: UnitOfWork, template_id: str) -> TemplateVersion:
    """For staff across tenants. Raises Forbidden and NotFound."""
    return await policies.template_for(uow, template_id, Capability.STAFF_INVOICES_READ)


async def look_of(uow: UnitOfWork, row: TemplateVersion) -> Look:
    """What a version that was found by `template` makes documents look like."""
    logo: bytes | None = None
    if row.logo_sha256 is not None:
        found = await uow.execute(
            "select content from template_logo where sha256 = :sha", sha=row.logo_sha256
        )
        logo = found.scalar_one()
    return Look(design_from_json(row.design), logo, row.id)


async def previewed(
    uow: UnitOfWork,
    template_id: str,
    language: str,
    *,
    design: Design | None = None,
    logo_bytes_max: int = LOGO_BYTES_MAX,
) -> tuple[Content, Style]:
    """A made-up document of the template's brand, and how the template has it look; by a `design` that is not kept
    yet, if one is given. A larger logo is left out. Raises Forbidden and NotFound."""
    row = await template(uow, template_id)
    look = await look_of(uow, row)
    entity = await billing_policies.entity_for(uow, row.legal_entity_id, Capability.STAFF_INVOICES_READ)
    brand = await billing_policies.brand_for(uow, row.brand_id, Capability.STAFF_INVOICES_READ)
    design, logo = design or look.design, look.logo
    if logo is not None and len(logo) > logo_bytes_max:
        logo = None
    return sample(entity, brand, design, language), design.style(logo)
