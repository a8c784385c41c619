"""Whether an organisation has been used at all."""

from __future__ import annotations

from services.core.work import UnitOfWork


async def has_usage(uow: UnitOfWork, organization_id: str) -> bool:
    """Whether any call or usage event of the organisation was ever counted. `uow` crosses tenants or is its own."""
    found = await uow.execute(
        "select exists (select from usage_event where organization_id = :id)", id=organization_id
    )
    return found.scalar_one()
