"""Noting that somebody of staff looked at personal data."""

from __future__ import annotations

from datetime import timedelta

import orjson

from services.audit.events import PersonalDataRead
from services.core.actor import SYSTEM
from services.core.work import UnitOfWork

MAILBOX = "mailbox"  # what the log calls a read of everybody's mail
NOTED_FOR = timedelta(minutes=15)  # a page that is open reads again and again

_NOTED = """
select from event
where actor_id = :actor and aggregate_id = :aggregate and type = :type and recorded_at > :since
  and payload = cast(:payload as jsonb)
limit 1
"""


async def note_read(
    uow: UnitOfWork, what: str, *, organization_id: str | None = None, row_id: str | None = None
) -> None:
    """Have the log say that the actor read `what`, of an organisation or (without one) of the installation; `row_id`
    says which one, where there are several.

    Once within NOTED_FOR, however often it is read, and not for the product itself, which looks at nothing.
    """
    if uow.actor.id == SYSTEM:
        return
    event = PersonalDataRead(
        aggregate_id=organization_id or what, organization_id=organization_id, what=what, row_id=row_id
    )
    if event not in uow.recorded and not await _is_noted(uow, event):
        uow.record(event)


async def _is_noted(uow: UnitOfWork, event: PersonalDataRead) -> bool:
    found = await uow.execute(
        _NOTED,
        actor=uow.actor.id,
        aggregate=event.aggregate_id,
        type=event.type,
        since=uow.wall_now - NOTED_FOR,
        payload=orjson.dumps(event.payload()).decode(),
    )
    return found.first() is not None
