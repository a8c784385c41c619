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
    """`hard`: the same method cannot work again. `kind` as customers may hear of it, `advice` what helps."""

    type: ClassVar[str] = "payment.failed"
    invoice_id: str | None
    code: str
    hard: bool
    kind: str
    advice: str
    initiator: str
    currency: str
    minor: int


class PaymentCanceled(DomainEvent):
    type: ClassVar[str] = "payment.canceled"
    invoice_id: str | None


class PaymentTakenBack(DomainEvent):
    """Money that had come was taken away again: what it paid is due."""

    type: ClassVar[str] = "payment.taken_back"
    currency: str
    invoice_id: str | None
    minor: int


class CryptoRateSaid(DomainEvent):
    """`price` is what one whole coin costs in major units of the currency."""

    type: ClassVar[str] = "crypto_rate.said"
    asset: str
    currency: str
    price: str


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


class PaymentMethodExpiring(DomainEvent):
    """What is charged by itself works no more after this month of this year."""

    type: ClassVar[str] = "payment_method.expiring"
    brand: str
    last4: str
    month: int
    year: int


class PaymentMethodRemoved(DomainEvent):
    type: ClassVar[str] = "payment_method.removed"
    kind: str


class PaymentCaseOpened(DomainEvent):
    """Something does not fit, and somebody has to look at it."""

    type: ClassVar[str] = "payment_case.opened"
    kind: str
    cause: str
    subject: str


class RefundRequested(DomainEvent):
    """It waits for a second person to agree."""

    type: ClassVar[str] = "refund.requested"
    payment_id: str
    currency: str
    minor: int
    destination: str


class RefundApproved(DomainEvent):
    type: ClassVar[str] = "refund.approved"
    payment_id: str


class RefundRejected(DomainEvent):
    type: ClassVar[str] = "refund.rejected"
    payment_id: str
    refusal: str


class RefundStarted(DomainEvent):
    """What it gives back is held for it; no provider was asked yet."""

    type: ClassVar[str] = "refund.started"
    payment_id: str
    credit_note_id: str | None
    currency: str
    minor: int
    destination: str


class RefundSucceeded(DomainEvent):
    type: ClassVar[str] = "refund.succeeded"
    payment_id: str
    currency: str
    minor: int
    destination: str


class RefundFailed(DomainEvent):
    """What was held for it is a credit of the customer again."""

    type: ClassVar[str] = "refund.failed"
    payment_id: str
    currency: str
    minor: int
    failure: str


class RefundCanceled(DomainEvent):
    type: ClassVar[str] = "refund.canceled"
    payment_id: str


class DisputeOpened(DomainEvent):
    """A customer's bank takes a payment back, or asks about it (`state`)."""

    type: ClassVar[str] = "dispute.opened"
    payment_id: str
    currency: str
    minor: int
    state: str
    reason: str


class DisputeChanged(DomainEvent):
    type: ClassVar[str] = "dispute.changed"
    payment_id: str
    before: str
    after: str


class DisputeMoneyTaken(DomainEvent):
    """`invoice_minor` of it is owed again."""

    type: ClassVar[str] = "dispute.money_taken"
    payment_id: str
    invoice_id: str | None
    currency: str
    minor: int
    invoice_minor: int


class DisputeMoneyReturned(DomainEvent):
    type: ClassVar[str] = "dispute.money_returned"
    payment_id: str
    invoice_id: str | None
    currency: str
    minor: int


class DisputeAnswered(DomainEvent):
    """Evidence was handed in: once and for ever."""

    type: ClassVar[str] = "dispute.answered"
    payment_id: str
    fields: list[str]


class DisputeAnswerFailed(DomainEvent):
    """What was written down to be handed in was not, and is not any more."""

    type: ClassVar[str] = "dispute.answer_failed"
    payment_id: str
    reason: str


class DisputeEvidenceAdded(DomainEvent):
    """A file that goes along with the answer. Never with its name."""

    type: ClassVar[str] = "dispute.evidence_added"
    payment_id: str
    file_id: str
    field: str


class DisputeEvidenceRemoved(DomainEvent):
    type: ClassVar[str] = "dispute.evidence_removed"
    payment_id: str
    file_id: str


class DisputeConceded(DomainEvent):
    """We will not answer it."""

    type: ClassVar[str] = "dispute.conceded"
    payment_id: str


class DisputeAnswerDue(DomainEvent):
    """In `days` or less the time to answer ends."""

    type: ClassVar[str] = "dispute.answer_due"
    payment_id: str
    days: int


class ContestOpened(DomainEvent):
    """A customer says that an invoice, or a line of it, is wrong by `minor`."""

    type: ClassVar[str] = "contest.opened"
    invoice_id: str
    line_id: str | None
    currency: str
    minor: int


class ContestEnded(DomainEvent):
    """`state` says how; `credited_minor` was taken back by a credit note."""

    type: ClassVar[str] = "contest.ended"
    invoice_id: str
    state: str
    currency: str
    credited_minor: int


class ContestAnswerDue(DomainEvent):
    """In `days` or less staff has to have answered."""

    type: ClassVar[str] = "contest.answer_due"
    invoice_id: str
    days: int


class PaymentLinkMade(DomainEvent):
    """Whoever has it pays that invoice, or that top-up, until it ends."""

    type: ClassVar[str] = "payment_link.made"
    invoice_id: str | None
    top_up_id: str | None
    expires_at: str


class PaymentLinkRevoked(DomainEvent):
    type: ClassVar[str] = "payment_link.revoked"
    invoice_id: str | None
    top_up_id: str | None


class MethodSetupStarted(DomainEvent):
    """Somebody goes to the provider's page to have a method kept."""

    type: ClassVar[str] = "method_setup.started"
    provider: str


class MethodSetupEnded(DomainEvent):
    type: ClassVar[str] = "method_setup.ended"
    state: str
