"""What may become of a refund, how much one may give back and of what, and who has to agree. Pure.

Amounts are integer minor units of one currency.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from models.money import Money
from models.payments import Payment
from models.refunds import RefundState
from services.core.errors import Conflict, Forbidden, Invalid

S = RefundState
TRANSITIONS: dict[RefundState, frozenset[RefundState]] = {
    S.AWAITING_APPROVAL: frozenset({S.SENDING, S.SUCCEEDED, S.REJECTED, S.CANCELED}),
    S.SENDING: frozenset({S.PROCESSING, S.SUCCEEDED, S.FAILED, S.CANCELED}),
    S.PROCESSING: frozenset({S.SUCCEEDED, S.FAILED}),
    S.SUCCEEDED: frozenset({S.FAILED}),  # banks send money back days later
    S.FAILED: frozenset(),
    S.CANCELED: frozenset(),
    S.REJECTED: frozenset(),
}
ANY_CURRENCY = "*"
# What providers call a refund that they refuse because the customer's bank takes the money back.
DISPUTED = frozenset({"charge_disputed", "refund_not_permitted_due_to_chargeback"})


class RefundStateConflict(Conflict):
    """What was asked for does not fit the state that the refund is in."""

    code = "refund_state"
    title = "The refund is not in a state for this"


class NothingToRefund(Conflict):
    code = "nothing_to_refund"
    title = "Nothing of this can be given back"


class PaymentDisputed(Conflict):
    """The customer's bank takes the money back: a refund would give it twice."""

    code = "payment_disputed"
    title = "This payment is disputed"


class SecondPersonNeeded(Forbidden):
    """Whoever asked for a refund does not approve it."""

    code = "second_person_needed"
    title = "Somebody else has to agree"


def require_transition(now: RefundState, wanted: RefundState) -> None:
    """Raises RefundStateConflict for what the table does not have; also for a state that is there already."""
    if wanted not in TRANSITIONS[now]:
        raise RefundStateConflict(
            f"This refund is {now.value.replace('_', ' ')} and cannot become {wanted.value.replace('_', ' ')}.",
            next_step="Read it again: it has moved on.",
            state=now.value,
        )


def needs_approval(money: Money, above: Mapping[str, int]) -> bool:
    """Whether a second person has to agree. `above` are the most that one may give back alone, in minor units by
    currency, `*` for all others; without any, everything waits."""
    return money.minor > above.get(money.currency, above.get(ANY_CURRENCY, 0))


class PaidFor(StrEnum):
    """What a payment was for."""

    INVOICE = "invoice"
    TOP_UP = "top_up"
    ACCOUNT = "account"


def paid_for(payment: Payment) -> PaidFor:
    if payment.top_up_id is not None:
        return PaidFor.TOP_UP
    return PaidFor.ACCOUNT if payment.invoice_id is None else PaidFor.INVOICE


# Why no more of it is given back than is owed, and where to see what became of the rest.
_USED = {
    PaidFor.INVOICE: (
        "More of this payment is not owed to the customer, and its invoice has no more to credit.",
        "See its refunds and the credit notes of its invoice.",
    ),
    PaidFor.TOP_UP: (
        "More than this is used: only what is left of this top-up in the wallet can be given back.",
        "See its refunds and what the wallet paid.",
    ),
    PaidFor.ACCOUNT: (
        "More than this is used: only what is left of this money on account can be given back.",
        "See its refunds and which invoices it paid.",
    ),
}


@dataclass(frozen=True, slots=True)
class Means:
    """What could be given back, in minor units: `left` of the payment, `owed` to the customer already by credits or a
    lot of the wallet that came of it, and what a credit note could take back of its invoice."""

    left: int
    owed: int
    creditable: int
    paid_for: PaidFor


@dataclass(frozen=True, slots=True)
class Parts:
    """Of what a refund consists: what is owed already, and what is credited for it."""

    owed: int
    credited: int

    @property
    def minor(self) -> int:
        return self.owed + self.credited


def parts_of_all(means: Means) -> Parts:
    """All that is left of the payment and can be given back; what is owed already goes first."""
    owed = min(means.left, means.owed)
    return _some(Parts(owed, min(means.left - owed, means.creditable)), means)


def parts_of_amount(minor: int, means: Means) -> Parts:
    """Raises Invalid for what is not above zero, and for more than there is."""
    if minor <= 0:
        raise Invalid("A refund is above zero.", field="amount")
    if not means.left:
        raise _nothing(means)
    require_left(minor, means.left, field="amount")
    owed = min(minor, means.owed)
    if minor - owed > means.creditable:
        raise Invalid(
            _USED[means.paid_for][0],
            field="amount",
            next_step="Ask for the preview: it says what is left.",
            code="refund_exceeds_payment",
        )
    return Parts(owed, minor - owed)


def parts_of_lines(worth: int, means: Means) -> Parts:
    """Lines are credited whatever is owed already; `worth` is what a note of them takes back."""
    require_left(worth, means.left, field="lines")
    return _some(Parts(0, worth), means)


def require_left(minor: int, left: int, *, field: str) -> None:
    """Raises Invalid."""
    if minor > left:
        raise Invalid(
            "This is more than is left of the payment.",
            field=field,
            next_step="Ask for the preview: it says what is left.",
            code="refund_exceeds_payment",
        )


def _some(parts: Parts, means: Means) -> Parts:
    if not parts.minor:
        raise _nothing(means)
    return parts


def _nothing(means: Means) -> NothingToRefund:
    return NothingToRefund(
        "All of this payment was given back, or nothing of it can be.", next_step=_USED[means.paid_for][1]
    )
