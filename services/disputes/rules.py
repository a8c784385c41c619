"""What may become of a dispute, and what is booked for it. Pure.

Amounts are integer minor units of one currency.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from models.disputes import Dispute, DisputeState
from models.ledger import Purpose
from models.money import Money
from services.core.errors import Conflict
from services.ledger.rules import Entry, credit, debit
from services.payments.rules import Applied

S = DisputeState
_FROM_NOW = frozenset({S.NEEDS_ANSWER, S.UNDER_REVIEW, S.WON, S.LOST})
_WARNINGS = frozenset({S.WARNING_NEEDS_ANSWER, S.WARNING_UNDER_REVIEW, S.WARNING_CLOSED})
TRANSITIONS: dict[DisputeState, frozenset[DisputeState]] = {
    S.WARNING_NEEDS_ANSWER: (_WARNINGS | _FROM_NOW) - {S.WARNING_NEEDS_ANSWER},
    S.WARNING_UNDER_REVIEW: (_WARNINGS | _FROM_NOW) - {S.WARNING_UNDER_REVIEW},
    S.WARNING_CLOSED: _FROM_NOW,  # the bank takes the money after all
    S.NEEDS_ANSWER: _FROM_NOW - {S.NEEDS_ANSWER},
    S.UNDER_REVIEW: _FROM_NOW - {S.UNDER_REVIEW},  # some ask again
    S.WON: frozenset(),
    S.LOST: frozenset(),
}
ASKS = frozenset({S.WARNING_NEEDS_ANSWER, S.NEEDS_ANSWER})
MONEY_IS_TAKEN = _FROM_NOW
ENDED = frozenset({S.WARNING_CLOSED, S.WON, S.LOST})
REMIND_DAYS = (7, 3, 1)  # before the end of the time to answer


class DisputeStateConflict(Conflict):
    """What was asked for does not fit the state that the dispute is in."""

    code = "dispute_state"
    title = "The dispute is not in a state for this"


def may_become(now: DisputeState, wanted: DisputeState) -> bool:
    return wanted in TRANSITIONS[now]


def is_under_way(dispute: Dispute) -> bool:
    """Whether an answer was written down and the provider has not said that it has it."""
    return dispute.evidence is not None and dispute.submitted_at is None


def require_answerable(state: DisputeState, *, due_at: datetime | None, now: datetime) -> None:
    """Raises DisputeStateConflict for one that asks for nothing any more, and where the time to answer is over."""
    if state in ASKS and due_at is not None and due_at <= now:
        raise DisputeStateConflict(
            f"The time to answer this dispute ended on {due_at:%Y-%m-%d at %H:%M} UTC.",
            next_step="Wait for what the bank decides.",
            state=state.value,
        )
    if state not in ASKS or due_at is None:
        raise DisputeStateConflict(
            f"This dispute is {state.value.replace('_', ' ')} and cannot be answered.",
            next_step="Wait for what the bank decides."
            if state not in ENDED
            else "What was decided is final.",
            state=state.value,
        )


@dataclass(frozen=True, slots=True)
class Taken:
    """Where money that a bank takes back is found: in what paid the invoice, in what the customer is owed, and the
    rest nowhere that is known."""

    invoice: int
    credit: int
    unknown: int

    @property
    def minor(self) -> int:
        return self.invoice + self.credit + self.unknown


def take(minor: int, *, paid_by_it: int, owed: int) -> Taken:
    """Divide `minor`, above zero. `paid_by_it` is what of the invoice the payment pays still, `credits` what is left
    of what it is owed back by."""
    invoice = min(minor, paid_by_it)
    of_credit = min(minor - invoice, owed)
    return Taken(invoice, of_credit, minor - invoice - of_credit)


def taken_entries(taken: Taken, currency: str, *, given_up: bool) -> tuple[Entry, ...]:
    """The invoice is owed again, or, if it was `given_up`, lost again."""
    owed = Purpose.WRITE_OFFS if given_up else Purpose.RECEIVABLE
    return (
        debit(owed, Money(taken.invoice, currency)),
        debit(Purpose.CUSTOMER_CREDIT, Money(taken.credit, currency)),
        debit(Purpose.SUSPENSE, Money(taken.unknown, currency)),
        credit(Purpose.CLEARING, Money(taken.minor, currency)),
    )


def returned_entries(applied: Applied, *, unknown: int, currency: str) -> tuple[Entry, ...]:
    """Money that comes back pays as any money that comes does; what was found nowhere is found again first."""
    minor = applied.to_invoice + applied.over + unknown
    return (
        debit(Purpose.CLEARING, Money(minor, currency)),
        credit(Purpose.RECEIVABLE, Money(applied.to_due, currency)),
        credit(Purpose.WRITE_OFFS, Money(applied.to_written_off, currency)),
        credit(Purpose.CUSTOMER_CREDIT, Money(applied.over, currency)),
        credit(Purpose.SUSPENSE, Money(unknown, currency)),
    )


def reminder(due_at: datetime, now: datetime, *, reminded: int | None) -> int | None:
    """Of how many days' notice it is time to remind, if that was not done: the nearest only."""
    left = due_at - now
    reached = [days for days in REMIND_DAYS if timedelta() < left <= timedelta(days=days)]
    if not reached or (reminded is not None and min(reached) >= reminded):
        return None
    return min(reached)
