"""Who issues documents: legal entities, tax rates, and the proof that no number is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import reflex as rx

from models.billing import LegalEntity
from services.billing import entities, policies, queries
from services.billing import series as numbers
from services.billing.queries import EntityRow, TaxRateRow
from services.core import listing_sql
from services.core.errors import Conflict, Invalid, StaleVersion
from services.core.listing import Listing
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from state import addresses
from state.base import page_event
from state.dialogs import DialogsState
from state.edited import EditedState, version_over
from state.format import instant_text
from state.governance import entity_forms
from state.listed import ListedState

HOME = "/governance/legal-entities"
FORM = "legal-entity"
ENTITIES_OFFERED_MAX = 500
READ, WRITE = Capability.STAFF_INVOICES_READ, Capability.STAFF_INVOICES_WRITE


class EntitiesState(ListedState, rx.State):
    """One page of legal entities, by code."""

    _listing: ClassVar[Listing[Any]] = queries.ENTITIES
    _file_url: ClassVar[str] = "/api/v1/staff/legal-entities"
    _filter_keys: ClassVar[tuple[str, ...]] = ("is_test",)

    @page_event(READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, queries.ENTITIES)
        self.rows = [_entity_shown(row) for row in found]


class EntityState(EditedState, rx.State):
    """One legal entity and its form, or the form of a new one. `numbers_wrong` is why there is no next number."""

    entity: dict[str, Any] = {}
    form: dict[str, Any] = {}
    errors: dict[str, str] = {}
    error: str = ""
    is_saved: bool = False
    begun: bool = False  # its documents are numbered, so that what numbers are made by stays
    next_invoice: str = ""
    next_note: str = ""
    numbers_wrong: str = ""

    @page_event(READ, reads=True)
    async def load(self) -> None:
        self.entity, self.begun, self.is_saved = {}, False, False
        self.form, self.errors, self.error = dict(entity_forms.BLANK), {}, ""
        async with self._staff_work() as uow:
            row = await policies.entity_for(uow, self._address_id, READ)
            await self._show(uow, row)

    @page_event(WRITE, reads=True)
    async def begin(self) -> None:
        """Show the form of a new one."""
        self.entity, self.begun, self.is_saved = {}, False, False
        self.form, self.errors, self.error = dict(entity_forms.BLANK), {}, ""
        self.next_invoice, self.next_note, self.numbers_wrong = "", "", ""

    @page_event(READ)
    async def settle(self, values: dict[str, Any]) -> None:
        """Show which numbers the form as it stands would make. Nothing is kept."""
        self.is_saved = False
        async with self._staff_work() as uow:
            await self._number(uow, self._typed(values))

    @page_event(WRITE)
    async def save(self, values: dict[str, Any]) -> Any:
        """Add the entity, or replace what is said of it. What is refused is told at its field."""
        typed = self._typed(values)
        try:
            given = entity_forms.fields_of(typed)
            async with self._staff_work() as uow:
                row = await self._save(uow, given, values)
                if not self.entity:
                    return rx.redirect(addresses.own_path(f"{HOME}/{row.id}"))
                await self._show(uow, row)
        except StaleVersion as stale:
            async with self._staff_work() as uow:
                row = await policies.entity_for(uow, str(self.entity["id"]), READ)
            self._meet(stale, FORM, entity_forms.form_of(row), row.version)
            return None
        except (Invalid, Conflict) as refused:
            self.form, told = typed, entity_forms.at_fields(refused)
            self.error, self.is_saved = told.pop("", ""), False
            self.errors = told
            return None
        self.errors, self.error, self.is_saved = {}, "", True
        return None

    async def _save(
        self, uow: UnitOfWork, given: entities.EntityFields, values: Mapping[str, Any]
    ) -> LegalEntity:
        if not self.entity:
            # Nobody unticks a box of a form that is new: the first entity bills all even so.
            brand = str(values.get(entity_forms.BRAND, "")).strip()
            return await entities.add_entity(
                uow, replace(given, is_usual=given.is_usual or None), brand=brand
            )
        version = version_over(values, int(self.entity["version"]))
        return await entities.change_entity(uow, str(self.entity["id"]), given, version=version)

    async def _show(self, uow: UnitOfWork, row: LegalEntity) -> None:
        self.entity = {"id": row.id, "code": row.code, "name": row.name, "version": row.version}
        brand = await policies.default_brand(uow, row, READ)
        self.form = entity_forms.form_of(row) | {entity_forms.BRAND: brand.code}
        self.begun = await entities.has_numbered(uow, row.id)
        await self._number(uow, self.form)

    async def _number(self, uow: UnitOfWork, typed: Mapping[str, Any]) -> None:
        self.next_invoice, self.next_note, self.numbers_wrong = "", "", ""
        try:
            given = entity_forms.fields_of(typed)
            made = await numbers.next_numbers(
                uow, given, brand=typed[entity_forms.BRAND], entity_id=str(self.entity.get("id", ""))
            )
        except Invalid as refused:
            self.numbers_wrong = f"{refused.message} {refused.next_step}".strip()
            return
        self.next_invoice, self.next_note = made.invoice, made.note

    def _typed(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The form with what was typed into it; what is fixed is not on the page and stays."""
        fixed = entity_forms.NUMBERED_BY if self.begun else ()
        fixed = (*fixed, entity_forms.BRAND) if self.entity else fixed
        return self.form | {
            name: value for name, value in values.items() if name in entity_forms.FIELDS and name not in fixed
        }


class TaxRatesState(DialogsState, ListedState, rx.State):
    """One page of tax rates, and who is registered where: only there is tax charged."""

    _listing: ClassVar[Listing[Any]] = queries.TAX_RATES
    _file_url: ClassVar[str] = "/api/v1/staff/tax-rates"
    _filter_keys: ClassVar[tuple[str, ...]] = ("jurisdiction",)
    _dialogs: ClassVar[Mapping[str, Capability]] = dict.fromkeys(("new", "end"), WRITE)

    registered: list[dict[str, Any]] = []

    @page_event(READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, queries.TAX_RATES)
            issuers = await listing_sql.select(uow, queries.ENTITIES, limit=ENTITIES_OFFERED_MAX)
        today = uow.wall_now.date().isoformat()
        self.rows = [_rate_shown(row, today) for row in found]
        self.registered = [_registered(row) for row in issuers]


class SeriesState(ListedState, rx.State):
    """One page of counters of document numbers, and whether any number of them is missing."""

    _listing: ClassVar[Listing[Any]] = numbers.SERIES
    _file_url: ClassVar[str] = "/api/v1/staff/invoice-series"
    _filter_keys: ClassVar[tuple[str, ...]] = ("legal_entity_id", "series", "has_no_gap", "is_test")

    entities: list[dict[str, str]] = []

    @page_event(READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, numbers.SERIES)
            issuers = await listing_sql.select(uow, queries.ENTITIES, limit=ENTITIES_OFFERED_MAX)
        self.rows = [_series_shown(row) for row in found]
        self.entities = [{"id": row.id, "label": f"{row.code} – {row.name}"} for row in issuers]


def _entity_shown(row: EntityRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "href": f"{HOME}/{row.id}",
        "code": row.code,
        "name": row.name,
        "country": row.country,
        "currency": row.currency,
        "timezone": row.timezone,
        "use": ("test" if row.is_test else "real") + ("_usual" if row.is_usual else ""),
        "created_at": instant_text(row.created_at),
    }


def _rate_shown(row: TaxRateRow, today: str) -> dict[str, Any]:
    until = row.valid_until or ""
    return {
        "id": row.id,
        "jurisdiction": row.jurisdiction,
        "name": row.name,
        "rate": row.rate,
        "source": f"{row.source} {row.edition}",
        "valid_from": row.valid_from,
        "valid_until": until,
        "state": "planned" if row.valid_from > today else "ended" if until and until <= today else "current",
        "today": max(today, row.valid_from),
    }


def _registered(row: EntityRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "href": f"{HOME}/{row.id}",
        "code": f"{row.code} – {row.name}",
        "registrations": ", ".join(row.registrations),
        "reverse_charge_in": ", ".join(row.reverse_charge_in),
    }


def _series_shown(row: numbers.SeriesRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "legal_entity": row.legal_entity,
        "href": f"{HOME}/{row.legal_entity_id}",
        "series": row.series,
        "counter": " ".join(filter(None, (row.brand, row.period))),
        "first": row.first,
        "last": row.last,
        "issued": row.issued,
        "missing": ", ".join(row.missing),
        "has_no_gap": row.has_no_gap,
        "bills": "test" if row.is_test else "real",
    }
