"""Whether an organisation has anything to do with money."""

from __future__ import annotations

from services.core.work import UnitOfWork

_HAS = """
select exists (select from subscription where organization_id = :id)
  or exists (select from invoice where organization_id = :id)
  or exists (select from payment where organization_id = :id)
  or exists (select from payment_method where organization_id = :id)
  or exists (select from ledger_journal where organization_id = :id)
"""


async def has_money(uow: UnitOfWork, organization_id: str) -> bool:
    """Whether the organisation ever subscribed, was billed, paid, kept a method to pay with, or had anything booked.
    `uow` crosses tenants or is its own."""
    return (await uow.execute(_HAS, id=organization_id)).scalar_one()
