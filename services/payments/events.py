"""What happens to payments and to what is paid with. Amounts are minor units of the `currency` beside them."""

from __future__ import annotations

from typing import ClassVar

from services.core.events import DomainEvent


class PaymentStarted(DomainEvent):
    """Written down before a provider is asked."""

    type: ClassVar[str] = "payment.started"
    currency: str
    invoice_id: str | None
    minor: int
    provider: str
    initiator: str


class PaymentWaits(DomainEvent):
    """For the customer, or for the provider."""

    type: ClassVar[str] = "payment.waits"
    state: str


class PaymentSucceeded(DomainEvent):
    """Money came. `over_minor` of it paid no invoice and is a credit of the customer."""

    type: ClassVar[str] = "payment.succeeded"
    currency: str
    invoice_id: str | None
    minor: int
    over_minor: int
    provider: str


class PaymentFailed(DomainEvent):
    """`hard`: the same method cannot work again."""

    type: ClassVar[str] = "payment.failed"
    invoice_id: str | None
    code: str
    hard: bool


class PaymentCanceled(DomainEvent):
    type: ClassVar[str] = "payment.canceled"
    invoice_id: str | None


class ProviderAccountAdded(DomainEvent):
    type: ClassVar[str] = "provider_account.added"
    provider: str
    name: str


class ProviderAccountChanged(DomainEvent):
    """Which parts, never what they say: some are secret."""

    type: ClassVar[str] = "provider_account.changed"
    changed: list[str]


class PaymentMethodSaved(DomainEvent):
    type: ClassVar[str] = "payment_method.saved"
    kind: str


class PaymentMethodChanged(DomainEvent):
    type: ClassVar[str] = "payment_method.changed"
    changed: list[str]


class PaymentMethodRemoved(DomainEvent):
    type: ClassVar[str] = "payment_method.removed"
    kind: str


class PaymentCaseOpened(DomainEvent):
    """Something does not fit, and somebody has to look at it."""

    type: ClassVar[str] = "payment_case.opened"
    kind: str
    cause: str
    subject: str


class PaymentLinkMade(DomainEvent):
    """Whoever has it pays that invoice, until it ends."""

    type: ClassVar[str] = "payment_link.made"
    invoice_id: str
    expires_at: str


class PaymentLinkRevoked(DomainEvent):
    type: ClassVar[str] = "payment_link.revoked"
    invoice_id: str


class MethodSetupStarted(DomainEvent):
    """Somebody goes to the provider's page to have a method kept."""

    type: ClassVar[str] = "method_setup.started"
    provider: str


class MethodSetupEnded(DomainEvent):
    type: ClassVar[str] = "method_setup.ended"
    state: str
