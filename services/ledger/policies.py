"""The way to rows of the ledger: one's own, or any in work that crosses tenants."""

from __future__ import annotations

from models.ledger import LedgerDeferral, LedgerJournal
from services.core.errors import not_found
from services.core.work import UnitOfWork


def require_own(uow: UnitOfWork, organization_id: str | None) -> None:
    """Raises NotFound for another's book, which row-level security would refuse, too, without saying why."""
    if not uow.crosses and organization_id != uow.organization_id:
        raise not_found("book", organization_id or "platform")


async def journal_for(uow: UnitOfWork, journal_id: str) -> LedgerJournal:
    """Raises NotFound also for a journal of another book."""
    journal = await uow.get(LedgerJournal, journal_id)
    if journal is None:
        raise not_found("journal", journal_id)
    require_own(uow, journal.organization_id)
    return journal


async def deferral_for(uow: UnitOfWork, organization_id: str, line_id: str) -> LedgerDeferral:
    """The deferral of a line, locked. Raises NotFound also for another book's."""
    require_own(uow, organization_id)
    deferral = await uow.get(LedgerDeferral, (organization_id, line_id), lock=True)
    if deferral is None:
        raise not_found("deferral", line_id)
    return deferral
