"""What a dispute becomes by what its provider says, and what that does to the invoice. Called by disputing.py only,
with the invoice and the payment locked."""

from __future__ import annotations

from typing import Any

from models.billing import Invoice, InvoiceState
from models.disputes import Dispute, DisputeState
from models.ledger import JournalKind
from models.money import Money
from models.payment_cases import CaseAct, CaseKind
from models.payments import Payment
from services.billing import customer_credits
from services.core.ids import new_id
from services.core.work import UnitOfWork
from services.disputes import rules as dispute_rules
from services.dunning import recovering as dunning
from services.ledger import service as ledger
from services.ledger.rules import Draft, Entry
from services.payments import applying, cases, filling, policies
from services.payments.events import (
    DisputeAnswered,
    DisputeAnswerFailed,
    DisputeChanged,
    DisputeMoneyReturned,
    DisputeMoneyTaken,
    DisputeOpened,
)
from services.payments.providers import values

S = DisputeState
_PAYABLE = (InvoiceState.FINALIZED, InvoiceState.PAID, InvoiceState.UNCOLLECTIBLE)
_TAKEN_ELSEWHERE = """
select coalesce(sum(taken_invoice_minor), 0)::bigint from dispute
where payment_id = :payment_id and id <> :id and returned_at is null
"""


async def learn(
    uow: UnitOfWork, payment: Payment, invoice: Invoice | None, picture: values.Dispute
) -> Dispute:
    """Write down what the provider says. A picture that changes nothing leaves nothing."""
    dispute = await policies.dispute_at(uow, payment, picture.reference) or _opened(uow, payment, picture)
    await _check_amount(uow, dispute, picture)
    wanted = S(picture.state.value)
    if not await _moves(uow, dispute, wanted):
        return dispute
    dispute.due_at, dispute.reason = picture.due, picture.reason
    if picture.submissions and dispute.submitted_at is None:
        _answered(uow, dispute)
    elif wanted in dispute_rules.ENDED and dispute_rules.is_under_way(dispute):
        await fail_answer(uow, dispute, "It was decided before our answer was there.")
    if picture.fee is not None:  # which reconciliation books, as all fees
        dispute.fee_minor, dispute.fee_currency = picture.fee.minor, picture.fee.currency
    uow.add(dispute)
    await uow.session.flush()
    if wanted in dispute_rules.MONEY_IS_TAKEN and dispute.taken_at is None:
        await _take(uow, dispute, payment, invoice)
    if wanted is S.WON and dispute.returned_at is None:
        await _give_back(uow, dispute, invoice)
    return dispute


def _opened(uow: UnitOfWork, payment: Payment, picture: values.Dispute) -> Dispute:
    dispute = Dispute(
        id=new_id("dsp"),
        organization_id=payment.organization_id,
        payment_id=payment.id,
        provider_account_id=payment.provider_account_id or "",
        provider_ref=picture.reference,
        state=picture.state.value,
        reason=picture.reason,
        currency=picture.amount.currency,
        minor=picture.amount.minor,
        fee_currency=picture.amount.currency,
        opened_at=picture.created,
        due_at=picture.due,
        created_at=uow.now,
    )
    if S(dispute.state) in dispute_rules.ENDED:
        dispute.ended_at = uow.wall_now
    uow.add(dispute)
    uow.record(
        DisputeOpened(
            **named(dispute),
            currency=dispute.currency,
            minor=dispute.minor,
            state=dispute.state,
            reason=dispute.reason,
        )
    )
    return dispute


async def _check_amount(uow: UnitOfWork, dispute: Dispute, picture: values.Dispute) -> None:
    ours = Money(dispute.minor, dispute.currency)
    if picture.amount != ours:
        await _case(uow, dispute, "dispute_amount_changed", f"It was {ours.text()}: {picture.amount.text()}.")


async def _moves(uow: UnitOfWork, dispute: Dispute, wanted: DisputeState) -> bool:
    """Whether what the provider says is to be followed. What was decided is final, whatever is said later."""
    now = S(dispute.state)
    if now is wanted:
        return True
    if not dispute_rules.may_become(now, wanted):
        if now in (S.WON, S.LOST) and wanted in (S.WON, S.LOST):
            await _case(uow, dispute, "dispute_decided_again", f"It was {now}, and is said to be {wanted}.")
        return False
    dispute.state = wanted.value
    dispute.ended_at = uow.wall_now if wanted in dispute_rules.ENDED else None
    dispute.version += 1
    uow.record(DisputeChanged(**named(dispute), before=now.value, after=wanted.value))
    return True


def _answered(uow: UnitOfWork, dispute: Dispute) -> None:
    """Here, or at the provider itself."""
    dispute.submitted_at = uow.wall_now
    dispute.version += 1
    said = dispute.evidence or {"texts": {}, "files": {}}
    uow.record(DisputeAnswered(**named(dispute), fields=sorted([*said["texts"], *said["files"]])))


def forget_answer(uow: UnitOfWork, dispute: Dispute) -> None:
    """Nothing was handed in: it may be answered again at once."""
    dispute.evidence, dispute.submitted_by = None, None
    dispute.version += 1
    uow.add(dispute)


async def fail_answer(uow: UnitOfWork, dispute: Dispute, why: str) -> None:
    """As `forget_answer`, of an answer that nobody waits for any more: a case says what can be done yet."""
    key = (dispute.evidence or {}).get("key", f"{dispute.id}.answer")
    forget_answer(uow, dispute)
    uow.record(DisputeAnswerFailed(**named(dispute), reason=why))
    if dispute.state in (S.WON, S.WARNING_CLOSED):
        return
    until = dispute.due_at if dispute.state in dispute_rules.ASKS else None
    is_open = until is not None and until > uow.wall_now
    todo = (
        f"It can be answered until {until:%Y-%m-%d %H:%M} UTC: on its page, or by accepting this."
        if is_open
        else "Nothing can be handed in any more: the bank decides without it."
    )
    proposal = cases.propose(CaseAct.ANSWER_DISPUTE, payment_id=dispute.payment_id) if is_open else None
    await _case(uow, dispute, "dispute_answer_failed", f"{why} {todo}", subject=key, proposal=proposal)


async def warn_of_answer(uow: UnitOfWork, dispute: Dispute) -> None:
    """Its time is over, and the provider does not say whether it has our answer."""
    if dispute_rules.is_under_way(dispute) and dispute.due_at is not None and dispute.due_at <= uow.wall_now:
        todo = (
            "Look at the provider's own pages. What it says is written down as soon as it can be asked again."
        )
        await _case(uow, dispute, "dispute_answer_unknown", todo)


async def _take(uow: UnitOfWork, dispute: Dispute, payment: Payment, invoice: Invoice | None) -> None:
    await filling.take_out(uow, payment, dispute.minor if dispute.currency == payment.currency else 0)
    there = await customer_credits.owed_back(
        uow, payment_id=payment.id, invoice_id=payment.invoice_id, currency=dispute.currency
    )
    taken = dispute_rules.take(
        dispute.minor,
        paid_by_it=await _paid_by(uow, dispute, payment, invoice),
        owed=sum(one.left.minor for one in there),
    )
    dispute.taken_invoice_minor, dispute.taken_credit_minor = taken.invoice, taken.credit
    dispute.taken_unknown_minor, dispute.taken_at = taken.unknown, uow.now
    dispute.version += 1
    uow.add(dispute)
    given_up = invoice is not None and invoice.state == InvoiceState.UNCOLLECTIBLE
    await _book(
        uow, dispute, "taken", dispute_rules.taken_entries(taken, dispute.currency, given_up=given_up)
    )
    held, rest = dict[str, int](), taken.credit
    for one in there:
        if part := min(one.left.minor, rest):
            held[one.id] = part
            rest -= part
    await customer_credits.hold(uow, held)
    if taken.unknown:
        lost = Money(taken.unknown, dispute.currency)
        await _case(uow, dispute, "dispute_without_place", f"{lost.text()} of it is found nowhere.")
    uow.record(
        DisputeMoneyTaken(
            **named(dispute),
            invoice_id=payment.invoice_id,
            currency=dispute.currency,
            minor=dispute.minor,
            invoice_minor=taken.invoice,
        )
    )
    if invoice is not None and taken.invoice:
        await applying.reopen(uow, invoice, taken.invoice)


async def _paid_by(uow: UnitOfWork, dispute: Dispute, payment: Payment, invoice: Invoice | None) -> int:
    """What of the invoice this payment pays still: not what other disputes took of it."""
    if invoice is None or InvoiceState(invoice.state) not in _PAYABLE or dispute.currency != invoice.currency:
        return 0
    found = await uow.execute(_TAKEN_ELSEWHERE, payment_id=payment.id, id=dispute.id)
    return max(0, min(payment.applied_minor - found.scalar_one(), invoice.paid_minor))


async def _give_back(uow: UnitOfWork, dispute: Dispute, invoice: Invoice | None) -> None:
    unknown = dispute.taken_unknown_minor
    dispute.returned_at = uow.now
    dispute.version += 1
    uow.add(dispute)
    uow.record(
        DisputeMoneyReturned(
            **named(dispute),
            invoice_id=None if invoice is None else invoice.id,
            currency=dispute.currency,
            minor=dispute.minor,
        )
    )
    ours = invoice if invoice is not None and invoice.currency == dispute.currency else None
    applied = applying.divided(dispute.minor - unknown, ours)
    await _book(
        uow,
        dispute,
        "returned",
        dispute_rules.returned_entries(applied, unknown=unknown, currency=dispute.currency),
    )
    over = Money(applied.over, dispute.currency)
    customer_credits.open_credit(uow, dispute.organization_id, dispute.id, over)
    await uow.session.flush()
    if ours is not None:
        await applying.pay(uow, ours, applied)
        await dunning.money_returned(uow, ours, applied.to_invoice)


async def _book(uow: UnitOfWork, dispute: Dispute, what: str, entries: tuple[Entry, ...]) -> None:
    await ledger.post(
        uow,
        Draft(
            dispute.organization_id,
            key=f"dispute:{dispute.id}:{what}",
            kind=JournalKind.DISPUTE,
            cause_id=dispute.id,
            entries=entries,
            at=uow.now,
        ),
    )


async def _case(
    uow: UnitOfWork,
    dispute: Dispute,
    cause: str,
    detail: str,
    *,
    subject: str = "",
    proposal: dict[str, Any] | None = None,
) -> None:
    await cases.open_case(
        uow,
        CaseKind.DISPUTE,
        subject or f"{dispute.id}:{cause}",
        cause=cause,
        organization_id=dispute.organization_id,
        amount=Money(-dispute.minor, dispute.currency),
        detail=detail,
        proposal=proposal,
    )


def named(dispute: Dispute) -> dict[str, str]:
    return {
        "aggregate_id": dispute.id,
        "organization_id": dispute.organization_id,
        "payment_id": dispute.payment_id,
    }
