"""The way to campaigns and cases of dunning."""

from __future__ import annotations

from models.dunning import DunningCampaign, DunningCase, DunningHold
from services.core.errors import not_found
from services.core.ids import is_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork


async def campaign_for(
    uow: UnitOfWork, campaign_id: str, needs: Capability, *, lock: bool = False
) -> DunningCampaign:
    """Raises Forbidden and NotFound."""
    uow.actor.require(needs)
    row = await uow.get(DunningCampaign, campaign_id, lock=lock) if is_id(str(campaign_id), "dcmp") else None
    if row is None:
        raise not_found("dunning campaign", campaign_id)
    return row


async def case_for(uow: UnitOfWork, case_id: str, needs: Capability, *, lock: bool = False) -> DunningCase:
    """Raises Forbidden, and NotFound also for another organisation's, unless the work crosses tenants."""
    uow.actor.require(needs)
    row = await uow.get(DunningCase, case_id, lock=lock) if is_id(str(case_id), "dcas") else None
    if row is None or not (uow.crosses or row.organization_id == uow.organization_id):
        raise not_found("dunning case", case_id)
    return row


async def hold_for(uow: UnitOfWork, hold_id: str, needs: Capability, *, lock: bool = False) -> DunningHold:
    """Raises Forbidden, and NotFound also for another organisation's, unless the work crosses tenants."""
    uow.actor.require(needs)
    row = await uow.get(DunningHold, hold_id, lock=lock) if is_id(str(hold_id), "dhld") else None
    if row is None or not (uow.crosses or row.organization_id == uow.organization_id):
        raise not_found("dunning hold", hold_id)
    return row


async def case_of(uow: UnitOfWork, invoice_id: str) -> DunningCase | None:
    """That of an invoice that the caller has locked, locked; not those that are history."""
    found = await uow.execute(
        "select id from dunning_case where invoice_id = :id and reopened_at is null", id=invoice_id
    )
    case_id = found.scalar_one_or_none()
    return None if case_id is None else await uow.get(DunningCase, case_id, lock=True)


async def last_history_of(uow: UnitOfWork, invoice_id: str) -> DunningCase | None:
    """The newest that a reopening made history of, locked, of an invoice that the caller has locked."""
    found = await uow.execute(
        "select id from dunning_case where invoice_id = :id and reopened_at is not null"
        " order by reopened_at desc, id desc limit 1",
        id=invoice_id,
    )
    case_id = found.scalar_one_or_none()
    return None if case_id is None else await uow.get(DunningCase, case_id, lock=True)
