"""The states of an invoice and what may become of each. Pure.

A draft has no number and may be given up; everything after has one for good. What is void stays so. What is
paid is corrected by a credit note, and open again only where the money itself went back (reopening.py).
"""

from __future__ import annotations

from models.billing import InvoiceState
from services.core.errors import Conflict

S = InvoiceState
TRANSITIONS: dict[InvoiceState, frozenset[InvoiceState]] = {
    S.DRAFT: frozenset({S.FINALIZED, S.VOID}),
    S.FINALIZED: frozenset({S.PAID, S.VOID, S.UNCOLLECTIBLE}),
    S.UNCOLLECTIBLE: frozenset({S.PAID}),  # somebody paid after all
    S.PAID: frozenset(),
    S.VOID: frozenset(),
}
CREDITABLE = frozenset({S.FINALIZED, S.PAID})
_WAY_OUT = {
    S.DRAFT: "Finalise it first, or void it to give it up.",
    S.FINALIZED: "It is numbered and stays as it is: issue a credit note, or void it.",
    S.PAID: "Issue a credit note for what should be taken back.",
    S.VOID: "Make a new invoice.",
    S.UNCOLLECTIBLE: "It was given up; only a payment changes that.",
}


class InvoiceStateConflict(Conflict):
    """What was asked for does not fit the state that the invoice is in."""

    code = "invoice_state"
    title = "The invoice is not in a state for this"


def require_transition(now: InvoiceState, wanted: InvoiceState) -> None:
    """Raises InvoiceStateConflict for what the table does not have; also for a state that is there already."""
    if wanted not in TRANSITIONS[now]:
        raise refused(now, "cannot become so again" if wanted is now else f"cannot become {wanted}")


def require_draft(now: InvoiceState) -> None:
    if now is not S.DRAFT:
        raise refused(now, "has lines that cannot be changed")


def require_creditable(now: InvoiceState) -> None:
    """Raises InvoiceStateConflict for what owes nothing that a credit note could take back."""
    if now not in CREDITABLE:
        raise refused(now, "cannot be credited")


def refused(now: InvoiceState, what: str) -> InvoiceStateConflict:
    return InvoiceStateConflict(
        f"This invoice is {now} and {what}.", next_step=_WAY_OUT[now], state=now.value
    )
