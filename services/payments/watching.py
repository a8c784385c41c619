"""What pages of payments that are open follow: that something about them changed."""

from __future__ import annotations

from services.core.permissions import Capability
from services.core.work import UnitOfWork

LOOKED_BACK_MAX = 1_000  # events; what changed before them was read with the page
_CHANGED = """
select coalesce(max(position), 0) from (
  select position, type from event where organization_id = :organization_id order by id desc limit :most
) newest where split_part(type, '.', 1) = 'payment'
"""


async def changed(uow: UnitOfWork) -> dict[str, int]:
    """The place in the event log of the last change to the organisation's payments. Raises Forbidden."""
    uow.actor.require(Capability.PAYMENTS_READ)
    found = await uow.execute(_CHANGED, organization_id=uow.organization_id, most=LOOKED_BACK_MAX)
    return {"changed": found.scalar_one()}
