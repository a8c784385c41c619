"""Closing cases: by booking what is proposed, or by saying why nothing is booked.

How a proposal is booked is told by its `act`, one line each in ACTS. A case without one can only be dismissed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from models.ledger import JournalKind, Purpose
from models.money import Money
from models.payment_cases import CaseKind, PaymentCase
from models.payments import PaymentState
from services.core.errors import Conflict, StaleVersion
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.identity.rules import clean_text
from services.ledger import service as ledger
from services.ledger.rules import Draft, Entry, credit, debit
from services.payments import applying, ending, transfers
from services.payments import rules as of_payments
from services.reconciliation import policies
from services.reconciliation.events import PaymentCaseAccepted, PaymentCaseDismissed

NOTE_CHARACTERS_MAX = 1_000
_WRITE = Capability.STAFF_PAYMENTS_WRITE
_SETTLE_MOVEMENT = """
update provider_movement set match = 'settled', journal_id = coalesce(journal_id, :journal_id) where id = :id
"""
_REFUND = """
select r.minor, r.currency, p.provider_account_id from refund r join payment p on p.id = r.payment_id where r.id = :id
"""
_SETTLE_FEE = (
    "update provider_movement set fee_journal_id = :journal_id where id = :id and fee_journal_id is null"
)
_SETTLE_LINE = """
update bank_line set match = 'settled', subject_id = coalesce(:subject_id, subject_id), journal_id = :journal_id
where id = :id
"""


class CaseClosed(Conflict):
    """Somebody has decided it already, otherwise."""

    code = "payment_case_closed"
    title = "The case is closed"


class NothingProposed(Conflict):
    """The case has no booking to accept."""

    code = "payment_case_proposes_nothing"
    title = "There is nothing to accept"


async def accept(uow: UnitOfWork, case_id: str, *, version: int | None = None) -> PaymentCase:
    """Book what the case proposes. Asked again it is the booking that is there.

    In work across tenants, within the case's organisation where it has one. Raises Forbidden, NotFound, StaleVersion,
    CaseClosed for one that was dismissed, NothingProposed, and what the booking raises.
    """
    case = await policies.case_for(uow, case_id, _WRITE, lock=True)
    if case.state == "accepted":
        return case
    _require_open(case, version)
    act = ACTS.get(str((case.proposal or {}).get("act")))
    if act is None or case.proposal is None:
        raise NothingProposed(
            "Nothing is proposed for this case.", next_step="Dismiss it, and say what was done about it."
        )
    case.journal_id = await act(uow, case, case.proposal)
    _close(uow, case, "accepted")
    uow.record(
        PaymentCaseAccepted(
            aggregate_id=case.id,
            organization_id=case.organization_id,
            kind=case.kind,
            journal_id=case.journal_id,
        )
    )
    return case


async def dismiss(uow: UnitOfWork, case_id: str, note: str, *, version: int | None = None) -> PaymentCase:
    """Close a case and book nothing, for the reason in `note`.

    Raises Forbidden, NotFound, StaleVersion, CaseClosed, and Invalid for no reason or too long a one.
    """
    case = await policies.case_for(uow, case_id, _WRITE, lock=True)
    _require_open(case, version)
    case.note = clean_text(note, field="note", what="The reason", characters_max=NOTE_CHARACTERS_MAX)
    _close(uow, case, "dismissed")
    await _leave(uow, case)
    uow.record(
        PaymentCaseDismissed(aggregate_id=case.id, organization_id=case.organization_id, kind=case.kind)
    )
    return case


def _require_open(case: PaymentCase, version: int | None) -> None:
    if version is not None and version != case.version:
        raise StaleVersion("Somebody changed this case meanwhile.", next_step="Read it again.")
    if case.state != "open":
        raise CaseClosed(f"The case was {case.state}.", next_step="Read it again.")


def _close(uow: UnitOfWork, case: PaymentCase, state: str) -> None:
    case.state, case.resolved_at, case.resolved_by = state, uow.wall_now, uow.actor.id
    case.version += 1
    uow.add(case)


async def _leave(uow: UnitOfWork, case: PaymentCase) -> None:
    """What a dismissed case was about is looked at no more. A payment that another amount came for is given up, so
    that its invoice can be paid otherwise."""
    match case.kind, case.subject.partition("_")[0]:
        case CaseKind.AMOUNT_DIFFERS, "pay":
            payment, _ = await ending.locked(uow, case.subject)
            ending.give_up(uow, payment)
        case CaseKind.DIFFERENCE, "mvt" if not case.subject.endswith(".fee"):
            await uow.execute(_SETTLE_MOVEMENT, id=case.subject, journal_id=None)
        case CaseKind.UNMATCHED, _:
            await uow.execute(_SETTLE_LINE, id=case.subject, subject_id=None, journal_id=None)
        case _:
            pass


async def _book(uow: UnitOfWork, case: PaymentCase, proposal: dict[str, Any]) -> str:
    """Between accounts of the platform's own book; the account with the provider is its cause."""
    entries = tuple(
        Entry(Purpose(one["purpose"]), int(one["minor"]), one["currency"]) for one in proposal["entries"]
    )
    journal_id = await _post(uow, case, proposal["account"], entries)
    await _settle(uow, case, proposal.get("matches") or journal_id)
    return journal_id


async def _refund(uow: UnitOfWork, case: PaymentCase, proposal: dict[str, Any]) -> str:
    """A refund that was given after all: its money is gone, and its credit, which may be used up, stays. What it comes
    to waits on suspense."""
    found = await uow.execute(_REFUND, id=proposal["refund_id"])
    refund = found.one()
    money = Money(refund.minor, refund.currency)
    left = Purpose.CASH if refund.provider_account_id is None else Purpose.CLEARING
    entries = debit(Purpose.SUSPENSE, money), credit(left, money)
    return await _post(uow, case, refund.provider_account_id or "", entries)


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
    elif case.kind == CaseKind.UNMATCHED:
        await uow.execute(_SETTLE_LINE, id=case.subject, subject_id=None, journal_id=journal_id)
    else:
        await uow.execute(_SETTLE_MOVEMENT, id=case.subject, journal_id=journal_id)


async def _payment(uow: UnitOfWork, case: PaymentCase, proposal: dict[str, Any]) -> str:
    """A payment that came, of the amount that came: it pays what it can, and the rest is a credit."""
    payment, invoice = await ending.locked(uow, proposal["payment_id"])
    if payment.state == PaymentState.SUCCEEDED:
        raise of_payments.PaymentStateConflict(
            "This payment has succeeded meanwhile.", next_step="Dismiss the case.", state=payment.state
        )
    payment.minor = int(proposal["minor"])
    await applying.succeed(uow, payment, invoice)
    await uow.session.flush()
    if case.kind == CaseKind.DIFFERENCE:
        await _settle(uow, case, payment.journal_id or "")
    return payment.journal_id or ""


async def _transfer(uow: UnitOfWork, case: PaymentCase, proposal: dict[str, Any]) -> str:
    """A line of a bank statement as a transfer for the invoice that is proposed."""
    line = await policies.line_of(uow, case.subject)
    payment = await transfers.record(
        uow,
        money=Money(line.minor, line.currency),
        key=line.bank_ref,
        reference=line.remittance[: transfers.REFERENCE_CHARACTERS_MAX],
        invoice_id=proposal["invoice_id"],
    )
    await uow.session.flush()
    await uow.execute(_SETTLE_LINE, id=line.id, subject_id=payment.id, journal_id=payment.journal_id)
    return payment.journal_id or ""


Act = Callable[[UnitOfWork, PaymentCase, dict[str, Any]], Awaitable[str]]
ACTS: dict[str, Act] = {
    "book": _book,
    "book_refund": _refund,
    "payment": _payment,
    "transfer": _transfer,
}
