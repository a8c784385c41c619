"""Giving money back that a payment brought: who asks, who agrees, and what is credited for it.

    refund = await refunds.start(uow, ...)             # written down and held, and committed by the door
    await refunding.send(refund.id, organization_id)   # the provider is asked: see refunding.py

What is given back of an invoice is credited first: the note takes back revenue and tax, and what it leaves is a
credit of the customer, which is then paid out. What the customer is owed already, as by an overpayment, goes first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.billing import Invoice
from models.money import Money
from models.payments import Payment, PaymentState
from models.refunds import Refund, RefundState, RefundTo
from services.billing import notes
from services.billing.invoices import DESCRIPTION_CHARACTERS_MAX, KeyMeansOther, require_key
from services.billing.notes import Asked
from services.billing.states import InvoiceStateConflict
from services.billing.totals import Credit
from services.core.errors import Invalid
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork, undone
from services.identity.proof import require_recent_proof
from services.identity.rules import clean_text
from services.payments import filling, policies
from services.payments.events import RefundApproved, RefundRejected, RefundRequested
from services.payments.providers import registry
from services.payments.providers.capabilities import GivesBack
from services.payments.rules import PaymentStateConflict
from services.payments.transfers import REFERENCE_CHARACTERS_MAX
from services.refunds import giving_back
from services.refunds import rules as refund_rules
from services.refunds.giving_back import Locked
from services.refunds.rules import Means, Parts, PaymentDisputed, SecondPersonNeeded

S = RefundState
RETURNED = "returned_by_bank"
_WRITE, _APPROVE = Capability.STAFF_PAYMENTS_WRITE, Capability.STAFF_REFUNDS_APPROVE
_DISPUTED = """
select from payment_case c join refund r on r.id = c.subject
where c.kind = 'refund_failed' and c.cause = :cause and c.state = 'open' and r.payment_id = :payment_id limit 1
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A refund as it is asked for, in minor units, tax included: of the whole payment, or of each line of its invoice
    named (None: what is left of it); with neither, all that is left. The customer reads `reason`."""

    payment_id: str
    key: str
    reason: str
    to: RefundTo = RefundTo.SOURCE
    amount: int | None = None
    lines: Mapping[str, int | None] | None = None

    @property
    def said(self) -> dict[str, Any]:
        lines = None if self.lines is None else dict(self.lines)
        return {"to": self.to.value, "amount": self.amount, "lines": lines, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Preview:
    """What a refund would come to, in minor units: `credited` by a credit note, with `tax` in it, and the rest owed
    already."""

    currency: str
    minor: int
    owed_minor: int
    credited_minor: int
    tax_minor: int
    left_minor: int  # of the payment, afterwards
    needs_approval: bool


@dataclass(frozen=True, slots=True)
class _Plan:
    parts: Parts
    owed: list[Credit]
    note: Asked | None

    @property
    def from_owed(self) -> dict[str, int]:
        """Of each credit that is there, the oldest first."""
        taken: dict[str, int] = {}
        rest = self.parts.owed
        for one in self.owed:
            if minor := min(one.left.minor, rest):
                taken[one.id] = minor
                rest -= minor
        return taken


async def start(uow: UnitOfWork, wanted: Wanted, *, above: Mapping[str, int]) -> Refund:
    """Write down that money is to be given back. The same key is the refund that is there. What is more than `above`
    says (see refund_rules.needs_approval) waits for a second person, and nothing is held for it until then.

    Raises Forbidden, NotFound, KeyMeansOther, PaymentStateConflict for a payment that brought nothing,
    PaymentDisputed, NothingToRefund, InvoiceStateConflict, and Invalid for an amount that is not above zero, for a
    line that is not there, and for more than is left.
    """
    uow.actor.require(_WRITE)
    require_key(wanted.key)
    wanted = _cleaned(wanted)
    payment, invoice = await giving_back.of_payment(uow, wanted.payment_id, _WRITE, to=wanted.to)
    if (there := await _known(uow, wanted.key)) is not None:
        if (there.payment_id, there.asked) != (payment.id, wanted.said):
            raise KeyMeansOther(
                f"{wanted.key!r} is the key of another refund.", next_step="Give another act another key."
            )
        return there
    plan = await _plan(uow, wanted, payment, invoice)
    refund = Refund(
        id=new_id("rfnd"),
        organization_id=payment.organization_id,
        payment_id=payment.id,
        key=wanted.key,
        asked=wanted.said,
        destination=wanted.to.value,
        state=S.AWAITING_APPROVAL.value,
        currency=payment.currency,
        minor=plan.parts.minor,
        reason=wanted.reason,
        requested_by=uow.actor.id,
        created_at=uow.now,
    )
    uow.add(refund)
    await uow.session.flush()
    if refund_rules.needs_approval(Money(refund.minor, refund.currency), above):
        uow.record(
            RefundRequested(
                **_named(refund),
                currency=refund.currency,
                minor=refund.minor,
                destination=refund.destination,
            )
        )
    else:
        await _begin(uow, Locked(refund, payment, invoice), plan)
    return refund


async def preview(uow: UnitOfWork, wanted: Wanted, *, above: Mapping[str, int]) -> Preview:
    """What `start` would come to; nothing is kept. Raises what it raises."""
    async with undone(uow):
        refund = await start(uow, wanted, above={refund_rules.ANY_CURRENCY: 2**63})
        payment = await policies.payment_for(uow, wanted.payment_id, _WRITE)
        found = await uow.execute(
            "select total_minor, tax_minor from credit_note where id = :id", id=refund.credit_note_id
        )
        note = found.one_or_none()
        return Preview(
            currency=refund.currency,
            minor=refund.minor,
            owed_minor=refund.minor - (note.total_minor if note else 0),
            credited_minor=note.total_minor if note else 0,
            tax_minor=note.tax_minor if note else 0,
            left_minor=payment.minor - payment.refunded_minor,
            needs_approval=refund_rules.needs_approval(Money(refund.minor, refund.currency), above),
        )


async def approve(uow: UnitOfWork, refund_id: str) -> Refund:
    """Agree to a refund that waits, as somebody else than asked for it. Needs a recent proof.

    Raises Forbidden, ProofNeeded, NotFound, SecondPersonNeeded, RefundStateConflict also where less is left by now, and
    what `start` raises.
    """
    what = await giving_back.locked(uow, refund_id, _APPROVE)
    require_recent_proof(uow)
    refund = what.refund
    refund_rules.require_transition(S(refund.state), S.SENDING)
    if refund.requested_by == uow.actor.id:
        raise SecondPersonNeeded(
            "You asked for this refund yourself.", next_step="Somebody else of staff has to approve it."
        )
    plan = await _plan(uow, _as_asked(refund), what.payment, what.invoice)
    if plan.parts.minor != refund.minor:
        now = Money(plan.parts.minor, refund.currency)
        raise refund_rules.RefundStateConflict(
            f"What is left has changed since this was asked for: it would be {now.said()} now.",
            next_step="Reject it, and ask for a new one.",
            state=refund.state,
        )
    refund.approved_by = uow.actor.id
    uow.record(RefundApproved(**_named(refund)))
    await _begin(uow, what, plan)
    return refund


async def reject(uow: UnitOfWork, refund_id: str, *, reason: str) -> Refund:
    """Raises Forbidden, NotFound, RefundStateConflict, and Invalid without a reason."""
    refund = (await giving_back.locked(uow, refund_id, _APPROVE)).refund
    refund_rules.require_transition(S(refund.state), S.REJECTED)
    refund.refusal = _reason(reason)
    refund.state, refund.ended_at = S.REJECTED.value, uow.wall_now
    refund.version += 1
    uow.add(refund)
    await uow.session.flush()
    uow.record(RefundRejected(**_named(refund), refusal=refund.refusal))
    return refund


async def cancel(uow: UnitOfWork, refund_id: str) -> Refund:
    """Give up a refund that waits to be approved, or a transfer that was not sent. What was credited for it stays a
    credit of the customer.

    Raises Forbidden, NotFound, and RefundStateConflict also for one that a provider may have.
    """
    what = await giving_back.locked(uow, refund_id, _WRITE)
    if what.refund.state == S.SENDING and not _by_hand(what):
        raise refund_rules.RefundStateConflict(
            "The provider may have this refund already.",
            next_step="Wait until it is known what became of it.",
            state=what.refund.state,
        )
    await giving_back.cancel(uow, what)
    return what.refund


async def record_sent(uow: UnitOfWork, refund_id: str, *, reference: str = "") -> Refund:
    """A transfer back was sent from our bank account.

    Raises Forbidden, NotFound, RefundStateConflict also where a provider sends it, and Invalid.
    """
    what = await giving_back.locked(uow, refund_id, _WRITE)
    refund = what.refund
    if not _by_hand(what) or refund.state != S.SENDING:
        raise refund_rules.RefundStateConflict(
            "Only a transfer back that waits is recorded as sent.", state=refund.state
        )
    if reference.strip():
        refund.reference = clean_text(
            reference,
            field="reference",
            what="The reference",
            characters_max=REFERENCE_CHARACTERS_MAX,
        )
    await giving_back.succeed(uow, what)
    return refund


async def record_returned(uow: UnitOfWork, refund_id: str) -> Refund:
    """A transfer back that was sent came back to our bank account: it is a credit of the customer again, and a case.

    Raises Forbidden, NotFound, and RefundStateConflict for what staff did not send.
    """
    what = await giving_back.locked(uow, refund_id, _WRITE)
    refund = what.refund
    sent = refund.state == S.SUCCEEDED and refund.destination == RefundTo.SOURCE
    if not _by_hand(what) or not sent:
        raise refund_rules.RefundStateConflict(
            "Only a transfer back that was sent can come back.", state=refund.state
        )
    await giving_back.fail(uow, what, RETURNED)
    return refund


def _by_hand(what: Locked) -> bool:
    return registry.gives_back(what.payment.provider) is GivesBack.BY_HAND


async def require_undisputed(uow: UnitOfWork, payment: Payment) -> None:
    """A payment is disputed while its provider says so, or after it refused a refund for that until somebody closed
    that case.

    Raises PaymentDisputed.
    """
    found = await uow.execute(_DISPUTED, cause=PaymentDisputed.code, payment_id=payment.id)
    if found.first() is not None or await policies.open_dispute_of(uow, payment) is not None:
        raise PaymentDisputed(
            "The customer's bank is taking this payment back.",
            next_step="Answer the dispute first; if it is over, close the case of the refund that failed.",
        )


async def _plan(uow: UnitOfWork, wanted: Wanted, payment: Payment, invoice: Invoice | None) -> _Plan:
    """Of what a refund would consist now. Invoice and payment are locked."""
    if payment.state != PaymentState.SUCCEEDED:
        raise PaymentStateConflict(
            f"This payment is {payment.state.replace('_', ' ')}: it brought nothing that could be given back.",
            state=payment.state,
        )
    await require_undisputed(uow, payment)
    if wanted.to is RefundTo.SOURCE and registry.gives_back(payment.provider) is GivesBack.NEVER:
        raise Invalid(
            "What came on a chain cannot be given back from here: this installation holds no key that could.",
            field="to",
            next_step="Keep it as a credit, or send it from your wallet and keep that in your books.",
        )
    owed = await giving_back.owed(uow, payment, to=wanted.to)
    there = 0 if invoice is None else (await notes.creditable(uow, invoice)).minor
    still_due = invoice is not None and invoice.due_minor > 0
    means = Means(
        left=payment.minor - payment.refunded_minor,
        owed=sum(one.left.minor for one in owed),
        creditable=0 if still_due else there,
        paid_for=refund_rules.paid_for(payment),
    )
    if wanted.lines is not None:
        if invoice is None:
            raise Invalid("Only a payment for an invoice has lines.", field="lines")
        _require_nothing_due(invoice)
        of_lines = Asked(lines=wanted.lines)
        worth = await notes.worth(uow, invoice, of_lines)
        return _Plan(refund_rules.parts_of_lines(worth.minor, means), owed, of_lines)
    if wanted.amount is None:
        if invoice is not None and not means.owed:
            _require_nothing_due(invoice)
        parts = refund_rules.parts_of_all(means)
    else:
        if invoice is not None and means.owed < wanted.amount <= means.left:
            _require_nothing_due(invoice)
        parts = refund_rules.parts_of_amount(wanted.amount, means)
    note = Asked() if parts.credited == there else Asked(amount=parts.credited)
    return _Plan(parts, owed, note if parts.credited else None)


def _require_nothing_due(invoice: Invoice) -> None:
    """A credit note comes off what is due first, and would leave nothing to give back."""
    if invoice.due_minor:
        due = Money(invoice.due_minor, invoice.currency)
        raise InvoiceStateConflict(
            f"Of this invoice {due.said()} is still due, and a credit note comes off that first.",
            next_step="Issue a credit note over what is due, then give the rest back.",
            state=invoice.state,
        )


async def _begin(uow: UnitOfWork, what: Locked, plan: _Plan) -> None:
    """Credit what has to be, and hold what is given back."""
    refund, held = what.refund, plan.from_owed
    if refund.destination == RefundTo.SOURCE:
        await filling.make_good(uow, what.payment, held)
    else:
        await filling.take_out(uow, what.payment, plan.parts.owed)
    if plan.note is not None and what.invoice is not None:
        note = await notes.issue(
            uow,
            what.invoice.id,
            key=refund.id,
            reason=refund.reason,
            asked=plan.note,
            pays_open=refund.destination != RefundTo.SOURCE,
        )
        refund.credit_note_id = note.id
        found = await uow.execute("select id from customer_credit where source_id = :id", id=note.id)
        held[found.scalar_one()] = plan.parts.credited
    refund.credits = held if refund.destination == RefundTo.SOURCE else {}
    await giving_back.begin(uow, what)


async def _known(uow: UnitOfWork, key: str) -> Refund | None:
    """The organisation's refund with this key."""
    found = await uow.execute(
        "select id from refund where organization_id = :organization_id and key = :key",
        organization_id=uow.organization_id,
        key=key,
    )
    refund_id = found.scalar_one_or_none()
    return None if refund_id is None else await policies.refund_for(uow, refund_id, _WRITE)


def _cleaned(wanted: Wanted) -> Wanted:
    if wanted.amount is not None and wanted.lines is not None:
        raise Invalid("A refund is by amount or by line, not both.", field="amount")
    return Wanted(
        wanted.payment_id, wanted.key, _reason(wanted.reason), wanted.to, wanted.amount, wanted.lines
    )


def _reason(text: str) -> str:
    return clean_text(text, field="reason", what="The reason", characters_max=DESCRIPTION_CHARACTERS_MAX)


def _as_asked(refund: Refund) -> Wanted:
    said = refund.asked
    return Wanted(
        refund.payment_id, refund.key, refund.reason, RefundTo(said["to"]), said["amount"], said["lines"]
    )


def _named(refund: Refund) -> dict[str, str]:
    return {
        "aggregate_id": refund.id,
        "organization_id": refund.organization_id,
        "payment_id": refund.payment_id,
    }
