"""Who issues documents, and at which tax rates; and the proof that no number is missing. For staff."""

from __future__ import annotations

from dataclasses import fields
from datetime import date
from functools import partial
from typing import Annotated

from fastapi import Request, Response
from pydantic import AwareDatetime, BeforeValidator, Field

from matrix_app.api.deps import AnyCaller, staff_work
from matrix_app.api.v1.etag import IfMatch, showing_current
from matrix_app.api.v1.invoices import TaxIdShown
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.repeat import RepeatOnce
from matrix_app.api.v1.shape import Body, Exact, Shown, resource
from models.billing import LegalEntity, TaxRate, ZeroDocuments
from services.billing import entities, policies, queries, series, taxation
from services.billing.entities import EntityFields
from services.billing.numbering import Reset, Series
from services.billing.series import SERIES
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.tax.rules import Rate, RoundingLevel

router = resource("staff", prefix="/staff")

READ, WRITE = Capability.STAFF_INVOICES_READ, Capability.STAFF_INVOICES_WRITE


class EntityShown(Shown):
    id: str
    code: str
    name: str
    address: str
    country: str
    currency: str
    timezone: str
    tax_ids: list[TaxIdShown]
    registrations: list[str]
    reverse_charge_in: list[str]
    trusts_unanswered: bool
    brand: str = Field(description="Code of its default brand")
    invoice_pattern: str
    invoice_reset: Reset
    note_pattern: str
    note_reset: Reset
    tax_rounding: RoundingLevel
    zero_documents: ZeroDocuments
    grace_hours: int
    payment_days: int
    is_test: bool
    is_usual: bool
    created_at: AwareDatetime
    version: int


class TaxId(Body):
    kind: str = Field(examples=["VAT"])
    number: str


class EntitySaid(Body):
    code: str = Field(examples=["DE1"])
    name: str
    address: str
    country: str
    currency: str
    timezone: str = "UTC"
    tax_ids: list[TaxId] = Field([])
    registrations: list[str] = Field([], description="Jurisdictions whose tax it charges")
    reverse_charge_in: list[str] = Field([], description="Where buyers with a checked number owe the tax")
    trusts_unanswered: bool = Field(False, description="Also with a number whose register does not answer")
    invoice_pattern: str = Field("{entity}-{year}-{seq:6}", description="Fixed once a number was drawn")
    invoice_reset: Reset = Reset.YEARLY
    note_pattern: str = "{entity}-CN-{year}-{seq:6}"
    note_reset: Reset = Reset.YEARLY
    tax_rounding: RoundingLevel = RoundingLevel.LINE
    zero_documents: ZeroDocuments = Field(
        ZeroDocuments.ISSUE, description="What becomes of a draft over nothing"
    )
    grace_hours: int = Field(24, description="How long a draft waits for late usage")
    payment_days: int = 14
    is_test: bool = Field(False, description="Bills organisations on a test clock, and nobody else")
    is_usual: bool | None = Field(
        None,
        description="Bills whoever has no other; one real and one test entity do. Left out: as it is; a new one if"
        " nobody does yet",
    )


class NewEntity(EntitySaid):
    brand: str = Field(
        entities.FIRST_BRAND, description="Code of its first brand, which has its name: its default one"
    )


class ChangedEntity(EntitySaid):
    version: int


class TaxRateShown(Shown):
    id: str
    jurisdiction: str
    name: str
    rate: str = Field(description="0.19 is 19 %")
    source: str
    edition: str
    valid_from: date
    valid_until: date | None
    created_at: AwareDatetime


# A form sends an empty text for a day that nobody chose.
DayOrEmpty = Annotated[date | None, BeforeValidator(lambda given: given or None)]


class NewTaxRate(Body):
    jurisdiction: str = Field(examples=["DE", "CA-QC"])
    name: str = Field(examples=["VAT"])
    rate: Exact = Field(examples=["0.19"])
    source: str = Field(description="Where it was taken from")
    edition: str = Field(description="Which edition of that")
    valid_from: DayOrEmpty = Field(None, description="Today if left out")
    valid_until: DayOrEmpty = Field(None, description="Left out: until another begins")


class EndedTaxRate(Body):
    valid_until: date = Field(description="The first day on which it does not hold: today or later")


class NumberedEntity(NewEntity):
    legal_entity_id: str = Field("", description="Of one that is there; left out for a new one")


class NextNumbersShown(Shown):
    """What a document that were finalised now would be called."""

    invoice: str
    note: str


class SeriesShown(Shown):
    """Without a gap `last` and `issued` are the same."""

    id: str
    legal_entity_id: str
    legal_entity: str
    series: Series
    brand: str
    period: str = Field(description="Empty where the counter never begins again")
    first: int
    last: int
    issued: int
    missing: list[int] = Field(description="Some of the numbers that no document has")
    has_no_gap: bool
    is_test: bool = Field(description="Of a legal entity for test clocks: no document of it is real")


@router.get("/invoice-series", **listed(SERIES, SeriesShown))
async def report_series(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """Every counter of document numbers against the documents that have them: proof that none is missing."""
    return await answer(request, SERIES, SeriesShown, asked, partial(staff_work, who, READ))


@router.get("/legal-entities", **listed(queries.ENTITIES, EntityShown))
async def list_legal_entities(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """Who issues documents, by code."""
    return await answer(request, queries.ENTITIES, EntityShown, asked, partial(staff_work, who, READ))


@router.post("/legal-entities", status_code=201, response_model=EntityShown)
async def add_legal_entity(who: AnyCaller, body: NewEntity, repeat: RepeatOnce) -> Response:
    """Add somebody who issues documents."""

    async def add(uow: UnitOfWork) -> EntityShown:
        row = await entities.add_entity(uow, _entity_fields(body), brand=body.brand)
        return await _shown(uow, row)

    return await repeat.once(staff_work(who, WRITE), add, owner=who.actor.id)


@router.post("/legal-entities/next-numbers", response_model=NextNumbersShown)
async def preview_next_numbers(who: AnyCaller, body: NumberedEntity) -> NextNumbersShown:
    """What the next documents would be called, by what is said of a legal entity. Draws no number."""
    async with staff_work(who, READ) as uow:
        found = await series.next_numbers(
            uow, _entity_fields(body), brand=body.brand, entity_id=body.legal_entity_id
        )
        return NextNumbersShown.model_validate(found)


def _entity_fields(body: EntitySaid) -> EntityFields:
    given = {field.name: getattr(body, field.name) for field in fields(EntityFields)}
    given["tax_ids"] = tuple(one.model_dump() for one in body.tax_ids)
    for name in ("registrations", "reverse_charge_in"):
        given[name] = tuple(given[name])
    return EntityFields(**given)


@router.get("/legal-entities/{legal_entity_id}")
async def get_legal_entity(who: AnyCaller, legal_entity_id: str) -> EntityShown:
    """One legal entity."""
    async with staff_work(who, READ) as uow:
        return await _entity(uow, legal_entity_id)


async def _entity(uow: UnitOfWork, entity_id: str) -> EntityShown:
    return await _shown(uow, await policies.entity_for(uow, entity_id, READ))


async def _shown(uow: UnitOfWork, row: LegalEntity) -> EntityShown:
    brand = await policies.default_brand(uow, row, READ)
    return EntityShown.model_validate(row.model_dump() | {"brand": brand.code})


@router.put("/legal-entities/{legal_entity_id}")
async def change_legal_entity(
    who: AnyCaller, legal_entity_id: str, body: ChangedEntity, expected: IfMatch
) -> EntityShown:
    """Replace what is said of it. Documents that are final keep what was said then."""
    expected.version(body.version)
    async with (
        staff_work(who, WRITE) as uow,
        showing_current(lambda: _entity(uow, legal_entity_id)),
    ):
        row = await entities.change_entity(uow, legal_entity_id, _entity_fields(body), version=body.version)
        return await _shown(uow, row)


@router.get("/tax-rates", **listed(queries.TAX_RATES, TaxRateShown))
async def list_tax_rates(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """Tax rates with their dates, by jurisdiction."""
    return await answer(request, queries.TAX_RATES, TaxRateShown, asked, partial(staff_work, who, READ))


@router.post("/tax-rates", status_code=201, response_model=TaxRateShown)
async def add_tax_rate(who: AnyCaller, body: NewTaxRate, repeat: RepeatOnce) -> Response:
    """Enter a rate. An open one of the same tax ends where it begins."""

    async def add(uow: UnitOfWork) -> TaxRateShown:
        given = body.model_dump(exclude={"edition"})
        given["valid_from"] = body.valid_from or uow.wall_now.date()
        return _rate_shown(await taxation.add_tax_rate(uow, Rate(**given, version=body.edition)))

    return await repeat.once(staff_work(who, WRITE), add, owner=who.actor.id)


def _rate_shown(row: TaxRate) -> TaxRateShown:
    return TaxRateShown.model_validate(row.model_dump() | {"rate": f"{row.rate.normalize():f}"})


@router.post("/tax-rates/{tax_rate_id}/end", response_model=TaxRateShown)
async def end_tax_rate(who: AnyCaller, tax_rate_id: str, body: EndedTaxRate, repeat: RepeatOnce) -> Response:
    """End a rate that no other follows. Documents of days before keep it."""

    async def act(uow: UnitOfWork) -> TaxRateShown:
        return _rate_shown(await taxation.end_tax_rate(uow, tax_rate_id, on=body.valid_until))

    return await repeat.once(staff_work(who, WRITE), act, owner=who.actor.id, status=200)
