"""What happens to wallets. Amounts are minor units of the `currency` beside them.

Usage that is debited is no event of its own: it is a high-volume fact. Its journals are events of the ledger.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from services.core.events import DomainEvent


class WalletToppedUp(DomainEvent):
    """A customer paid ahead of use."""

    type: ClassVar[str] = "wallet.topped_up"
    currency: str
    lot_id: str
    minor: int
    payment_key: str


class WalletGranted(DomainEvent):
    """Credit was given away."""

    type: ClassVar[str] = "wallet.granted"
    currency: str
    lot_id: str
    source: str
    minor: int
    expires_at: datetime | None


class WalletTakenBack(DomainEvent):
    """What was not used of what a plan had included for time that is not paid for any more, or of what a payment had
    put in that is given back."""

    type: ClassVar[str] = "wallet.taken_back"
    currency: str
    debit_id: str
    minor: int


class WalletPaid(DomainEvent):
    """An invoice was paid, or a part of it."""

    type: ClassVar[str] = "wallet.paid"
    currency: str
    debit_id: str
    invoice_id: str
    minor: int


class WalletGivenBack(DomainEvent):
    """What had paid an invoice is in the wallet again."""

    type: ClassVar[str] = "wallet.given_back"
    currency: str
    debit_id: str
    minor: int


class WalletLotExpired(DomainEvent):
    """What was left of a lot at its end is lost."""

    type: ClassVar[str] = "wallet.lot_expired"
    currency: str
    lot_id: str
    minor: int


class WalletTopUpDue(DomainEvent):
    """The balance fell below the threshold: whoever takes payments is asked for a top-up."""

    type: ClassVar[str] = "wallet.top_up_due"
    currency: str
    top_up_id: str
    minor: int
    left_minor: int


class WalletRuleSet(DomainEvent):
    """`threshold_minor` is None where the rule was taken away."""

    type: ClassVar[str] = "wallet.rule_set"
    currency: str
    threshold_minor: int | None
