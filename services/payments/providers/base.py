"""What every payment provider does for us: one small interface, and the values that cross it.

Money crosses as ours (minor units, ISO currency); an adapter translates with `models.money.to_provider`. Identifiers
of the provider cross as opaque `reference` text. `key` is always ours: 1 to KEY_LENGTH_MAX characters, chosen and
committed before the call, sent as the provider's idempotency key and kept by the provider with the object, so that
`read_back` finds what became of an attempt whose answer was lost.

The four ways a call may fail are told apart by what is known afterwards:

- `Declined`: the bank said no. Nothing was charged.
- `RefusedByProvider`: the provider will not do this, now or on repetition. Nothing was done.
- `ProviderUnavailable`: the provider did not take the request. Nothing was done; the same key may be sent again.
- `UnknownOutcome`: it may or may not have been done. Never count it as failed: ask `read_back`, or repeat the call
  with the same key and the same content, which can do it only once.

An adapter never retries, never sleeps and holds no state but its connections.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from models.money import Money
from services.core.errors import Conflict, MatrixError, Unavailable
from services.core.work import Work
from services.payments.providers.capabilities import Capabilities
from services.payments.providers.values import (
    Advice,
    Customer,
    Decline,
    DeclineKind,
    Dispute,
    Evidence,
    Method,
    Movement,
    Order,
    Page,
    Payment,
    Payout,
    ProviderEvent,
    Refund,
    RefundOrder,
    Setup,
    SetupOrder,
)


class Declined(MatrixError):
    """The bank or the provider declined the payment. `hard` means never again with this method.

    `decline_code` is the provider's own. `reference` is the payment at the provider, if it made one.
    """

    status = 402
    code = "payment_declined"
    title = "The payment was declined"

    def __init__(self, decline: Decline, *, reference: str = "") -> None:
        super().__init__(
            "The bank declined the payment.", next_step=decline.told, reason=decline.shown_kind.value
        )
        self.decline = decline
        self.reference = reference

    @property
    def decline_code(self) -> str:
        return self.decline.code

    @property
    def kind(self) -> DeclineKind:
        return self.decline.kind

    @property
    def hard(self) -> bool:
        return self.decline.hard

    @property
    def advice(self) -> Advice:
        return self.decline.advice


class UnknownOutcome(Unavailable):
    """The answer was lost or never came: it may have been done."""

    code = "payment_outcome_unknown"
    title = "It is not known yet whether this was done"


class ProviderUnavailable(Unavailable):
    """The provider took nothing: busy, limited or out of reach. `retry_after_s` is its wish, 0 when it has none."""

    code = "payment_provider_unavailable"
    title = "The payment provider is not available at the moment"

    def __init__(self, message: str, *, retry_after_s: int = 0) -> None:
        super().__init__(message, next_step="Try again in a moment.")
        self.retry_after_s = retry_after_s


class RefusedByProvider(Conflict):
    """The provider will not do it and repeating is useless. `reason` is its code, `parameter` what it disliked."""

    code = "payment_refused"
    title = "The payment provider refused this"

    def __init__(self, message: str, *, reason: str, parameter: str = "") -> None:
        super().__init__(message, reason=reason)
        self.reason = reason
        self.parameter = parameter


class WebhookRefused(MatrixError):
    """Not an event of ours: nothing of it may be stored as one."""

    status = 400
    code = "webhook_refused"
    title = "This is no event of the payment provider"

    def __init__(self, reason: str) -> None:
        super().__init__(f"The event was refused: {reason}.", reason=reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Opening:
    """What an account is opened with. `allowed` are the `host:port` pairs that may be private.

    `work` opens the product's own work across tenants, for those that nobody can ask what moved: it is kept here.
    """

    account_id: str
    settings: Mapping[str, str]
    secrets: Mapping[str, str]
    allowed: Collection[str]
    work: Work


class PaymentProvider(Protocol):
    """See the module for `key`, `reference` and the errors that each of these raises."""

    @property
    def capabilities(self) -> Capabilities: ...

    async def close(self) -> None: ...

    async def keep_customer(self, customer: Customer, *, key: str) -> str:
        """Makes a record to keep methods under, and gives its reference."""
        ...

    async def create_or_confirm(self, order: Order) -> Payment:
        """Raises Declined when the bank refuses; 3-D Secure is no error but ACTION_REQUIRED."""
        ...

    async def capture(self, reference: str, *, key: str, amount: Money | None = None) -> Payment:
        """Takes reserved money, all or a part; the rest is released."""
        ...

    async def cancel(self, reference: str, *, key: str) -> Payment:
        """Releases what is reserved and makes later confirmation impossible. Refused once PAID."""
        ...

    async def refund(self, order: RefundOrder) -> Refund:
        """Refused when more than what is left, or while the payment is disputed."""
        ...

    async def setup(self, order: SetupOrder) -> Setup: ...

    async def methods(self, customer: str) -> tuple[Method, ...]:
        """The customer's kept ones, at most PAGE_ITEMS_MAX, newest first."""
        ...

    async def read_method(self, reference: str) -> Method | None:
        """A kept one as it is now; None where it is kept no more."""
        ...

    async def detach(self, method: str, *, key: str) -> None:
        """Forgets a kept method; one that is gone already is no error."""
        ...

    async def read(self, reference: str) -> Payment: ...

    async def read_setup(self, reference: str) -> Setup: ...

    async def read_refund(self, reference: str) -> Refund: ...

    async def read_dispute(self, reference: str) -> Dispute: ...

    async def read_payout(self, reference: str) -> Payout: ...

    async def read_back(self, key: str, *, since: datetime, customer: str = "") -> Payment | None:
        """What became of the attempt `key` begun at `since`; None when the provider knows of none now.

        A request may still be on its way: believe None only after the call's timeout has passed.
        Raises UnknownOutcome when there are too many payments of that time to look through.
        """
        ...

    async def read_back_refund(self, key: str, *, payment: str) -> Refund | None: ...

    async def verify_webhook(self, headers: Mapping[str, str], raw: bytes, *, now: datetime) -> ProviderEvent:
        """Raises WebhookRefused: no or wrong signature, too old, from the future, changed, or of another account;
        and ProviderUnavailable where a certificate that has to be fetched first cannot be had.

        `headers` are looked up without regard to case; `now` is the clock on the wall.
        """
        ...

    async def movements(self, *, since: datetime, until: datetime, cursor: str = "") -> Page[Movement]:
        """What moved the balance in [since, until)."""
        ...

    async def payouts(self, *, since: datetime, cursor: str = "") -> Page[Payout]: ...

    async def payout_movements(self, payout: str, *, cursor: str = "") -> Page[Movement]:
        """What a traced payout consists of, without the payout itself: the nets add up to its amount."""
        ...

    async def disputes(self, *, since: datetime, cursor: str = "") -> Page[Dispute]: ...

    async def answer_dispute(self, reference: str, evidence: Evidence, *, key: str) -> Dispute:
        """Hands the evidence in, with its files: once and for ever."""
        ...
