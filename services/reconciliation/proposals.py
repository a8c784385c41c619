"""What accepting a case does, told before it is done: as entries, and in words with amounts. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.ledger import Purpose
from models.money import Money
from models.payment_cases import CaseAct


@dataclass(frozen=True, slots=True)
class ProposedEntry:
    """One entry of what would be booked: `debit_minor` or `credit_minor` is nothing."""

    purpose: str
    currency: str
    debit_minor: int
    credit_minor: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """`amount` is what accepting it moves, above zero; None where that is not one amount."""

    act: CaseAct
    amount: Money | None
    told: Mapping[str, Any]

    @property
    def entries(self) -> tuple[ProposedEntry, ...]:
        """None where nothing is booked by itself. Of a payment or transfer it is what the money comes to and goes
        against; what an invoice is not owed any more becomes a credit instead."""
        if self.act is CaseAct.BOOK:
            told = ((one["purpose"], int(one["minor"]), one["currency"]) for one in self.told["entries"])
            return tuple(_entry(*one) for one in told if one[1])
        between = _BETWEEN.get(self.act)
        if between is None or self.amount is None:
            return ()
        minor, currency = self.amount.minor, self.amount.currency
        return _entry(between[0], minor, currency), _entry(between[1], -minor, currency)

    @property
    def words(self) -> str:
        """What accepting it does, in a sentence."""
        told = ", ".join(
            f"{'debit' if one.debit_minor else 'credit'} {one.purpose}"
            f" {Money(one.debit_minor or one.credit_minor, one.currency).said()}"
            for one in self.entries
        )
        amount = "it" if self.amount is None else self.amount.said()
        return _WORDS[self.act].format(amount=amount, entries=told, number=self.told.get("number", ""))


_BETWEEN = {
    CaseAct.PAYMENT: (Purpose.CLEARING, Purpose.RECEIVABLE),
    CaseAct.TRANSFER: (Purpose.CASH, Purpose.RECEIVABLE),
    CaseAct.BOOK_REFUND: (Purpose.SUSPENSE, Purpose.CLEARING),
}
_WORDS = {
    CaseAct.BOOK: "Books in the platform's own book: {entries}.",
    CaseAct.PAYMENT: "Books {amount} as the payment. What its invoice is not owed becomes a credit.",
    CaseAct.TRANSFER: "Records {amount} as a transfer for invoice {number}. What it is not owed becomes a credit.",
    CaseAct.BOOK_REFUND: "Books {amount} that left, against suspense.",
    CaseAct.REFUND: "Gives back all that is left of the payment, {amount} when this was found, to where it came from.",
    CaseAct.REFUND_AGAIN: "Gives {amount} back again to where it came from, or leaves it as the credit that it is.",
    CaseAct.ANSWER_DISPUTE: "Hands in to the bank what speaks for us, once and for ever. It is about {amount}.",
}


def read(proposal: Mapping[str, Any] | None, currency: str | None, minor: int | None) -> Proposal | None:
    """Of a case that is about `minor`; None where there is nothing to do but to look."""
    act = next((one for one in CaseAct if proposal is not None and proposal.get("act") == one), None)
    if proposal is None or act is None:
        return None
    moves = proposal.get("minor", minor)
    amount = None if moves is None or currency is None else Money(abs(int(moves)), currency)
    return Proposal(act, amount, proposal)


def _entry(purpose: str, minor: int, currency: str) -> ProposedEntry:
    return ProposedEntry(str(purpose), currency, max(minor, 0), max(-minor, 0))
