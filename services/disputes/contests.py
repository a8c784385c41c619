"""Contests: a customer says that an invoice, or a line of it, is wrong; staff answers, with a credit note or a reason.

What is contested is not asked for meanwhile: see services/billing/contested.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from models.billing import Invoice, InvoiceState
from models.disputes import Contest, ContestState
from services.billing import notes, offsetting, states
from services.billing import policies as of_billing
from services.billing.contested import collectable, collectable_minor
from services.billing.invoices import DESCRIPTION_CHARACTERS_MAX
from services.billing.notes import Asked
from services.core import clock as clocks
from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.errors import not_found
from services.core.ids import is_id, new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork, unit_of_work
from services.disputes import contest_rules
from services.disputes import rules as dispute_rules
from services.disputes.contest_rules import AlreadyContested
from services.identity.rules import clean_text
from services.payments import checking, policies
from services.payments.events import ContestAnswerDue, ContestEnded, ContestOpened

__all__ = ["collectable", "collectable_minor"]

S = ContestState
TEXT_CHARACTERS_MAX = 2_000
ANSWER_DAYS = 14
_THERE = """
select id from contest where invoice_id = :invoice_id and state = 'open'
  and line_id is not distinct from cast(:line_id as text)
"""
_OTHERS = """
select coalesce(sum(minor), 0)::bigint from contest
where invoice_id = :invoice_id and state = 'open'
"""
LATE = 0  # days of the reminder that comes when the time to answer is over
_DUE = f"""
select id, organization_id, due_at as at from contest
where state = 'open' and due_at <= :until and (due_at, id) > (:after_at, :after_id)
  and coalesce(reminded_days, 99) > case when due_at <= :now then {LATE} else {min(dispute_rules.REMIND_DAYS)} end
order by due_at, id limit :most
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """`minor` None means all that is left of the invoice or the line."""

    invoice_id: str
    reason: str
    line_id: str | None = None
    minor: int | None = None


async def open_contest(uow: UnitOfWork, wanted: Wanted, *, answer_days: int = ANSWER_DAYS) -> Contest:
    """Say that an invoice is wrong. Staff answers within `answer_days`.

    Raises Forbidden, NotFound, InvoiceStateConflict for what cannot be credited, AlreadyContested, and Invalid without
    a reason and for an amount that is not above zero or more than there is.
    """
    reason = clean_text(wanted.reason, field="reason", what="The reason", characters_max=TEXT_CHARACTERS_MAX)
    if not is_id(str(wanted.invoice_id), "inv"):
        raise not_found("invoice", str(wanted.invoice_id))
    invoice = await of_billing.invoice_for(uow, wanted.invoice_id, Capability.PAYMENTS_WRITE)
    if invoice.number is None:
        raise not_found("invoice", wanted.invoice_id)
    states.require_creditable(InvoiceState(invoice.state))
    most = await _contestable(uow, invoice, wanted.line_id)
    await _require_new(uow, wanted)
    minor = most if wanted.minor is None else wanted.minor
    contest_rules.require_amount(minor, most=most)
    contest = Contest(
        id=new_id("cst"),
        organization_id=invoice.organization_id,
        invoice_id=invoice.id,
        line_id=wanted.line_id,
        currency=invoice.currency,
        minor=minor,
        reason=reason,
        created_by=uow.actor.id,
        created_at=uow.now,
        due_at=uow.wall_now + timedelta(days=answer_days),
    )
    uow.add(contest)
    await uow.session.flush()
    uow.record(
        ContestOpened(
            **_named(contest), line_id=contest.line_id, currency=contest.currency, minor=contest.minor
        )
    )
    return contest


async def _contestable(uow: UnitOfWork, invoice: Invoice, line_id: str | None) -> int:
    """All contests together are never about more than a credit note could take back."""
    others = (await uow.execute(_OTHERS, invoice_id=invoice.id)).scalar_one()
    left = (await notes.creditable(uow, invoice)).minor - others
    if line_id is None:
        return max(0, left)
    if not is_id(str(line_id), "invl"):
        raise not_found("invoice line", str(line_id))
    line = await of_billing.line_for(uow, invoice, line_id)
    return max(0, min(left, line.gross_minor))


async def _require_new(uow: UnitOfWork, wanted: Wanted) -> None:
    """The invoice is locked: nobody else contests it meanwhile."""
    found = await uow.execute(_THERE, invoice_id=wanted.invoice_id, line_id=wanted.line_id)
    if (there := found.scalar_one_or_none()) is not None:
        raise AlreadyContested(
            "This is contested already, and not answered yet.",
            next_step="Wait for the answer, or withdraw it and contest it anew.",
            contest_id=there,
        )


async def withdraw(uow: UnitOfWork, contest_id: str) -> Contest:
    """Take it back: the amount is asked for again. Raises Forbidden, NotFound and ContestStateConflict."""
    contest = await policies.contest_for(uow, contest_id, Capability.PAYMENTS_WRITE, lock=True)
    _end(uow, contest, S.WITHDRAWN)
    return contest


async def refuse(uow: UnitOfWork, contest_id: str, *, answer: str) -> Contest:
    """Say why the invoice is right: the amount is asked for again.

    Raises Forbidden, NotFound, ContestStateConflict, and Invalid without a reason.
    """
    contest = await policies.contest_for(uow, contest_id, Capability.STAFF_PAYMENTS_WRITE, lock=True)
    contest_rules.require_transition(S(contest.state), S.REFUSED)
    contest.answer = _answer(answer)
    contest.answered_by = uow.actor.id
    _end(uow, contest, S.REFUSED)
    return contest


async def credit(uow: UnitOfWork, contest_id: str, *, answer: str, minor: int | None = None) -> Contest:
    """Agree, and issue a credit note for it, or for a part, `minor`; the rest is asked for again.

    Raises Forbidden, NotFound, ContestStateConflict, what issuing a credit note raises, and Invalid without a reason
    and for an amount that is not above zero or more than was contested.
    """
    known = await policies.contest_for(uow, contest_id, Capability.STAFF_PAYMENTS_WRITE)
    # The invoice first, as everywhere, and what its credit may pay.
    await offsetting.lock_with_owed(uow, known.invoice_id)
    await of_billing.invoice_for(uow, known.invoice_id, Capability.STAFF_INVOICES_WRITE)
    contest = await policies.contest_for(uow, contest_id, Capability.STAFF_PAYMENTS_WRITE, lock=True)
    contest_rules.require_transition(S(contest.state), S.CREDITED)
    amount = contest.minor if minor is None else minor
    contest_rules.require_amount(amount, most=contest.minor)
    contest.answer = _answer(answer)
    asked = Asked(amount=amount) if contest.line_id is None else Asked(lines={contest.line_id: amount})
    note = await notes.issue(uow, contest.invoice_id, key=contest.id, reason=contest.answer, asked=asked)
    contest.credit_note_id, contest.credited_minor = note.id, amount
    contest.answered_by = uow.actor.id
    _end(uow, contest, S.CREDITED)
    return contest


def _answer(text: str) -> str:
    return clean_text(text, field="answer", what="The answer", characters_max=DESCRIPTION_CHARACTERS_MAX)


def _end(uow: UnitOfWork, contest: Contest, state: ContestState) -> None:
    contest_rules.require_transition(S(contest.state), state)
    contest.state, contest.ended_at = state.value, uow.wall_now
    contest.version += 1
    uow.add(contest)
    uow.record(
        ContestEnded(
            **_named(contest),
            state=state.value,
            currency=contest.currency,
            credited_minor=contest.credited_minor,
        )
    )


def _named(contest: Contest) -> dict[str, str]:
    return {
        "aggregate_id": contest.id,
        "organization_id": contest.organization_id,
        "invoice_id": contest.invoice_id,
    }


async def remind(on: Database | None = None, *, clock: clocks.Clock | None = None) -> int:
    """Tell staff of contests that have to be answered soon, once for each of REMIND_DAYS, and once when that is late;
    returns how many."""
    told, now = 0, (clock or clocks.SystemClock()).now()
    until = now + timedelta(days=max(dispute_rules.REMIND_DAYS))
    across = partial(crossing, Reason.PAYMENTS, on=on, clock=clock)
    async for row in checking.due(across, _DUE, until=until):
        async with unit_of_work(system(row.organization_id), on=on, clock=clock) as uow:
            told += await _remind(uow, row.id)
    return told


async def _remind(uow: UnitOfWork, contest_id: str) -> bool:
    contest = await policies.contest_for(uow, contest_id, Capability.PAYMENTS_WRITE, lock=True)
    days = dispute_rules.reminder(contest.due_at, uow.wall_now, reminded=contest.reminded_days)
    if contest.due_at <= uow.wall_now and contest.reminded_days != LATE:
        days = LATE
    if contest.state != S.OPEN or days is None:
        return False
    contest.reminded_days = days
    uow.add(contest)
    uow.record(ContestAnswerDue(**_named(contest), days=days))
    return True
