"""Cases that are answered by what came later: what they ask about was found, so nothing is left to decide."""

from __future__ import annotations

from services.core.work import UnitOfWork
from services.reconciliation.events import PaymentCaseDismissed

FOUND_LATER = "It was found later."
_CLOSE = """
update payment_case set state = 'dismissed', note = :note, resolved_at = :now, version = version + 1
where kind in ('difference','unmatched') and state = 'open'
  and (subject = any(:found) or subject in (select j.cause_id from provider_movement m
    join ledger_journal j on j.id = m.journal_id where m.id = any(:found)))
returning id, organization_id, kind
"""


async def close_what_was_found(uow: UnitOfWork, found: list[str]) -> None:
    """Of movements and lines that were matched, and of the payments and refunds whose movements they are."""
    if not found:
        return
    closed = await uow.execute(_CLOSE, found=found, note=FOUND_LATER, now=uow.wall_now)
    for row in closed.all():
        uow.record(
            PaymentCaseDismissed(aggregate_id=row.id, organization_id=row.organization_id, kind=row.kind)
        )
