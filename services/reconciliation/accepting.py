"""Closing cases: by doing what is proposed, or by saying why nothing is done.

How a proposal is done is told by its `act`, one function each in acts.py. A case without one can only be dismissed.
"""

from __future__ import annotations

from models.payment_cases import CaseAct, CaseKind, PaymentCase
from services.core.errors import Conflict, StaleVersion
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.disputes import rules as dispute_rules
from services.identity.rules import clean_text
from services.payments import ending
from services.payments import policies as of_payments
from services.reconciliation import acts, policies, proposals
from services.reconciliation.acts import NOTE_CHARACTERS_MAX, Done, Terms
from services.reconciliation.events import PaymentCaseAccepted, PaymentCaseDismissed

_WRITE = Capability.STAFF_PAYMENTS_WRITE


class CaseClosed(Conflict):
    """Somebody has decided it already, otherwise."""

    code = "payment_case_closed"
    title = "The case is closed"


class NothingProposed(Conflict):
    """There is nothing to do but to look."""

    code = "payment_case_proposes_nothing"
    title = "There is nothing to accept"


async def accept(
    uow: UnitOfWork, case_id: str, *, version: int | None = None, terms: Terms | None = None
) -> Done:
    """Do what the case proposes, once: asked again nothing is done.

    In work across tenants, within the case's organisation where it has one. Raises Forbidden, NotFound, StaleVersion,
    CaseClosed for one that was dismissed, NothingProposed, and what doing it raises.
    """
    case = await policies.case_for(uow, case_id, _WRITE, lock=True)
    if case.state == "accepted":
        return Done(case.journal_id)
    _require_open(case, version)
    proposed = proposals.read(case.proposal, case.currency, case.minor)
    if proposed is None:
        raise NothingProposed(
            "Nothing is proposed for this case.", next_step="Dismiss it, and say what was done about it."
        )
    done = await acts.ACTS[proposed.act](uow, case, proposed.told, terms or Terms())
    case.journal_id = done.journal_id
    _close(uow, case, "accepted")
    uow.record(
        PaymentCaseAccepted(
            aggregate_id=case.id,
            organization_id=case.organization_id,
            kind=case.kind,
            journal_id=case.journal_id,
        )
    )
    return done


async def to_answer(uow: UnitOfWork, case_id: str) -> str | None:
    """The dispute that has to be answered before the case can be accepted; None where there is none.

    Raises Forbidden and NotFound.
    """
    case = await policies.case_for(uow, case_id, _WRITE)
    proposed = proposals.read(case.proposal, case.currency, case.minor)
    if case.state != "open" or proposed is None or proposed.act is not CaseAct.ANSWER_DISPUTE:
        return None
    payment = await of_payments.payment_for(uow, proposed.told["payment_id"], _WRITE)
    dispute_id = await of_payments.open_dispute_of(uow, payment)
    if dispute_id is None:
        return None
    dispute = await of_payments.dispute_for(uow, dispute_id, _WRITE)
    return None if dispute.state not in dispute_rules.ASKS or dispute.submitted_at else dispute.id


async def dismiss(uow: UnitOfWork, case_id: str, note: str, *, version: int | None = None) -> PaymentCase:
    """Close a case and do nothing, for the reason in `note`.

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
        case CaseKind.DIFFERENCE | CaseKind.UNMATCHED, "mvt" if not case.subject.endswith(".fee"):
            await acts.settle_movement(uow, case.subject, None)
        case _:
            pass
