"""Noting that somebody of staff looked at personal data."""

from __future__ import annotations

from services.audit.events import PersonalDataRead
from services.core.work import UnitOfWork

MAILBOX = "mailbox"  # what the log calls a read of everybody's mail


def note_read(uow: UnitOfWork, what: str, *, organization_id: str | None = None) -> None:
    """Have the log say that the actor read `what`, of an organisation or (without one) of the installation.

    Once for each unit of work, however often it is asked: one look is one entry.
    """
    event = PersonalDataRead(aggregate_id=organization_id or what, organization_id=organization_id, what=what)
    if event not in uow.recorded:
        uow.record(event)
