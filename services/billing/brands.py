"""Brands of legal entities: the names under which they issue documents.

Each has templates of its own, and numbers of its own where the entity's patterns say {brand}. Called by staff in work
across tenants. docs/decisions/0050-brands.md says who is billed under which.
"""

from __future__ import annotations

from datetime import datetime

from models.billing import LegalEntity
from models.brands import Brand
from services.billing import policies
from services.billing.events import BrandAdded, BrandArchived, BrandChanged, BrandRestored
from services.billing.numbering import require_code
from services.core.errors import Conflict, Invalid
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.identity.queries import changed_meanwhile
from services.identity.rules import clean_text

BRANDS_MAX = 100  # of one legal entity, archived ones, too: all are offered where one is chosen
NAME_CHARACTERS_MAX = 300  # what a legal entity's own name may have
_WRITE = Capability.STAFF_INVOICES_WRITE


class BrandInUse(Conflict):
    """Somebody would be billed under a brand that is put aside."""

    code = "brand_in_use"
    title = "This brand bills somebody"


class BrandIsArchived(Conflict):
    """A brand that was put aside bills nobody new."""

    code = "brand_archived"
    title = "This brand is archived"

    def __init__(self, row: Brand) -> None:
        super().__init__(
            f"The brand {row.code} is archived.", next_step="Choose another one, or restore it first."
        )


async def add_brand(uow: UnitOfWork, entity_id: str, *, code: str, name: str) -> Brand:
    """Have a legal entity issue documents under one more name. `code` is what stands in numbers, for ever.

    Raises Forbidden, NotFound, Invalid, and Conflict for a code that the entity has or had, and for too many brands.
    """
    await policies.hold_issuers(uow)
    entity = await policies.entity_for(uow, entity_id, _WRITE)
    require_code(code, "code")
    name = _name(name)
    found = await uow.execute("select code from brand where legal_entity_id = :id", id=entity.id)
    known = found.scalars().all()
    if code in known:
        raise Conflict(
            f"{entity.code} has a brand {code} already, or had it.",
            next_step="Choose another code.",
            field="code",
        )
    if len(known) >= BRANDS_MAX:
        raise Conflict(
            f"{entity.code} has {BRANDS_MAX} brands, which is the most.",
            next_step="Rename one that is not used any more.",
            code="too_many_brands",
        )
    return await begin(uow, entity, code=code, name=name, is_default=False)


async def begin(uow: UnitOfWork, entity: LegalEntity, *, code: str, name: str, is_default: bool) -> Brand:
    """Keep a brand whose code and name were checked, of an entity that is there or comes with this work."""
    row = Brand(
        id=new_id("brnd"),
        legal_entity_id=entity.id,
        code=code,
        name=name,
        is_default=is_default,
        created_at=uow.wall_now,
    )
    uow.add(row)
    await uow.session.flush()
    uow.record(BrandAdded(aggregate_id=row.id, organization_id=None, legal_entity_id=entity.id, code=code))
    return row


async def rename_brand(uow: UnitOfWork, brand_id: str, *, name: str, version: int | None = None) -> Brand:
    """Documents that are final keep the name they have. Raises Forbidden, NotFound, Invalid and StaleVersion."""
    row = await policies.brand_for(uow, brand_id, _WRITE, lock=True)
    if version is not None and row.version != version:
        raise await changed_meanwhile(uow, row.id, *_VERSIONED, what="brand")
    name = _name(name)
    if row.name != name:
        row.name = name
        _changed(uow, row, ["name"])
    return row


async def take_name(uow: UnitOfWork, entity: LegalEntity, name: str) -> None:
    """Brands that have the name of their entity have its new one, too; called before it takes that itself."""
    found = await uow.execute(
        "select id from brand where legal_entity_id = :id and name = :name", id=entity.id, name=entity.name
    )
    for brand_id in found.scalars().all():
        await rename_brand(uow, brand_id, name=name)


async def make_default(uow: UnitOfWork, brand_id: str) -> Brand:
    """Have it bill whom nobody gave another brand, from the next draft on; the one that did so before no longer does.

    Raises Forbidden, NotFound and BrandIsArchived.
    """
    await policies.hold_issuers(uow)
    row = await policies.brand_for(uow, brand_id, _WRITE, lock=True)
    if row.is_default:
        return row
    if row.archived_at is not None:
        raise BrandIsArchived(row)
    entity = await policies.entity_for(uow, row.legal_entity_id, _WRITE)
    before = await policies.default_brand(uow, entity, _WRITE)
    before.is_default = False
    _changed(uow, before, ["is_default"])
    await uow.session.flush()  # before the other is: there is one at any moment
    row.is_default = True
    _changed(uow, row, ["is_default"])
    await uow.session.flush()
    return row


async def archive_brand(uow: UnitOfWork, brand_id: str) -> Brand:
    """Bill nobody new under it; drafts that were begun under it end under it, and so do credit notes on its invoices.
    Archived again nothing changes.

    Raises Forbidden, NotFound, and BrandInUse for the default one and for one that billing profiles name.
    """
    await policies.hold_issuers(uow)
    row = await policies.brand_for(uow, brand_id, _WRITE, lock=True)
    if row.archived_at is not None:
        return row
    if row.is_default:
        raise BrandInUse(
            f"{row.code} bills whom nobody gave another brand.",
            next_step="Make another one the default first.",
        )
    found = await uow.execute("select count(*) from billing_profile where brand_id = :id", id=row.id)
    if customers := found.scalar_one():
        raise BrandInUse(
            f"{customers:,} customers are billed under {row.code}.",
            next_step="Bill them under another brand first.",
            customers=customers,
        )
    _put_aside(row, uow.wall_now)
    uow.record(BrandArchived(aggregate_id=row.id, organization_id=None, code=row.code))
    return row


async def restore_brand(uow: UnitOfWork, brand_id: str) -> Brand:
    """Have customers billed under it again. Raises Forbidden and NotFound."""
    row = await policies.brand_for(uow, brand_id, _WRITE, lock=True)
    if row.archived_at is not None:
        _put_aside(row, None)
        uow.record(BrandRestored(aggregate_id=row.id, organization_id=None, code=row.code))
    return row


async def usable_brand(uow: UnitOfWork, brand_id: str, needs: Capability, *, of: str | None = None) -> Brand:
    """A brand that somebody may be billed under, of the legal entity `of` if one is named.

    Raises Forbidden, NotFound, BrandIsArchived, and Invalid for one of another entity.
    """
    row = await policies.brand_for(uow, brand_id, needs)
    if of is not None and row.legal_entity_id != of:
        raise Invalid(
            f"{row.code} is a brand of another legal entity.",
            field="brand_id",
            code="brand_of_another_entity",
            next_step="Choose one of the entity that bills, or name the entity of the brand.",
        )
    if row.archived_at is not None:
        raise BrandIsArchived(row)
    return row


_VERSIONED = (BrandChanged.type, BrandArchived.type, BrandRestored.type)


def _name(text: str) -> str:
    return clean_text(text, field="name", what="The name", characters_max=NAME_CHARACTERS_MAX)


def _put_aside(row: Brand, at: datetime | None) -> None:
    row.archived_at = at
    row.version += 1


def _changed(uow: UnitOfWork, row: Brand, changed: list[str]) -> None:
    row.version += 1
    uow.record(BrandChanged(aggregate_id=row.id, organization_id=None, changed=changed))
