"""Templates of legal entities: drafted, looked at, published. A version that is published stays as it is.

Called by staff in work across tenants: nothing of a template belongs to a customer.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from models.brands import Brand
from models.papers import TemplateState, TemplateVersion
from services.billing import brands
from services.billing import policies as billing
from services.core.errors import Conflict, Invalid, TooLarge
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.documents.style import LOGO_BYTES_MAX
from services.identity.queries import changed_meanwhile
from services.papers import policies
from services.papers.designs import Design, design_from_json, design_to_json, require_reachable
from services.papers.events import (
    TemplateChanged,
    TemplateDiscarded,
    TemplateDrafted,
    TemplatePublished,
)

_IN_FORCE = """
select t.*, l.content as logo from template_version t left join template_logo l on l.sha256 = t.logo_sha256
where t.brand_id = :brand_id and t.state = 'published' order by t.number desc limit 1
"""
_DRAFT = """
select * from template_version where brand_id = :brand_id and state = 'draft'
"""
_KEEP_LOGO = """
insert into template_logo (sha256, content, created_at) values (:sha256, :content, :now) on conflict do nothing
"""


class TemplateIsPublished(Conflict):
    """Documents may have been made by it, so it is never changed."""

    code = "template_published"
    title = "This version of the template is published"

    def __init__(self) -> None:
        super().__init__(
            "A published version stays as it is.", next_step="Begin a new draft and publish that."
        )


class LogoTooLarge(TooLarge):
    """It travels in every document, and in every mail with one."""

    code = "logo_too_large"
    title = "The logo is too large"

    def __init__(self) -> None:
        super().__init__(
            f"A logo has {LOGO_BYTES_MAX // 1024:,} KB at most, and this one has more.",
            next_step="Save it smaller: 600 pixels across are plenty, or send it as SVG.",
            bytes_max=LOGO_BYTES_MAX,
        )


@dataclass(frozen=True, slots=True)
class Look:
    """How a document is to look: a design with its logo, and which version they are of, if one."""

    design: Design
    logo: bytes | None = None
    template_id: str | None = None


async def in_force(uow: UnitOfWork, brand_id: str) -> Look:
    """What documents of the brand are made by now: its published version with the highest number, else ours."""
    found = await uow.execute(_IN_FORCE, brand_id=brand_id)
    row = found.mappings().one_or_none()
    return Look(Design()) if row is None else Look(design_from_json(row["design"]), row["logo"], row["id"])


async def begin(
    uow: UnitOfWork, *, brand_id: str | None = None, legal_entity_id: str | None = None
) -> TemplateVersion:
    """Begin a draft for a brand, or for the default one of a legal entity, as the version in force is; the draft that
    is there already is given as it is. Raises Forbidden, NotFound, Invalid, and BrandIsArchived."""
    brand = await _brand(uow, brand_id, legal_entity_id)
    there = await uow.execute(_DRAFT, brand_id=brand.id)
    if (row := there.mappings().one_or_none()) is not None:
        return TemplateVersion(**row)
    look = await in_force(uow, brand.id)
    last = await uow.execute(
        "select coalesce(max(number), 0) from template_version where brand_id = :id", id=brand.id
    )
    row = TemplateVersion(
        id=new_id("tplv"),
        legal_entity_id=brand.legal_entity_id,
        brand_id=brand.id,
        number=last.scalar_one() + 1,
        design=design_to_json(look.design),
        logo_sha256=None if look.logo is None else hashlib.sha256(look.logo).hexdigest(),
        created_by=uow.actor.id,
        created_at=uow.wall_now,
    )
    uow.add(row)
    await uow.session.flush()
    uow.record(
        TemplateDrafted(
            aggregate_id=row.id,
            organization_id=None,
            legal_entity_id=row.legal_entity_id,
            brand_id=row.brand_id,
            number=row.number,
        )
    )
    return row


async def _brand(uow: UnitOfWork, brand_id: str | None, legal_entity_id: str | None) -> Brand:
    """Locked, so that of two who begin one comes after the other."""
    needs = Capability.STAFF_INVOICES_WRITE
    if brand_id is None:
        if legal_entity_id is None:
            raise Invalid("Say for which brand.", field="brand_id", next_step="Name a brand.")
        entity = await billing.entity_for(uow, legal_entity_id, needs)
        brand_id = (await billing.default_brand(uow, entity, needs)).id
    await billing.brand_for(uow, brand_id, needs, lock=True)
    return await brands.usable_brand(uow, brand_id, needs, of=legal_entity_id)


async def change(uow: UnitOfWork, template_id: str, design: Design, *, version: int) -> TemplateVersion:
    """Replace what a draft says. Raises Forbidden, NotFound, TemplateIsPublished and StaleVersion."""
    row = await _draft(uow, template_id, version)
    require_reachable(design)
    written = design_to_json(design)
    changed = [name for name, value in written.items() if row.design.get(name) != value]
    if changed:
        row.design = written
        _changed(uow, row, changed)
    return row


async def set_logo(
    uow: UnitOfWork, template_id: str, logo: bytes | None, *, version: int | None = None
) -> TemplateVersion:
    """Give a draft a logo, or take it away.

    Raises Forbidden, NotFound, TemplateIsPublished, StaleVersion, LogoTooLarge, and FileRefused for what is no logo.
    """
    row = await _draft(uow, template_id, version)
    if logo is not None and len(logo) > LOGO_BYTES_MAX:
        raise LogoTooLarge
    Design().style(logo)
    sha256 = None if logo is None else hashlib.sha256(logo).hexdigest()
    if logo is not None:
        await uow.execute(_KEEP_LOGO, sha256=sha256, content=logo, now=uow.wall_now)
    if row.logo_sha256 != sha256:
        row.logo_sha256 = sha256
        _changed(uow, row, ["logo"])
    return row


async def publish(uow: UnitOfWork, template_id: str, *, version: int | None = None) -> TemplateVersion:
    """Have documents made by it from now on; those that are made stay as they are. Published again nothing changes.

    Raises Forbidden, NotFound, and StaleVersion.
    """
    row = await policies.template_for(uow, template_id, Capability.STAFF_INVOICES_WRITE, lock=True)
    if row.state == TemplateState.PUBLISHED:
        return row
    await _require_current(uow, row, version)
    row.state, row.published_at = TemplateState.PUBLISHED.value, uow.wall_now
    row.version += 1
    await uow.session.flush()
    uow.record(
        TemplatePublished(
            aggregate_id=row.id,
            organization_id=None,
            legal_entity_id=row.legal_entity_id,
            brand_id=row.brand_id,
            number=row.number,
        )
    )
    return row


async def discard(uow: UnitOfWork, template_id: str) -> TemplateVersion:
    """Give a draft up; its number is given to the next one. Raises Forbidden, NotFound and TemplateIsPublished."""
    row = await _draft(uow, template_id, None)
    await uow.session.delete(row)
    uow.record(
        TemplateDiscarded(
            aggregate_id=row.id,
            organization_id=None,
            legal_entity_id=row.legal_entity_id,
            brand_id=row.brand_id,
            number=row.number,
        )
    )
    return row


async def _draft(uow: UnitOfWork, template_id: str, version: int | None) -> TemplateVersion:
    row = await policies.template_for(uow, template_id, Capability.STAFF_INVOICES_WRITE, lock=True)
    if row.state != TemplateState.DRAFT:
        raise TemplateIsPublished
    await _require_current(uow, row, version)
    return row


async def _require_current(uow: UnitOfWork, row: TemplateVersion, version: int | None) -> None:
    if version is not None and row.version != version:
        raise await changed_meanwhile(uow, row.id, TemplateChanged.type, what="template")


def _changed(uow: UnitOfWork, row: TemplateVersion, changed: list[str]) -> None:
    row.version += 1
    uow.record(TemplateChanged(aggregate_id=row.id, organization_id=None, changed=changed))
