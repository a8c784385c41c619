"""What pages that are open follow: that something came into a wallet, or went out of it."""

from __future__ import annotations

from services.core.permissions import Capability
from services.core.work import UnitOfWork

LOOKED_BACK_MAX = 1_000  # events; what changed before them was read with the page


async def changed(uow: UnitOfWork) -> dict[str, list[int]]:
    """Sums of the organisation's wallets, which differ after anything: what is used tells no event of its own."""
    uow.actor.require(Capability.WALLET_READ)
    found = await uow.execute(
        "select inbound_minor, outbound_minor, breakage_minor, version from wallet"
        " where organization_id = :organization_id order by currency",
        organization_id=uow.organization_id,
    )
    return {"changed": [figure for row in found for figure in row]}


async def any_changed(uow: UnitOfWork) -> dict[str, int]:
    """The place in the event log of the last change to anybody's wallet, for staff in work across tenants."""
    uow.actor.require(Capability.STAFF_WALLETS_READ)
    found = await uow.execute(
        "select coalesce(max(position), 0) from (select position, type from event where position is not null"
        " order by position desc limit :most) newest where split_part(type, '.', 1) = 'wallet'",
        most=LOOKED_BACK_MAX,
    )
    return {"changed": found.scalar_one()}
