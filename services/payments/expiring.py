"""Who is charged by itself with a card that expires is told of it, once for each card, from the month before on."""

from __future__ import annotations

from datetime import date

from services.core.actor import system
from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.errors import NotFound
from services.core.permissions import Capability
from services.core.work import UnitOfWork, unit_of_work
from services.payments import policies
from services.payments.events import PaymentMethodExpiring

BATCH = 100
# Months are counted from the year 0. Cards expire by the clock on the wall.
_EXPIRING = """
select id, organization_id from payment_method
where is_default and expires_year * 12 + expires_month between :month and :month + 1
  and (expiry_told is null
    or extract(year from expiry_told) * 12 + extract(month from expiry_told) <> expires_year * 12 + expires_month)
  and id > :after order by id limit :most
"""


async def tell(on: Database | None = None, clock: Clock | None = None) -> int:
    """Returns how many expire. Safe to run twice and from many workers."""
    told, after = 0, ""
    while True:
        async with crossing(Reason.PAYMENTS, on=on, clock=clock) as uow:
            month = uow.wall_now.year * 12 + uow.wall_now.month
            batch = (await uow.execute(_EXPIRING, month=month, after=after, most=BATCH)).all()
        for row in batch:
            async with unit_of_work(system(row.organization_id), on=on, clock=clock) as uow:
                told += await _told(uow, row.id)
        if len(batch) < BATCH:
            return told
        after = batch[-1].id


async def _told(uow: UnitOfWork, method_id: str) -> bool:
    try:
        row = await policies.method_for(uow, method_id, Capability.PAYMENTS_WRITE, lock=True)
    except NotFound:
        return False  # it was removed meanwhile
    if row.expires_year is None or row.expires_month is None or not row.is_default:
        return False
    expiry = date(row.expires_year, row.expires_month, 1)
    if row.expiry_told == expiry:
        return False
    row.expiry_told = expiry
    uow.add(row)
    uow.record(
        PaymentMethodExpiring(
            aggregate_id=row.id,
            organization_id=row.organization_id,
            brand=row.brand,
            last4=row.last4,
            month=row.expires_month,
            year=row.expires_year,
        )
    )
    return True
