"""Billing profiles: to whom an organisation's documents are addressed, and what of their tax is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from models.billing import BillingProfile
from services.billing import brands, policies
from services.billing.entities import NAME_CHARACTERS_MAX, clean_address, require_country
from services.billing.events import BillingProfileChanged
from services.core.errors import Invalid, not_found
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.documents.words import LANGUAGES
from services.identity.queries import changed_meanwhile
from services.identity.rules import clean_text
from services.subscriptions import unaddressed
from services.tax.engine import Exemption
from services.tax.evidence import number_from_json, number_to_json
from services.tax.numbers import register_of, written
from services.tax.rules import CheckedNumber, NumberState

REASON_CHARACTERS_MAX = 500  # of what is said about a tax number or an exemption


@dataclass(frozen=True, slots=True)
class ProfileFields:
    """To whom documents go. A tax number comes with who checked it; without one the tax of the country is charged."""

    name: str
    address: str
    country: str
    language: str = "en"
    legal_entity_id: str | None = None
    brand_id: str | None = None  # which says the legal entity, too
    tax_number: CheckedNumber | None = None
    exemption: Exemption | None = None


async def set_profile(uow: UnitOfWork, given: ProfileFields, *, version: int | None = None) -> BillingProfile:
    """Say to whom the organisation's documents are addressed, in work bound to it. `version` as for `set_own`.

    Raises Forbidden, Invalid and StaleVersion; NotFound for an entity or a brand that is not there, BrandIsArchived.
    """
    uow.actor.require(Capability.STAFF_INVOICES_WRITE)
    named = await _billed_by(uow, given.legal_entity_id, given.brand_id)
    await _require_version(uow, await policies.profile_of(uow, lock=True), version)
    return await write(uow, _profile_values(given) | named)


async def set_brand(uow: UnitOfWork, brand_id: str | None, *, version: int | None = None) -> BillingProfile:
    """Bill the organisation under a brand from the next draft on; under the default one of whoever bills it for None.

    For staff, in work bound to the organisation. Raises Forbidden, StaleVersion, BrandIsArchived, and NotFound for a
    brand that is not there, or where there is no profile.
    """
    named = await _billed_by(uow, None, brand_id)
    row = await for_staff(uow, version)
    if brand_id is None:
        named["legal_entity_id"] = row.legal_entity_id
    return await write(uow, values_of(row) | named)


async def _billed_by(uow: UnitOfWork, entity_id: str | None, brand_id: str | None) -> dict[str, str | None]:
    """The two columns. Called before the profile is locked, in the order in which a brand is archived."""
    needs = Capability.STAFF_INVOICES_WRITE
    if brand_id is not None:
        await policies.hold_issuers(uow)
        entity_id = (await brands.usable_brand(uow, brand_id, needs, of=entity_id)).legal_entity_id
    elif entity_id is not None:
        await policies.entity_for(uow, entity_id, needs)
    return {"legal_entity_id": entity_id, "brand_id": brand_id}


async def set_own(
    uow: UnitOfWork,
    *,
    name: str,
    address: str,
    country: str,
    language: str = "en",
    tax_number: str | None = None,
    version: int | None = None,
) -> BillingProfile:
    """What a customer says of itself: to whom its documents are addressed. What somebody checked of its tax stays,
    unless it is in another country from now on, or says another `tax_number`; an empty one is none, None says nothing.

    `version` is 0 for who saw none yet. Raises Forbidden, Invalid and StaleVersion.
    """
    uow.actor.require(Capability.BILLING_PROFILE_WRITE)
    row = await policies.profile_of(uow, lock=True)
    await _require_version(uow, row, version)
    values = _profile_values(ProfileFields(name, address, country, language))
    if row is not None:
        values |= {"legal_entity_id": row.legal_entity_id, "brand_id": row.brand_id}
        if row.country == values["country"]:
            values |= {"tax_number": row.tax_number, "exemption": row.exemption}
    if tax_number is not None:
        values["tax_number"] = _number_said(tax_number, values["country"], values["tax_number"])
    return await write(uow, values)


async def _require_version(uow: UnitOfWork, row: BillingProfile | None, version: int | None) -> None:
    there = row.version if row is not None else 0
    if version is not None and version != there:
        raise await changed_meanwhile(
            uow, uow.organization_id, BillingProfileChanged.type, what="billing profile"
        )


async def set_exemption(
    uow: UnitOfWork, given: Exemption | None, *, version: int | None = None
) -> BillingProfile:
    """Say why no tax is charged, and by which paper; or that it is again, from the next document on.

    For staff, in work bound to the organisation. Raises Forbidden, Invalid, StaleVersion, and NotFound where there is
    no profile.
    """
    row = await for_staff(uow, version)
    kept = None
    if given is not None:
        code = clean_reason(given.reason_code, "reason_code", "The code", needed=False)
        reason = clean_reason(given.reason, "reason", "The reason", needed=False)
        if not (code or reason):
            raise Invalid("An exemption has a code or a reason.", field="reason_code")
        proof = clean_reason(given.evidence, "evidence", "The proof")
        if given.valid_until is not None and given.valid_until <= given.valid_from:
            raise Invalid("An exemption ends after it begins.", field="valid_until")
        kept = _exemption_json(Exemption(code, reason, proof, given.valid_from, given.valid_until))
    return await write(uow, values_of(row) | {"exemption": kept})


def clean_reason(said: str, field: str, what: str, *, needed: bool = True) -> str:
    """What staff says about somebody's tax. Raises Invalid for nothing where something is `needed`."""
    if not needed and not said.strip():
        return ""
    return clean_text(said, field=field, what=what, characters_max=REASON_CHARACTERS_MAX)


async def for_staff(uow: UnitOfWork, version: int | None) -> BillingProfile:
    """The profile, locked for staff to change. Raises Forbidden, NotFound and StaleVersion."""
    uow.actor.require(Capability.STAFF_INVOICES_WRITE)
    row = await policies.profile_of(uow, lock=True)
    if row is None:
        raise not_found("billing profile", uow.organization_id)
    await _require_version(uow, row, version)
    return row


def values_of(row: BillingProfile) -> dict[str, Any]:
    """What is said of it, as `write` takes it."""
    names = (
        "name", "address", "country", "language", "legal_entity_id", "brand_id", "tax_number", "exemption"
    )  # fmt: skip
    return {name: getattr(row, name) for name in names}


async def write(uow: UnitOfWork, values: Mapping[str, Any]) -> BillingProfile:
    """Keep what was checked. Another number is looked up in its register as soon as a worker has time."""
    row = await policies.profile_of(uow, lock=True)
    if row is None:
        row = BillingProfile(organization_id=uow.organization_id, updated_at=uow.wall_now, **values)
        changed = list(values)
    else:
        changed = [name for name, value in values.items() if getattr(row, name) != value]
        for name in changed:
            setattr(row, name, values[name])
        row.version += bool(changed)
    if "tax_number" in changed:
        row.number_check_at = uow.wall_now if _is_to_be_asked(row) else None
        row.number_check_tries = 0
    if changed:
        row.updated_at = uow.wall_now
        uow.add(row)
        await uow.session.flush()
        await unaddressed.go_on(uow)
        uow.record(
            BillingProfileChanged(
                aggregate_id=uow.organization_id, organization_id=uow.organization_id, changed=changed
            )
        )
    return row


def _is_to_be_asked(row: BillingProfile) -> bool:
    number = tax_number_of(row)
    return (
        number is not None
        and number.state is NumberState.UNCHECKED
        and bool(register_of(number.country, number.number))
    )


def _number_said(given: str, country: str, known: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The number as a customer says it: one that is `known` keeps what was found of it. Raises Invalid."""
    if not given.strip():
        return None
    number = written(country, given)
    if known is not None and known["number"] == number:
        return known
    return number_to_json(CheckedNumber(country, number, NumberState.UNCHECKED))


def _profile_values(given: ProfileFields) -> dict[str, Any]:
    name = clean_text(given.name, field="name", what="The name", characters_max=NAME_CHARACTERS_MAX)
    if given.language not in LANGUAGES:
        raise Invalid(
            f"{given.language[:20]!r} is no language that documents are written in.",
            field="language",
            next_step=f"Choose one of {', '.join(LANGUAGES)}.",
        )
    return {
        "name": name,
        "address": clean_address(given.address),
        "country": require_country(given.country),
        "language": given.language,
        "legal_entity_id": given.legal_entity_id,
        "brand_id": given.brand_id,
        "tax_number": number_to_json(given.tax_number) if given.tax_number else None,
        "exemption": _exemption_json(given.exemption) if given.exemption else None,
    }


def _exemption_json(given: Exemption) -> dict[str, Any]:
    kept = asdict(given)
    for day in ("valid_from", "valid_until"):
        kept[day] = kept[day] and kept[day].isoformat()
    return kept


def exemption_from(kept: Mapping[str, Any]) -> Exemption:
    until = kept["valid_until"]
    return Exemption(
        kept["reason_code"],
        kept["reason"],
        kept["evidence"],
        date.fromisoformat(kept["valid_from"]),
        None if until is None else date.fromisoformat(until),
    )


def tax_number_of(profile: BillingProfile) -> CheckedNumber | None:
    return None if profile.tax_number is None else number_from_json(profile.tax_number)
