"""The values that cross the border to a payment provider. See base.py for what they are used in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from models.money import Money, Provider
from services.payments.brands import CardBrand

T = TypeVar("T")

KEY_LENGTH_MAX = 100
PAGE_ITEMS_MAX = 100  # of movements, payouts and disputes asked for at once
NOTES = "notes"  # the text that goes along where a provider has no fields for them
EVIDENCE_TEXT_MAX = 150_000  # characters of all texts together


class PaymentState(StrEnum):
    """CREATED waits for a means to pay; after a decline it is CREATED again, with `decline` saying why.

    APPROVED is where some providers leave it to us to take what the customer agreed to: nothing is paid until the
    same order goes to `create_or_confirm` once more, with its `reference`.
    """

    CREATED = "created"
    ACTION_REQUIRED = "action_required"
    APPROVED = "approved"
    PROCESSING = "processing"
    AUTHORIZED = "authorized"
    PAID = "paid"
    CANCELED = "canceled"


class SetupState(StrEnum):
    CREATED = "created"
    ACTION_REQUIRED = "action_required"
    PROCESSING = "processing"
    READY = "ready"
    CANCELED = "canceled"


class RefundState(StrEnum):
    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"  # the money is back in our balance; the customer has nothing
    CANCELED = "canceled"


class DisputeState(StrEnum):
    """WARNING_* are inquiries: no money has moved yet."""

    WARNING_NEEDS_ANSWER = "warning_needs_answer"
    WARNING_UNDER_REVIEW = "warning_under_review"
    WARNING_CLOSED = "warning_closed"
    NEEDS_ANSWER = "needs_answer"
    UNDER_REVIEW = "under_review"
    WON = "won"
    LOST = "lost"


class PayoutState(StrEnum):
    UNDERWAY = "underway"
    PAID = "paid"
    FAILED = "failed"
    CANCELED = "canceled"


class MovementKind(StrEnum):
    """Why a provider's balance moved. OTHER is never guessed away: reconciliation opens a case for it."""

    CHARGE = "charge"
    REFUND = "refund"
    REFUND_FAILURE = "refund_failure"
    DISPUTE = "dispute"
    DISPUTE_REVERSAL = "dispute_reversal"
    FEE = "fee"
    PAYOUT = "payout"
    PAYOUT_FAILURE = "payout_failure"
    REVERSAL = "reversal"  # a payment is gone again, with the block it was in
    SWEEP = "sweep"  # sent on from where it had come to, by somebody else than us
    OTHER = "other"


class EventSubject(StrEnum):
    """What an event is about, and so what to read again."""

    PAYMENT = "payment"
    SETUP = "setup"
    METHOD = "method"
    REFUND = "refund"
    DISPUTE = "dispute"
    WARNING = "warning"  # an early fraud warning: `reference` is the warning, `payment` what it is about
    PAYOUT = "payout"
    OTHER = "other"


class DeclineKind(StrEnum):
    """The reasons people can act on; what they are told is worded by kind."""

    FUNDS = "funds"
    CARD_GONE = "card_gone"  # lost, stolen, closed
    CARD_DATA = "card_data"  # number, expiry, security code
    EXPIRED = "expired"
    AUTHENTICATION = "authentication"
    NOT_ALLOWED = "not_allowed"  # the card does not do this kind of payment, currency or country
    LIMIT = "limit"
    FRAUD = "fraud"
    TRY_LATER = "try_later"
    REVOKED = "revoked"  # the customer withdrew the permission to be charged
    UNEXPLAINED = "unexplained"


class Advice(StrEnum):
    """What to do next about a decline."""

    RETRY_LATER = "retry_later"
    ASK_CUSTOMER = "ask_customer"  # to authenticate, to mend the data, or to call the bank
    OTHER_METHOD = "other_method"
    NEVER_AGAIN = "never_again"  # not with this method, whatever happens


@dataclass(frozen=True, slots=True)
class Decline:
    """`told` is a sentence for the customer in English; pages word it by `shown_kind` in their language."""

    code: str
    kind: DeclineKind
    hard: bool
    advice: Advice
    told: str

    @property
    def shown_kind(self) -> DeclineKind:
        """The kind as a customer may hear of it: never that the bank thinks of theft or fraud."""
        hidden = (DeclineKind.FRAUD, DeclineKind.CARD_GONE)
        return DeclineKind.UNEXPLAINED if self.kind in hidden else self.kind


@dataclass(frozen=True, slots=True)
class Customer:
    """Whom the provider should know a method under."""

    name: str
    email: str
    organization: str  # our identifier, kept with the provider's record


@dataclass(frozen=True, slots=True)
class Order:
    """One attempt to be paid.

    With `method` it is charged at once; without one the customer gives the means on the provider's page, where the
    answer's `action` leads. `off_session` says that nobody is there to authenticate, and needs `method` and
    `customer`. `reference` confirms an existing payment again instead of making one, for example with another method.
    `capture` False only reserves the money: an invoice asks for what is owed, so nothing here does that yet.
    """

    key: str
    amount: Money
    description: str
    customer: str = ""
    method: str = ""
    reference: str = ""
    off_session: bool = False
    capture: bool = True
    keep_method: bool = False
    return_url: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Action:
    """The page of the provider where the customer must go on. Never logged."""

    url: str


@dataclass(frozen=True, slots=True)
class Method:
    """A kept means to pay, as far as it may be known: never a number. Empty text and 0 mean unknown."""

    reference: str
    kind: str  # card, link, sepa_debit ...: the provider's word
    brand: CardBrand = CardBrand.UNKNOWN
    last4: str = ""
    expiry_month: int = 0
    expiry_year: int = 0
    fingerprint: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Payment:
    """What a provider says a payment is now. `captured` and `refunded` are totals so far.

    `disputed` says that it once was, where the provider tells; how a dispute stands, disputes say.
    """

    reference: str
    key: str  # of the attempt that made it; empty when it is none of ours
    state: PaymentState
    amount: Money
    captured: Money
    refunded: Money
    disputed: bool = False
    charge: str = ""  # what movements and disputes name as their source
    method: Method | None = None
    action: Action | None = None
    decline: Decline | None = None
    created: datetime | None = None


@dataclass(frozen=True, slots=True)
class SetupOrder:
    """One attempt to keep a method of `customer`, for later charges without them."""

    key: str
    customer: str
    method: str = ""
    return_url: str = ""


@dataclass(frozen=True, slots=True)
class Setup:
    reference: str
    key: str
    state: SetupState
    method: Method | None = None
    action: Action | None = None
    decline: Decline | None = None


@dataclass(frozen=True, slots=True)
class RefundOrder:
    """`amount` None means all that is left."""

    key: str
    payment: str
    amount: Money | None = None


@dataclass(frozen=True, slots=True)
class Refund:
    reference: str
    key: str
    payment: str
    state: RefundState
    amount: Money
    failure: str = ""  # the provider's reason of a FAILED one


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """A verified event: a hint what to read again, never the truth itself. `id` is unique for ever at the provider.

    `reference` is the subject's; `payment` the payment it belongs to, `key` ours, both empty when the event does
    not say. `created` is the provider's time: events arrive in any order.
    """

    provider: Provider
    id: str
    type: str
    subject: EventSubject
    reference: str
    payment: str
    key: str
    created: datetime


@dataclass(frozen=True, slots=True)
class Movement:
    """One change of our balance at the provider: net = gross - fee, signed as it changed the balance."""

    reference: str
    kind: MovementKind
    category: str  # the provider's own word for the kind
    gross: Money
    fee: Money
    net: Money
    created: datetime
    available: datetime  # from when it can be paid out
    source: str = ""  # charge, refund, dispute or payout
    payment: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Payout:
    """`traced` says whether `payout_movements` can tell what it consists of."""

    reference: str
    state: PayoutState
    amount: Money
    created: datetime
    arrives: datetime
    traced: bool
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Dispute:
    """`due` None means that no answer is possible any more (or ever was). `fee` is what the provider keeps for it so
    far; None where only its movements tell."""

    reference: str
    payment: str
    charge: str
    state: DisputeState
    reason: str
    amount: Money
    due: datetime | None
    submissions: int
    created: datetime
    fee: Money | None = None


@dataclass(frozen=True, slots=True)
class EvidenceFile:
    """A file that goes along. `kind` is its media type, `file_id` ours of one that staff added."""

    field: str
    name: str
    kind: str
    content: bytes
    file_id: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What we answer to a dispute. `texts` are by the provider's names, as are the fields of `files`.

    All texts together have at most `EVIDENCE_TEXT_MAX` characters.
    """

    texts: Mapping[str, str]
    files: tuple[EvidenceFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """`cursor` gives the next page, empty at the end. Newest first."""

    items: tuple[T, ...]
    cursor: str = ""
