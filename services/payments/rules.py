"""What may become of a payment, and what money that came pays. Pure.

Amounts are integer minor units of one currency.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from models.billing import InvoiceState
from models.payments import PaymentState
from services.core.errors import Conflict

S = PaymentState
TRANSITIONS: dict[PaymentState, frozenset[PaymentState]] = {
    S.SENDING: frozenset({S.REQUIRES_ACTION, S.PROCESSING, S.SUCCEEDED, S.FAILED, S.CANCELED}),
    S.REQUIRES_ACTION: frozenset({S.PROCESSING, S.SUCCEEDED, S.FAILED, S.CANCELED}),
    S.PROCESSING: frozenset({S.REQUIRES_ACTION, S.SUCCEEDED, S.FAILED, S.CANCELED}),
    # A provider may say late that money came after all: what it says counts, whatever was thought before.
    S.FAILED: frozenset({S.SUCCEEDED}),
    S.CANCELED: frozenset({S.SUCCEEDED}),
    S.SUCCEEDED: frozenset(),
}
UNDER_WAY = frozenset({S.SENDING, S.REQUIRES_ACTION, S.PROCESSING})
# How long after it was last asked a provider is asked again; the last goes on until the payment has ended.
CHECK_WAITS = tuple(timedelta(seconds=seconds) for seconds in (90, 300, 900, 3_600, 21_600))


class PaymentStateConflict(Conflict):
    """What was asked for does not fit the state that the payment is in."""

    code = "payment_state"
    title = "The payment is not in a state for this"


def may_become(now: PaymentState, wanted: PaymentState) -> bool:
    return wanted in TRANSITIONS[now]


def require_transition(now: PaymentState, wanted: PaymentState) -> None:
    """Raises PaymentStateConflict for what the table does not have; also for a state that is there already."""
    if not may_become(now, wanted):
        raise PaymentStateConflict(
            f"This payment is {now.value.replace('_', ' ')} and cannot become {wanted.value}.",
            next_step="Read it again: it has moved on.",
            state=now.value,
        )


@dataclass(frozen=True, slots=True)
class Applied:
    """How money that came is divided: it pays what is due, then what was given up, and the rest is owed back."""

    to_due: int
    to_written_off: int
    over: int

    @property
    def to_invoice(self) -> int:
        return self.to_due + self.to_written_off


def apply(minor: int, state: InvoiceState | None, *, due: int, written_off: int) -> Applied:
    """Divide `minor`, which is above zero. Without an invoice, or with one that asks for nothing any more, all of it
    is over: money that came is never refused, and never lost."""
    if state is InvoiceState.FINALIZED:
        to_due = min(minor, due)
        return Applied(to_due, 0, minor - to_due)
    if state is InvoiceState.UNCOLLECTIBLE:
        recovered = min(minor, written_off)
        return Applied(0, recovered, minor - recovered)
    return Applied(0, 0, minor)


def check_wait(checks: int) -> timedelta:
    """How long to wait before a provider is asked again, after so many times."""
    return CHECK_WAITS[min(checks, len(CHECK_WAITS) - 1)]
