"""What giving money back does: it is held while it is on its way, booked when it has left, and comes back if it fails.

Called with the invoice, the payment and the refund locked, in this order, by verbs that were allowed what they do and
by what follows providers. Held means: taken from the customer's credits and counted as refunded of the payment, so
that nothing is given back twice; the database refuses more than there is of either.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from models.billing import Invoice
from models.ledger import JournalKind, Purpose
from models.money import Money
from models.payment_cases import CaseAct, CaseKind
from models.payments import Payment
from models.refunds import Refund, RefundState, RefundTo
from services.billing import customer_credits, offsetting
from services.billing.totals import Credit
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.ledger import service as ledger
from services.ledger.rules import Draft, credit, debit
from services.payments import cases, filling, policies, rules
from services.payments.events import RefundCanceled, RefundFailed, RefundStarted, RefundSucceeded
from services.payments.providers import registry, values
from services.payments.providers.capabilities import GivesBack
from services.refunds import rules as refund_rules

S = RefundState
ANSWER_WITHIN = timedelta(seconds=90)  # longer than any call to a provider takes


@dataclass(frozen=True, slots=True)
class Locked:
    """A refund and what it is of. `invoice` is None for money on account."""

    refund: Refund
    payment: Payment
    invoice: Invoice | None

    @property
    def money(self) -> Money:
        return Money(self.refund.minor, self.refund.currency)


async def locked(uow: UnitOfWork, refund_id: str, needs: Capability) -> Locked:
    """The invoice first, then the payment, as everywhere. Raises Forbidden and NotFound."""
    refund = await policies.refund_for(uow, refund_id, needs)
    payment, invoice = await of_payment(uow, refund.payment_id, needs, to=RefundTo(refund.destination))
    return Locked(await policies.refund_for(uow, refund_id, needs, lock=True), payment, invoice)


async def of_payment(
    uow: UnitOfWork, payment_id: str, needs: Capability, *, to: RefundTo = RefundTo.SOURCE
) -> tuple[Payment, Invoice | None]:
    """A payment and its invoice, locked; with what a credit would pay, if it is given back as one. Raises Forbidden and
    NotFound."""
    payment = await policies.payment_for(uow, payment_id, needs)
    if to is RefundTo.CREDIT and payment.invoice_id is not None:
        await offsetting.lock_with_owed(uow, payment.invoice_id)
    invoice = await policies.invoice_of(uow, payment)
    return await policies.payment_for(uow, payment_id, needs, lock=True), invoice


async def owed(uow: UnitOfWork, payment: Payment, *, to: RefundTo) -> list[Credit]:
    """What is the customer's already. What is kept as a credit comes out of a wallet only: the rest is a credit."""
    if (filled := await filling.returnable(uow, payment)) is not None:
        return [filled.there] if to is RefundTo.CREDIT else [filled.all]
    if to is RefundTo.CREDIT:
        return []
    return await customer_credits.owed_back(
        uow, payment_id=payment.id, invoice_id=payment.invoice_id, currency=payment.currency
    )


async def begin(uow: UnitOfWork, what: Locked) -> None:
    """Hold what `credits` say, and leave it to be sent; what goes to credit has arrived with that."""
    refund, payment = what.refund, what.payment
    to_source = refund.destination == RefundTo.SOURCE
    _become(uow, refund, S.SENDING if to_source else S.SUCCEEDED)
    if to_source:
        refund.asked_at = uow.wall_now
        await customer_credits.hold(uow, refund.credits)
        payment.refunded_minor += refund.minor
        _changed(uow, payment)
        if registry.gives_back(payment.provider) is GivesBack.ASKED:
            refund.check_at = uow.wall_now + ANSWER_WITHIN
    await uow.session.flush()
    uow.record(
        RefundStarted(
            **_named(refund),
            credit_note_id=refund.credit_note_id,
            currency=refund.currency,
            minor=refund.minor,
            destination=refund.destination,
        )
    )
    if not to_source:
        _tell_success(uow, refund)


async def learn(uow: UnitOfWork, what: Locked, picture: values.Refund) -> None:
    """Write down what the provider says; what changes nothing leaves nothing but the next look."""
    refund, known = what.refund, what.refund.provider_ref is not None
    refund.provider_ref = picture.reference
    if picture.amount != what.money:
        await _another_amount(uow, what, picture.amount)
    elif picture.state in (values.RefundState.FAILED, values.RefundState.CANCELED):
        if refund.state != S.FAILED:
            await fail(uow, what, picture.failure or picture.state.value)
    elif refund.state == S.FAILED:
        # The provider's own word that it failed is its last; a picture from before it comes late.
        if not known:
            await _given_after_all(uow, what)
    elif picture.state is values.RefundState.DONE:
        if refund.state != S.SUCCEEDED:
            await succeed(uow, what)
    elif refund.state == S.SENDING:
        await _book(uow, what)
        _become(uow, refund, S.PROCESSING)
    check_later(uow, refund)
    uow.add(refund)


async def succeed(uow: UnitOfWork, what: Locked) -> None:
    """The money has left. Raises RefundStateConflict."""
    refund_rules.require_transition(S(what.refund.state), S.SUCCEEDED)
    await _book(uow, what)
    _become(uow, what.refund, S.SUCCEEDED)
    _tell_success(uow, what.refund)


async def fail(uow: UnitOfWork, what: Locked, failure: str) -> None:
    """It was not given, or came back: the customer has a credit again, and somebody has to look.

    Raises RefundStateConflict.
    """
    refund = what.refund
    refund_rules.require_transition(S(refund.state), S.FAILED)
    if refund.journal_id is not None:
        await ledger.reverse(uow, refund.journal_id, at=uow.now)
    await _let_go(uow, what)
    refund.failure, refund.succeeded_at = failure, None
    _become(uow, refund, S.FAILED)
    uow.record(RefundFailed(**_named(refund), currency=refund.currency, minor=refund.minor, failure=failure))
    disputed = failure in refund_rules.DISPUTED
    await cases.open_case(
        uow,
        CaseKind.REFUND_FAILED,
        refund.id,
        cause=refund_rules.PaymentDisputed.code if disputed else failure,
        organization_id=refund.organization_id,
        amount=what.money,
        detail=f"{what.money.said()} did not reach the customer ({failure}), and are a credit again.",
        proposal=cases.propose(
            CaseAct.ANSWER_DISPUTE if disputed else CaseAct.REFUND_AGAIN,
            payment_id=refund.payment_id,
            refund_id=refund.id,
        ),
    )


async def cancel(uow: UnitOfWork, what: Locked) -> None:
    """Raises RefundStateConflict for one that is not waiting: the caller has seen that nothing was sent."""
    refund = what.refund
    refund_rules.require_transition(S(refund.state), S.CANCELED)
    if refund.state == S.SENDING:
        await _let_go(uow, what)
    _become(uow, refund, S.CANCELED)
    uow.record(RefundCanceled(**_named(refund)))


def check_later(uow: UnitOfWork, refund: Refund) -> None:
    """Of one that has ended nobody asks by himself any more; if it fails after all, the provider tells."""
    if S(refund.state) not in (S.SENDING, S.PROCESSING):
        return
    refund.check_at = uow.wall_now + rules.check_wait(refund.checks)
    refund.checks += 1
    uow.add(refund)


async def _book(uow: UnitOfWork, what: Locked) -> None:
    """Once it is with the provider it is out of the balance there, even if it is not with the customer yet."""
    refund = what.refund
    if refund.journal_id is not None:
        return
    left = registry.held_on(what.payment.provider)
    posted = await ledger.post(
        uow,
        Draft(
            refund.organization_id,
            key=f"refund:{refund.id}",
            kind=JournalKind.REFUND,
            cause_id=refund.id,
            entries=(debit(Purpose.CUSTOMER_CREDIT, what.money), credit(left, what.money)),
            at=uow.now,
        ),
    )
    refund.journal_id = posted.id


async def _let_go(uow: UnitOfWork, what: Locked) -> None:
    await customer_credits.release(uow, what.refund.credits)
    what.payment.refunded_minor -= what.refund.minor
    _changed(uow, what.payment)


async def _another_amount(uow: UnitOfWork, what: Locked, said: Money) -> None:
    await cases.open_case(
        uow,
        CaseKind.AMOUNT_DIFFERS,
        what.refund.id,
        cause="refund_amount_differs",
        organization_id=what.refund.organization_id,
        amount=said if said.currency != what.money.currency else what.money - said,
        detail=f"The provider gave back {said.said()} instead of {what.money.said()}.",
    )


async def _given_after_all(uow: UnitOfWork, what: Locked) -> None:
    """The credit may be used up by now, so nothing is booked until somebody has looked."""
    await cases.open_case(
        uow,
        CaseKind.DIFFERENCE,
        what.refund.id,
        cause="refunded_after_failure",
        organization_id=what.refund.organization_id,
        amount=-what.money,
        detail=f"The provider gave back {what.money.said()} after it had said that it did not.",
        proposal=cases.propose(CaseAct.BOOK_REFUND, refund_id=what.refund.id),
    )


def _become(uow: UnitOfWork, refund: Refund, state: RefundState) -> None:
    refund.state = state.value
    if state is S.SUCCEEDED:
        refund.succeeded_at = uow.now
    if state not in (S.SENDING, S.PROCESSING):
        refund.ended_at, refund.check_at = uow.wall_now, None
    refund.version += 1
    uow.add(refund)


def _changed(uow: UnitOfWork, payment: Payment) -> None:
    payment.version += 1
    uow.add(payment)


def _tell_success(uow: UnitOfWork, refund: Refund) -> None:
    uow.record(
        RefundSucceeded(
            **_named(refund), currency=refund.currency, minor=refund.minor, destination=refund.destination
        )
    )


def _named(refund: Refund) -> dict[str, str]:
    return {
        "aggregate_id": refund.id,
        "organization_id": refund.organization_id,
        "payment_id": refund.payment_id,
    }
