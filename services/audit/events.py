"""What is noted besides changes: that somebody looked."""

from __future__ import annotations

from typing import Any, ClassVar

from services.core.events import DomainEvent


class PersonalDataRead(DomainEvent):
    """Staff looked at what belongs to other people. In the log of the organisation looked into, if it is one."""

    type: ClassVar[str] = "personal_data.read"
    what: str  # organization, members, mailbox, invoice, and so on
    row_id: str | None = None  # which one, where an organisation has several

    def payload(self) -> dict[str, Any]:
        return self.model_dump(mode="json", include={"what", "row_id"}, exclude_none=True)
