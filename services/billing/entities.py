"""Who issues documents: legal entities, with what their numbers are made by and the rules they bill by."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

from models.billing import LegalEntity, ZeroDocuments
from models.places import COUNTRIES
from services.billing import brands, policies
from services.billing.events import LegalEntityAdded, LegalEntityChanged
from services.billing.numbering import Reset, parse_pattern, require_apart, require_code
from services.core.errors import Conflict, Invalid
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.identity.queries import changed_meanwhile
from services.identity.rules import clean_text, require_currency, require_timezone
from services.tax.rules import RoundingLevel

NAME_CHARACTERS_MAX = 300
ADDRESS_CHARACTERS_MAX = 1_000
ADDRESS_LINES_MAX = 10
TAX_IDS_MAX = 10
JURISDICTIONS_MAX = 300
SHORT_TEXT_CHARACTERS_MAX = 100
GRACE_HOURS_MAX = 720
PAYMENT_DAYS_MAX = 365
FIRST_BRAND = "MX"  # the code of an entity's own name, where nobody says another
_JURISDICTION = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")
# What an entity's numbers are made by: it stays once a number was drawn, or numbers could repeat.
_NUMBERED_BY = ("code", "invoice_pattern", "invoice_reset", "note_pattern", "note_reset", "is_test")


class NumbersBegun(Conflict):
    """An entity has numbered documents, so what its numbers are made by stays."""

    code = "numbers_begun"
    title = "Documents are numbered by this already"


@dataclass(frozen=True, slots=True)
class EntityFields:
    """What staff says of a legal entity. Countries and jurisdictions are codes ("DE", "CA-QC")."""

    code: str
    name: str
    address: str
    country: str
    currency: str
    timezone: str = "UTC"
    tax_ids: tuple[Mapping[str, str], ...] = ()  # each of a kind, such as VAT, and a number
    registrations: tuple[str, ...] = ()
    reverse_charge_in: tuple[str, ...] = ()
    trusts_unanswered: bool = False
    invoice_pattern: str = "{entity}-{year}-{seq:6}"
    invoice_reset: Reset = Reset.YEARLY
    note_pattern: str = "{entity}-CN-{year}-{seq:6}"
    note_reset: Reset = Reset.YEARLY
    tax_rounding: RoundingLevel = RoundingLevel.LINE
    zero_documents: ZeroDocuments = ZeroDocuments.ISSUE
    grace_hours: int = 24
    payment_days: int = 14
    is_test: bool = False
    is_usual: bool | None = None  # None: as it is; a new one if nobody is yet


async def add_entity(uow: UnitOfWork, given: EntityFields, *, brand: str = FIRST_BRAND) -> LegalEntity:
    """Add somebody who issues documents, under its own name: `brand` is the code of that in numbers. The usual one of
    its kind, the first if nobody says so, bills whoever has no other.

    `uow` crosses tenants for staff. Raises Forbidden, Invalid, and Conflict for a code that is taken.
    """
    uow.actor.require(Capability.STAFF_INVOICES_WRITE)
    values = _checked(given, on=uow.wall_now.date())
    require_code(brand, "brand")
    await policies.hold_issuers(uow)
    taken = await uow.execute("select from legal_entity where code = :code", code=given.code)
    if taken.first() is not None:
        raise Conflict(
            f"There is a legal entity {given.code} already.", next_step="Choose another code.", field="code"
        )
    if values["is_usual"] is None:
        values["is_usual"] = not await _has_usual(uow, is_test=given.is_test)
    row = LegalEntity(id=new_id("ent"), created_at=uow.wall_now, **values)
    await _make_usual(uow, row)
    uow.add(row)
    await uow.session.flush()
    uow.record(LegalEntityAdded(aggregate_id=row.id, organization_id=None, code=row.code))
    await brands.begin(uow, row, code=brand, name=row.name, is_default=True)
    return row


async def change_entity(uow: UnitOfWork, entity_id: str, given: EntityFields, *, version: int) -> LegalEntity:
    """Replace what is said of it. Documents that are final keep what was said then.

    Raises Forbidden, NotFound, Invalid, StaleVersion, Conflict for a code that is taken, and NumbersBegun.
    """
    await policies.hold_issuers(uow)
    row = await policies.entity_for(uow, entity_id, Capability.STAFF_INVOICES_WRITE, lock=True)
    if row.version != version:
        raise await changed_meanwhile(uow, row.id, LegalEntityChanged.type, what="legal entity")
    values = _checked(given, on=uow.wall_now.date())
    if values["is_usual"] is None:
        values["is_usual"] = row.is_usual
    changed = [name for name, value in values.items() if getattr(row, name) != value]
    if (kept := sorted(set(changed) & set(_NUMBERED_BY))) and await has_numbered(uow, row.id):
        raise NumbersBegun(
            f"{row.code} has numbered documents: {', '.join(kept)} cannot change any more.",
            next_step="Add another legal entity and bill under it from now on.",
        )
    if "name" in changed:
        await brands.take_name(uow, row, values["name"])
    for name in changed:
        setattr(row, name, values[name])
    if changed:
        row.version += 1
        await _make_usual(uow, row)
        await uow.session.flush()
        uow.record(LegalEntityChanged(aggregate_id=row.id, organization_id=None, changed=changed))
    return row


async def has_numbered(uow: UnitOfWork, entity_id: str) -> bool:
    """Whether it has numbered documents, so that what its numbers are made by stays. Raises Forbidden."""
    uow.actor.require(Capability.STAFF_INVOICES_READ)
    found = await uow.execute("select from number_series where legal_entity_id = :id limit 1", id=entity_id)
    return found.first() is not None


_NO_LONGER_USUAL = sa.text(
    "update legal_entity set is_usual = false, version = version + 1"
    " where is_test = :is_test and is_usual and id <> :id returning id"
)


async def _has_usual(uow: UnitOfWork, *, is_test: bool) -> bool:
    found = await uow.execute(
        "select from legal_entity where is_usual and is_test = :is_test", is_test=is_test
    )
    return found.first() is not None


async def _make_usual(uow: UnitOfWork, row: LegalEntity) -> None:
    if row.is_usual:
        with uow.session.no_autoflush:
            done = await (await uow.session.connection()).execute(
                _NO_LONGER_USUAL, {"id": row.id, "is_test": row.is_test}
            )
        for other in done.scalars():
            uow.record(LegalEntityChanged(aggregate_id=other, organization_id=None, changed=["is_usual"]))


def _checked(given: EntityFields, *, on: date) -> dict[str, Any]:
    require_code(given.code, "code")
    invoices = parse_pattern(given.invoice_pattern, given.invoice_reset)
    try:
        require_apart(invoices, parse_pattern(given.note_pattern, given.note_reset))
    except Invalid as error:
        field_of = {"pattern": "note_pattern", "reset": "note_reset"}
        raise Invalid(
            error.message, field=field_of.get(error.field, error.field), next_step=error.next_step
        ) from error
    require_jurisdictions(given.registrations, "registrations")
    require_jurisdictions(given.reverse_charge_in, "reverse_charge_in")
    _require_between(given.grace_hours, GRACE_HOURS_MAX, "grace_hours")
    _require_between(given.payment_days, PAYMENT_DAYS_MAX, "payment_days")
    values = asdict(given)
    values |= {
        "name": clean_text(given.name, field="name", what="The name", characters_max=NAME_CHARACTERS_MAX),
        "address": clean_address(given.address),
        "country": require_country(given.country),
        "currency": require_currency(given.currency, on=on),
        "timezone": require_timezone(given.timezone),
        "tax_ids": _tax_ids(given.tax_ids),
        "registrations": sorted(set(given.registrations)),
        "reverse_charge_in": sorted(set(given.reverse_charge_in)),
    }
    for name in ("invoice_reset", "note_reset", "tax_rounding", "zero_documents"):
        values[name] = values[name].value
    return values


def _tax_ids(given: tuple[Mapping[str, str], ...]) -> list[dict[str, str]]:
    if len(given) > TAX_IDS_MAX:
        raise Invalid(f"An entity has at most {TAX_IDS_MAX} tax numbers.", field="tax_ids")
    return [
        {
            part: clean_text(
                one.get(part, ""),
                field=f"tax_ids.{place}.{part}",
                what=f"The {part}",
                characters_max=SHORT_TEXT_CHARACTERS_MAX,
            )
            for part in ("kind", "number")
        }
        for place, one in enumerate(given)
    ]


def require_jurisdictions(given: tuple[str, ...], field: str) -> None:
    """Raises Invalid for one that is no code of a country or a part of one."""
    if len(given) > JURISDICTIONS_MAX:
        raise Invalid(f"At most {JURISDICTIONS_MAX} jurisdictions are named.", field=field)
    for one in given:
        if not _JURISDICTION.fullmatch(one) or one[:2] not in COUNTRIES:
            raise Invalid(f"{one[:16]!r} is no jurisdiction, such as DE or CA-QC.", field=field)


def require_country(code: str) -> str:
    """Raises Invalid for one that no country has: its buyers would be taxed nowhere."""
    if code not in COUNTRIES:
        raise Invalid(f"{code[:16]!r} is no country code, such as DE.", field="country")
    return code


def clean_address(text: str) -> str:
    """A few lines, each in normal form, without empty ones. Raises Invalid."""
    if len(text) > ADDRESS_CHARACTERS_MAX:
        raise Invalid(f"An address has at most {ADDRESS_CHARACTERS_MAX:,} characters.", field="address")
    lines = [line for line in text.splitlines() if line.strip()]
    if not 1 <= len(lines) <= ADDRESS_LINES_MAX:
        raise Invalid(f"An address has 1 to {ADDRESS_LINES_MAX} lines.", field="address")
    return "\n".join(
        clean_text(line, field="address", what="The address", characters_max=ADDRESS_CHARACTERS_MAX)
        for line in lines
    )


def _require_between(value: int, most: int, field: str) -> None:
    if not 0 <= value <= most:
        raise Invalid(f"This is a whole number from 0 to {most}.", field=field)
