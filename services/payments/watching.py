"""What pages of payments and invoices that are open follow: that something about them changed."""

from __future__ import annotations

from services.core.permissions import Capability
from services.core.work import UnitOfWork

LOOKED_BACK_MAX = 1_000  # events; what changed before them was read with the page
_CHANGED = """
select coalesce(max(position), 0) from (
  select position, type from event where organization_id = :organization_id order by id desc limit :most
) newest where split_part(type, '.', 1) = any(:about)
"""
# What was paid is owed again when a bank takes it back, and less is owed with a credit note. Whoever looks at a new
# invoice waits for its files.
_ABOUT = ["payment", "refund", "dispute", "contest", "invoice", "credit_note", "paper"]


async def changed(uow: UnitOfWork) -> dict[str, int]:
    """The place in the event log of the last change to what the organisation pays and has to. Raises Forbidden."""
    uow.actor.require(Capability.PAYMENTS_READ)
    found = await uow.execute(
        _CHANGED, organization_id=uow.organization_id, most=LOOKED_BACK_MAX, about=_ABOUT
    )
    return {"changed": found.scalar_one()}
