"""Who issues a document to an organisation: a legal entity, under one of its brands."""

from __future__ import annotations

from models.billing import LegalEntity
from models.brands import Brand
from models.values import value
from services.billing import brands, policies
from services.core.errors import Conflict, Invalid
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.identity import clocks

_WRITE = Capability.STAFF_INVOICES_WRITE


class LegalEntityMissing(Conflict):
    """Nobody is there who could issue the document."""

    code = "legal_entity_missing"
    title = "No legal entity issues documents to this organisation"


@value
class Issuer:
    entity: LegalEntity
    brand: Brand


async def issuer(
    uow: UnitOfWork,
    *,
    legal_entity_id: str | None = None,
    brand_id: str | None = None,
    needs: Capability = _WRITE,
) -> Issuer:
    """The brand asked for, else that of the billing profile where it is of the entity that bills, else the entity's
    default one. A brand that is asked for says which entity bills.

    Raises as `billing_entity` and `brands.usable_brand`.
    """
    if brand_id is not None:
        asked = await brands.usable_brand(uow, brand_id, needs, of=legal_entity_id)
        return Issuer(await billing_entity(uow, asked.legal_entity_id, needs=needs), asked)
    entity = await billing_entity(uow, legal_entity_id, needs=needs)
    profile = await policies.profile_of(uow)
    if profile is not None and profile.brand_id is not None and profile.legal_entity_id == entity.id:
        return Issuer(entity, await policies.brand_for(uow, profile.brand_id, needs))
    return Issuer(entity, await policies.default_brand(uow, entity, needs))


async def billing_entity(
    uow: UnitOfWork, asked: str | None = None, *, needs: Capability = _WRITE
) -> LegalEntity:
    """The one asked for, else that of the billing profile, else the usual one. Whoever is on a test clock that stands
    is billed by a test entity, and nobody else is: trials take no number of a real series.

    Raises Forbidden, NotFound, Invalid for one of the other kind, and LegalEntityMissing.
    """
    profile = await policies.profile_of(uow)
    on_trial = clocks.is_trial(uow)
    chosen = asked or (profile.legal_entity_id if profile is not None else None)
    if chosen is not None:
        entity = await policies.entity_for(uow, chosen, needs)
    else:
        entity = await policies.usual_entity(uow, needs, is_test=on_trial)
    if entity is None:
        raise LegalEntityMissing(
            f"There is no {'test ' if on_trial else ''}legal entity that issues documents.",
            next_step="Add one, or name one in the organisation's billing profile.",
        )
    if entity.is_test != on_trial:
        raise Invalid(
            f"{entity.code} is {'a test' if entity.is_test else 'a real'} entity, and this organisation is"
            f" {'on a test clock' if on_trial else 'real'}.",
            field="legal_entity_id",
            code="legal_entity_kind",
            next_step="Bill trials under a test entity, and real customers under a real one.",
        )
    return entity
