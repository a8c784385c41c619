"""Templates of documents: versions as a list, and one with its form and what it would look like."""

from __future__ import annotations

from typing import Any, ClassVar

import reflex as rx

from models.papers import TemplateState as States
from services.billing import policies as billing_policies
from services.billing import queries as billing
from services.core import listing_sql
from services.core.errors import Invalid, StaleVersion
from services.core.listing import Listing
from services.core.permissions import Capability
from services.documents.html import html
from services.documents.words import LANGUAGES
from services.papers import queries, service, templates
from services.papers.designs import Design, design_from_json
from services.papers.queries import PaperRow, TemplateRow
from state import addresses
from state.base import page_event
from state.edited import EditedState, version_over
from state.format import instant_text
from state.governance import template_drafts
from state.governance.brands import brands_to_choose
from state.listed import ListedState

HOME = "/governance/templates"
FORM = "template"
ENTITIES_OFFERED_MAX = 500
LIVE_LOGO_BYTES_MAX = 256 * 1024  # a larger one is in the document, not in each keystroke's picture of it
READ, WRITE = Capability.STAFF_INVOICES_READ, Capability.STAFF_INVOICES_WRITE


class TemplatesState(ListedState, rx.State):
    """One page of versions, and the brands that a draft can be begun for."""

    _listing: ClassVar[Listing[Any]] = queries.TEMPLATES
    _file_url: ClassVar[str] = "/api/v1/staff/templates"
    _filter_keys: ClassVar[tuple[str, ...]] = ("legal_entity_id", "brand_id", "state")

    entities: list[dict[str, str]] = []
    brands: list[dict[str, str]] = []

    @page_event(READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, queries.TEMPLATES)
            entities = await listing_sql.select(uow, billing.ENTITIES, limit=ENTITIES_OFFERED_MAX)
            self.brands = await brands_to_choose(uow)
        self.rows = [_version_shown(row) for row in found]
        self.entities = [{"id": row.id, "label": f"{row.code} – {row.name}"} for row in entities]

    @page_event(WRITE)
    async def begun(self, answer: dict[str, Any]) -> Any:
        """A draft was begun through the API: go on with it."""
        return rx.redirect(addresses.own_path(f"{HOME}/{answer.get('id', '')}"))


class TemplateState(EditedState, rx.State):
    """One version: its form, and a made-up document as the form as it stands would make it."""

    template: dict[str, Any] = {}
    form: dict[str, Any] = {}
    errors: dict[str, str] = {}
    error: str = ""
    is_saved: bool = False
    preview: str = ""
    preview_error: str = ""  # the form as it stands makes no document; the last one is still shown
    contrast: str = ""
    is_readable: bool = True
    language: str = "en"
    _settled: dict[str, Any] = {}

    @page_event(READ, reads=True)
    async def load(self) -> None:
        self.template, self.form, self.preview = {}, {}, ""
        self.errors, self.error, self.preview_error, self._settled = {}, "", "", {}
        self.is_saved = False
        async with self._staff_work() as uow:
            row = await queries.template(uow, self._address_id)
            brand = await billing_policies.brand_for(uow, row.brand_id, READ)
        design = design_from_json(row.design)
        self.template = {
            "id": row.id,
            "brand": f"{brand.code} – {brand.name}",
            "number": row.number,
            "is_draft": row.state == States.DRAFT,
            "has_logo": row.logo_sha256 is not None,
            "created_at": instant_text(row.created_at),
            "published_at": instant_text(row.published_at),
            "version": row.version,
        }
        self.form = template_drafts.form_of(design)
        await self._draw(design)

    @page_event(READ)
    async def settle(self, values: dict[str, Any]) -> None:
        """Show what the form as it stands would make. Nothing is kept."""
        self._settled, self.is_saved = values, False
        await self._redraw()

    @page_event(READ)
    async def look_in(self, language: str) -> None:
        """Show the document in another language."""
        self.language = language if language in LANGUAGES else "en"
        await self._redraw()

    @page_event(WRITE)
    async def save(self, values: dict[str, Any]) -> None:
        """Keep what the form says in the draft."""
        try:
            design = template_drafts.design_of(values)
            async with self._staff_work() as uow:
                version = version_over(values, int(self.template["version"]))
                row = await templates.change(uow, self._address_id, design, version=version)
        except Invalid as refused:
            self.errors = {refused.field: refused.message} if refused.field in self.form else {}
            self.error = "" if self.errors else f"{refused.message} {refused.next_step}".strip()
            return
        except StaleVersion as stale:
            async with self._staff_work() as uow:
                newer = await queries.template(uow, self._address_id)
            self._meet(stale, FORM, template_drafts.form_of(design_from_json(newer.design)), newer.version)
            return
        self.errors, self.error, self.is_saved = {}, "", True
        self.template = {**self.template, "version": row.version}
        self.form = template_drafts.form_of(design)
        await self._draw(design)

    @page_event(WRITE)
    async def publish(self) -> Any:
        """Make documents by the draft as it was saved."""
        async with self._staff_work() as uow:
            await templates.publish(uow, self._address_id, version=int(self.template.get("version", 0)))
        return TemplateState.load

    @page_event(WRITE)
    async def discard(self) -> Any:
        async with self._staff_work() as uow:
            await templates.discard(uow, self._address_id)
        return rx.redirect(HOME)

    @page_event(WRITE)
    async def remove_logo(self) -> None:
        async with self._staff_work() as uow:
            await templates.set_logo(uow, self._address_id, None)
        await self._look_at_logo()

    @page_event(WRITE)
    async def changed(self, answer: dict[str, Any]) -> None:
        """A logo was sent through the API."""
        await self._look_at_logo()

    async def _look_at_logo(self) -> None:
        """Show the logo that is there now; what was typed beside it and not saved yet stays."""
        async with self._staff_work() as uow:
            row = await queries.template(uow, self._address_id)
        self.template = {**self.template, "has_logo": row.logo_sha256 is not None}
        # Somebody else's words since then are met on saving, by the version of before.
        if template_drafts.form_of(design_from_json(row.design)) == self.form:
            self.template = {**self.template, "version": row.version}
        await self._redraw()

    async def _redraw(self) -> None:
        try:
            design = template_drafts.design_of(self._settled or self.form)
        except Invalid as refused:
            self.preview_error = f"{refused.message} {refused.next_step}".strip()
            return
        await self._draw(design)

    async def _draw(self, design: Design) -> None:
        async with self._staff_work() as uow:
            content, style = await queries.previewed(
                uow, self._address_id, self.language, design=design, logo_bytes_max=LIVE_LOGO_BYTES_MAX
            )
        self.preview, self.preview_error = html(content, style), ""
        self.contrast, self.is_readable = f"{style.contrast:.1f}", style.accent_is_readable


class PapersState(ListedState, rx.State):
    """One page of papers of all documents."""

    _listing: ClassVar[Listing[Any]] = queries.STAFF_PAPERS
    _file_url: ClassVar[str] = "/api/v1/staff/papers"
    _filter_keys: ClassVar[tuple[str, ...]] = ("state", "number", "organization_id")

    @page_event(READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, queries.STAFF_PAPERS)
        self.rows = [_paper_shown(row) for row in found]

    @page_event(WRITE)
    async def retry(self, document_id: str) -> Any:
        """Have the files of a document tried again."""
        async with self._staff_work() as uow:
            await service.retry(uow, document_id)
        return PapersState.load


def _version_shown(row: TemplateRow) -> dict[str, Any]:
    state = "in_force" if row.is_in_force else row.state
    return {
        "id": row.id,
        "href": f"{HOME}/{row.id}",
        "name": f"{row.legal_entity} {row.brand} {row.number}",
        "state": state,
        "created_at": instant_text(row.created_at),
        "published_at": instant_text(row.published_at),
    }


def _paper_shown(row: PaperRow) -> dict[str, Any]:
    return {
        "id": row.document_id,
        "href": f"/governance/invoices/{row.document_id}" if row.kind == "invoice" else "",
        "number": row.number,
        "organization": row.organization_name,
        "state": row.state,
        "error": row.error,
        "attempts": row.attempts,
        "created_at": instant_text(row.created_at),
        "made_at": instant_text(row.made_at),
    }
