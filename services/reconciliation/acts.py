"""What accepting a case does, by what it proposes: one function for each CaseAct, all in the unit of work that closes
the case, so that it is done with that and not otherwise."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from models.ledger import JournalKind, Purpose
from models.money import Money
from models.payment_cases import CaseAct, CaseKind, PaymentCase
from models.payments import PaymentState
from models.refunds import RefundTo
from services.billing import customer_credits
from services.core.errors import Conflict
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.disputes import rules as dispute_rules
from services.ledger import service as ledger
from services.ledger.rules import Draft, Entry, credit, debit
from services.payments import applying, ending
from services.payments import policies as of_payments
from services.payments import rules as payment_rules
from services.payments.providers import registry
from services.reconciliation import policies, statements
from services.refunds import giving_back, refunds
from services.refunds.refunds import Wanted

NOTE_CHARACTERS_MAX = 1_000
WARNED = "Your bank told us that this payment may not have been yours."  # the customer reads it
_WRITE = Capability.STAFF_PAYMENTS_WRITE
_SETTLE_MOVEMENT = """
update provider_movement set match = 'settled', journal_id = coalesce(journal_id, :journal_id),
  subject_id = coalesce(subject_id, :subject_id) where id = :id
"""
_REFUND = """
select r.minor, r.currency, p.provider_account_id, p.provider from refund r join payment p on p.id = r.payment_id
where r.id = :id
"""
_SETTLE_FEE = (
    "update provider_movement set fee_journal_id = :journal_id where id = :id and fee_journal_id is null"
)


class CreditUsed(Conflict):
    """What a refund that failed left to the customer has paid something else by now."""

    code = "refund_credit_used"
    title = "The credit of this refund is used"


class DisputeUnanswered(Conflict):
    """The case asks for an answer to the bank, which is not handed in."""

    code = "dispute_unanswered"
    title = "The dispute is not answered yet"


@dataclass(frozen=True, slots=True)
class Terms:
    """What whoever accepts says. `alone` is what one may give back without a second person, as refund_rules
    .needs_approval takes it; `to` is where a refund that failed goes now."""

    alone: Mapping[str, int] = field(default_factory=dict[str, int])
    to: RefundTo = RefundTo.SOURCE


@dataclass(frozen=True, slots=True)
class Done:
    """What accepting a case has made. A refund is sent once this is committed."""

    journal_id: str | None = None
    refund_id: str | None = None


async def settle_movement(
    uow: UnitOfWork, movement_id: str, journal_id: str | None, subject_id: str | None = None
) -> None:
    await uow.execute(_SETTLE_MOVEMENT, id=movement_id, journal_id=journal_id, subject_id=subject_id)


async def _book(uow: UnitOfWork, case: PaymentCase, proposal: Mapping[str, Any], terms: Terms) -> Done:
    """Between accounts of the platform's own book; the account with the provider is its cause."""
    entries = tuple(
        Entry(Purpose(one["purpose"]), int(one["minor"]), one["currency"]) for one in proposal["entries"]
    )
    journal_id = await _post(uow, case, proposal["account"], entries)
    await _settle(uow, case, proposal.get("matches") or journal_id)
    return Done(journal_id)


async def _book_refund(uow: UnitOfWork, case: PaymentCase, proposal: Mapping[str, Any], terms: Terms) -> Done:
    """A refund that was given after all: its money is gone, and its credit, which may be used up, stays. What it comes
    to waits on suspense."""
    found = await uow.execute(_REFUND, id=proposal["refund_id"])
    refund = found.one()
    money = Money(refund.minor, refund.currency)
    entries = debit(Purpose.SUSPENSE, money), credit(registry.held_on(refund.provider), money)
    return Done(await _post(uow, case, refund.provider_account_id or "", entries))


async def _post(uow: UnitOfWork, case: PaymentCase, account_id: str, entries: tuple[Entry, ...]) -> str:
    posted = await ledger.post(
        uow,
        Draft(
            None,
            key=f"case:{case.id}",
            kind=JournalKind.ADJUSTMENT,
            cause_id=account_id or case.id,
            entries=entries,
            at=uow.wall_now,
            note=f"{case.cause}: {case.detail}"[:NOTE_CHARACTERS_MAX],
        ),
    )
    return posted.id


async def _settle(uow: UnitOfWork, case: PaymentCase, journal_id: str) -> None:
    if case.subject.endswith(".fee"):
        await uow.execute(_SETTLE_FEE, id=case.subject.removesuffix(".fee"), journal_id=journal_id)
    else:
        await settle_movement(uow, case.subject, journal_id)


async def _payment(uow: UnitOfWork, case: PaymentCase, proposal: Mapping[str, Any], terms: Terms) -> Done:
    """A payment that came, of the amount that came: it pays what it can, and the rest is a credit."""
    payment, invoice = await ending.locked(uow, proposal["payment_id"])
    if payment.state == PaymentState.SUCCEEDED:
        raise payment_rules.PaymentStateConflict(
            "This payment has succeeded meanwhile.", next_step="Dismiss the case.", state=payment.state
        )
    payment.minor = int(proposal["minor"])
    await applying.succeed(uow, payment, invoice)
    await uow.session.flush()
    if case.kind == CaseKind.DIFFERENCE:
        await _settle(uow, case, payment.journal_id or "")
    return Done(payment.journal_id)


async def _transfer(uow: UnitOfWork, case: PaymentCase, proposal: Mapping[str, Any], terms: Terms) -> Done:
    """A line of a bank statement as a transfer for the invoice that is proposed."""
    line = await policies.line_of(uow, case.subject)
    payment = await statements.record_line(uow, line, proposal["invoice_id"])
    await uow.session.flush()
    await settle_movement(uow, case.subject, payment.journal_id, payment.id)
    return Done(payment.journal_id)


async def _give_back(uow: UnitOfWork, case: PaymentCase, proposal: Mapping[str, Any], terms: Terms) -> Done:
    """All that is left of a payment, to where it came from."""
    wanted = Wanted(proposal["payment_id"], _key(case), WARNED)
    return Done(refund_id=(await refunds.start(uow, wanted, above=terms.alone)).id)


async def _give_again(uow: UnitOfWork, case: PaymentCase, proposal: Mapping[str, Any], terms: Terms) -> Done:
    """What a refund that failed had held is a credit of the customer: it is paid out by another refund, or stays. No
    second credit note is ever issued for it."""
    if terms.to is RefundTo.CREDIT:
        return Done()
    failed = await of_payments.refund_for(uow, case.subject, _WRITE)
    payment, _ = await giving_back.of_payment(uow, failed.payment_id, _WRITE)
    owed = await customer_credits.owed_back(
        uow, payment_id=payment.id, invoice_id=payment.invoice_id, currency=failed.currency
    )
    left = Money(sum(one.left.minor for one in owed), failed.currency)
    if left.minor < failed.minor:
        raise CreditUsed(
            f"Of {Money(failed.minor, failed.currency).said()} only {left.said()} is still a credit of the customer.",
            next_step="Leave it as a credit, or give back what is left of the payment by an amount.",
            left_minor=left.minor,
        )
    wanted = Wanted(payment.id, _key(case), failed.reason, amount=failed.minor)
    return Done(refund_id=(await refunds.start(uow, wanted, above=terms.alone)).id)


def _key(case: PaymentCase) -> str:
    return f"case.{case.id}"


async def _answered(uow: UnitOfWork, case: PaymentCase, proposal: Mapping[str, Any], terms: Terms) -> Done:
    """The door hands the answer in first, once for each dispute; nothing is left but to see that it is."""
    payment = await of_payments.payment_for(uow, proposal["payment_id"], _WRITE)
    dispute_id = await of_payments.open_dispute_of(uow, payment)
    if dispute_id is None:
        return Done()
    dispute = await of_payments.dispute_for(uow, dispute_id, _WRITE)
    # One that is on its way, and fails, is a case of its own.
    if dispute.submitted_at is None and dispute.evidence is None and dispute.state in dispute_rules.ASKS:
        raise DisputeUnanswered(
            "The bank still waits for our answer.",
            next_step="Answer the dispute on its page, then come back.",
        )
    return Done()


Act = Callable[[UnitOfWork, PaymentCase, Mapping[str, Any], Terms], Awaitable[Done]]
ACTS: dict[CaseAct, Act] = {
    CaseAct.BOOK: _book,
    CaseAct.PAYMENT: _payment,
    CaseAct.TRANSFER: _transfer,
    CaseAct.BOOK_REFUND: _book_refund,
    CaseAct.REFUND: _give_back,
    CaseAct.REFUND_AGAIN: _give_again,
    CaseAct.ANSWER_DISPUTE: _answered,
}
