"""What happens to the ledger."""

from __future__ import annotations

from typing import ClassVar

from services.core.events import DomainEvent


class JournalPosted(DomainEvent):
    """`reverses` is the journal that this one undoes, if it does."""

    type: ClassVar[str] = "ledger.journal_posted"

    key: str
    kind: str
    cause_id: str
    reverses: str | None
