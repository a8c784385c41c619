"""A document that is issued gets a paper. Who finalises it does not wait for that."""

from __future__ import annotations

from services.core.relay import Delivered, Subscriber
from services.core.work import UnitOfWork

_WAIT = """
insert into paper (document_id, organization_id, kind, number, due_minor, state, due_at, attempts, error, edition,
  missing, created_at)
values (:document_id, :organization_id, :kind, :number, :due_minor, 'waiting', :now, 0, '', '', '[]', :now)
on conflict (document_id) do nothing
"""


async def _invoice_issued(uow: UnitOfWork, event: Delivered) -> None:
    """What was due then is kept: the invoice itself says what is due by now."""
    await _wait(uow, event, "invoice", event.payload["due_minor"])


async def _note_issued(uow: UnitOfWork, event: Delivered) -> None:
    await _wait(uow, event, "credit_note", None)


async def _wait(uow: UnitOfWork, event: Delivered, kind: str, due_minor: int | None) -> None:
    """Delivered again, it changes nothing."""
    await uow.execute(
        _WAIT,
        document_id=event.aggregate_id,
        organization_id=event.organization_id,
        kind=kind,
        number=event.payload["number"],
        due_minor=due_minor,
        now=uow.wall_now,
    )


PAPERS = Subscriber(
    "issued documents", {"invoice.finalized": _invoice_issued, "credit_note.issued": _note_issued}
)
SUBSCRIBERS = [PAPERS]
