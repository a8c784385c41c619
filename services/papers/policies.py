"""The way to papers and to versions of templates."""

from __future__ import annotations

from models.papers import Paper, TemplateVersion
from services.core.errors import not_found
from services.core.ids import is_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork


async def paper_of(uow: UnitOfWork, document_id: str) -> Paper | None:
    """The paper of a document that the caller was let to; None until it is known that it needs one."""
    return await uow.get(Paper, document_id)


async def paper_for(uow: UnitOfWork, document_id: str, needs: Capability) -> Paper:
    """The paper of any document, locked, for staff in work across tenants. Raises Forbidden and NotFound."""
    uow.actor.require(needs)
    known = is_id(str(document_id), "inv") or is_id(str(document_id), "crn")
    row = await uow.get(Paper, document_id, lock=True) if known else None
    if row is None:
        raise not_found("paper of a document", document_id)
    return row


async def template_for(
    uow: UnitOfWork, template_id: str, needs: Capability, *, lock: bool = False
) -> TemplateVersion:
    """Raises Forbidden and NotFound."""
    uow.actor.require(needs)
    row = await uow.get(TemplateVersion, template_id, lock=lock)
    if row is None:
        raise not_found("template", template_id)
    return row
