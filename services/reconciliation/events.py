"""What happens when books are compared."""

from __future__ import annotations

from typing import ClassVar

from services.core.events import DomainEvent


class PaymentCaseAccepted(DomainEvent):
    """What was proposed is booked."""

    type: ClassVar[str] = "payment_case.accepted"
    kind: str
    journal_id: str | None


class PaymentCaseDismissed(DomainEvent):
    """It is closed and nothing was booked."""

    type: ClassVar[str] = "payment_case.dismissed"
    kind: str


class BankStatementImported(DomainEvent):
    type: ClassVar[str] = "bank_statement.imported"
    lines: int
    new_lines: int
