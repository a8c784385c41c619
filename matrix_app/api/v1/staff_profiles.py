"""To whom an organisation's documents are addressed and how it is taxed, as staff says. What it says itself is in
billing_profile.py."""

from __future__ import annotations

from datetime import date
from typing import Any

from fastapi import Response
from pydantic import AwareDatetime, Field

from matrix_app.api.deps import AnyCaller
from matrix_app.api.v1.etag import IfMatch, showing_current
from matrix_app.api.v1.repeat import RepeatOnce
from matrix_app.api.v1.route import failures
from matrix_app.api.v1.shape import Body, Instant, Shown, resource
from matrix_app.api.v1.staff_invoices import within
from models.billing import BillingProfile
from services.billing import profiles, queries, tax_numbers
from services.billing.profiles import ProfileFields
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.documents.words import LANGUAGES
from services.tax.engine import Exemption
from services.tax.rules import CheckedNumber, NumberState

router = resource("staff", prefix="/staff/organizations/{organization_id}/billing-profile")

READ = Capability.STAFF_INVOICES_READ


class TaxNumber(Body):
    country: str
    number: str = Field(max_length=50)
    valid: bool
    checked_at: Instant
    source: str = Field(max_length=100, description="Who found it valid or not")
    reference: str = Field("", max_length=200)
    reason: str = Field("", max_length=500, description="Why you say so, if its register does not")


class TaxExemption(Body):
    reason_code: str = Field(max_length=50, description="Of the list VATEX")
    reason: str = Field(max_length=500)
    evidence: str = Field(max_length=500)
    valid_from: date
    valid_until: date | None = None


class TaxNumberFound(Body):
    """What staff found itself, whatever the register says."""

    number: str = Field(max_length=50, description="In the country of the profile")
    valid: bool
    source: str = Field(max_length=100, description="Who checked it")
    reference: str = Field("", max_length=200)
    override_reason: str = Field(max_length=500, description="Why you say so")
    version: int | None = Field(None, description="As it was read; or send it as If-Match")


class NewExemption(TaxExemption):
    version: int | None = Field(None, description="As it was read; or send it as If-Match")


class ChosenBrand(Body):
    brand_id: str | None = Field(description="Null: the default one of whoever bills")
    version: int | None = Field(None, description="As it was read; or send it as If-Match")


class BillingProfileShown(Shown):
    organization_id: str
    legal_entity_id: str | None
    brand_id: str | None
    name: str
    address: str
    country: str
    language: str
    tax_number: dict[str, Any] | None
    exemption: dict[str, Any] | None
    updated_at: AwareDatetime
    version: int


class NewBillingProfile(Body):
    name: str
    address: str
    country: str
    language: str = Field("en", description=f"Of documents: one of {', '.join(LANGUAGES)}")
    legal_entity_id: str | None = None
    brand_id: str | None = Field(
        None,
        description="Of that legal entity, which it says, too, where none is named; left out: its default one",
    )
    tax_number: TaxNumber | None = Field(None, description="With who checked it")
    exemption: TaxExemption | None = None
    version: int | None = Field(None, description="As it was read, 0 for none; or send it as If-Match")


class CheckedAgain(Body):
    version: int | None = Field(None, description="As it was read")


@router.get("")
async def get_billing_profile(who: AnyCaller, organization_id: str) -> BillingProfileShown:
    """To whom an organisation's documents are addressed."""
    async with within(who, organization_id, READ) as uow:
        return await _read_profile(uow)


@router.put("")
async def set_billing_profile(
    who: AnyCaller, organization_id: str, body: NewBillingProfile, expected: IfMatch
) -> BillingProfileShown:
    """Say to whom documents are addressed, and what is known of the customer's tax."""
    given = {
        name: getattr(body, name)
        for name in ("name", "address", "country", "language", "legal_entity_id", "brand_id")
    }
    number = _number_said(body.tax_number) if body.tax_number else None
    exemption = Exemption(**body.exemption.model_dump()) if body.exemption else None
    version = expected.version(body.version)
    async with within(who, organization_id) as uow, showing_current(lambda: _read_profile(uow)):
        profile = ProfileFields(**given, tax_number=number, exemption=exemption)
        return _profile(await profiles.set_profile(uow, profile, version=version))


def _number_said(body: TaxNumber) -> CheckedNumber:
    state = NumberState.VALID if body.valid else NumberState.INVALID
    return CheckedNumber(**body.model_dump(exclude={"valid"}), state=state)


@router.post(
    "/check-tax-number",
    response_model=BillingProfileShown,
    responses=failures(404, 412),
)
async def check_tax_number(
    who: AnyCaller, organization_id: str, body: CheckedAgain, repeat: RepeatOnce
) -> Response:
    """Have the register of the tax number asked once more, within a minute or as soon as it answers."""

    async def act(uow: UnitOfWork) -> BillingProfileShown:
        return _profile(await tax_numbers.check_again(uow, version=body.version))

    return await repeat.once(within(who, organization_id), act, owner=who.actor.id, status=200)


@router.put("/tax-number", responses=failures(404))
async def set_tax_number(
    who: AnyCaller, organization_id: str, body: TaxNumberFound, expected: IfMatch
) -> BillingProfileShown:
    """Say what you found of the customer's tax number yourself, now. The rest of the profile stays."""
    given = body.model_dump(exclude={"version", "override_reason"})
    version = expected.version(body.version)
    async with within(who, organization_id) as uow, showing_current(lambda: _read_profile(uow)):
        row = await tax_numbers.set_tax_number(uow, **given, reason=body.override_reason, version=version)
        return _profile(row)


@router.delete("/tax-number", responses=failures(404))
async def remove_tax_number(who: AnyCaller, organization_id: str, expected: IfMatch) -> BillingProfileShown:
    """Say that the customer has no tax number."""
    async with within(who, organization_id) as uow, showing_current(lambda: _read_profile(uow)):
        return _profile(
            await tax_numbers.set_tax_number(
                uow, "", valid=False, source="", reason="", version=expected.version()
            )
        )


@router.put("/exemption", responses=failures(404))
async def set_exemption(
    who: AnyCaller, organization_id: str, body: NewExemption, expected: IfMatch
) -> BillingProfileShown:
    """Charge no tax on those days, for what is said. The rest of the profile stays."""
    given = Exemption(**body.model_dump(exclude={"version"}))
    version = expected.version(body.version)
    async with within(who, organization_id) as uow, showing_current(lambda: _read_profile(uow)):
        return _profile(await profiles.set_exemption(uow, given, version=version))


@router.delete("/exemption", responses=failures(404))
async def end_exemption(who: AnyCaller, organization_id: str, expected: IfMatch) -> BillingProfileShown:
    """Charge tax again, from the next document on."""
    async with within(who, organization_id) as uow, showing_current(lambda: _read_profile(uow)):
        return _profile(await profiles.set_exemption(uow, None, version=expected.version()))


@router.put("/brand", responses=failures(404, 409))
async def choose_brand(
    who: AnyCaller, organization_id: str, body: ChosenBrand, expected: IfMatch
) -> BillingProfileShown:
    """Bill the organisation under a brand, from the next draft on. The rest of the profile stays."""
    version = expected.version(body.version)
    async with within(who, organization_id) as uow, showing_current(lambda: _read_profile(uow)):
        return _profile(await profiles.set_brand(uow, body.brand_id, version=version))


async def _read_profile(uow: UnitOfWork) -> BillingProfileShown:
    return _profile(await queries.profile(uow))


def _profile(row: BillingProfile) -> BillingProfileShown:
    return BillingProfileShown.model_validate(row)
