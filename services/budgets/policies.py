"""The way to budgets: those of the organisation that the work is bound to."""

from __future__ import annotations

from models.budgets import Budget
from services.budgets.events import BudgetChanged
from services.core.errors import Conflict, not_found
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.identity.queries import changed_meanwhile


async def budget_for(
    uow: UnitOfWork, budget_id: str, needs: Capability, *, version: int | None = None
) -> Budget:
    """One that still counts, locked. Raises Forbidden, NotFound also for another's, StaleVersion, and Conflict for
    one that was archived."""
    uow.actor.require(needs)
    row = await uow.get(Budget, budget_id, lock=True)
    if row is None or row.organization_id != uow.organization_id:
        raise not_found("budget", budget_id)
    if row.archived_at is not None:
        raise Conflict("This budget was archived.", next_step="Make a new one.", code="budget_archived")
    if version is not None and version != row.version:
        raise await changed_meanwhile(uow, row.id, BudgetChanged.type, what="budget")
    return row
