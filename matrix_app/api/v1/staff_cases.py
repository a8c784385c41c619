"""Cases about money, payouts of providers and what they consist of, for staff."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import partial
from typing import Any, Literal

from fastapi import Request, Response
from pydantic import AwareDatetime, Field

from matrix_app.api.deps import AnyCaller, Caller, staff_work
from matrix_app.api.v1.etag import IfMatch
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.payments import Till
from matrix_app.api.v1.repeat import RepeatOnce
from matrix_app.api.v1.route import failures
from matrix_app.api.v1.shape import Body, Shown, resource
from matrix_app.api.v1.staff_disputes import hand_in
from matrix_app.api.v1.staff_invoices import within
from models.refunds import RefundTo
from services.core.permissions import Capability
from services.core.settings import settings
from services.core.work import UnitOfWork
from services.payments import policies as refund_policies
from services.reconciliation import (
    accepting,
    payout_queries,
    policies,
    pulling,
    queries,
)
from services.reconciliation.acts import NOTE_CHARACTERS_MAX, Terms
from services.refunds.refunding import Refunding

router = resource("staff", prefix="/staff")

READ, WRITE = Capability.STAFF_PAYMENTS_READ, Capability.STAFF_PAYMENTS_WRITE


class CaseShown(Shown):
    """Something about money that somebody has to look at."""

    id: str
    organization_id: str | None
    organization_name: str
    kind: str
    subject: str = Field(description="What it is about: a payment, a movement, a line of a statement")
    cause: str = Field(description="What probably happened")
    detail: str
    currency: str | None
    minor: int | None = Field(description="What is at stake, signed as seen from us")
    state: str
    note: str
    proposal: dict[str, Any] | None = Field(description="What is proposed; null if nothing is")
    accepting: str | None = Field(
        description="What accepting it does, in words with amounts; null if it can only be dismissed"
    )
    journal_id: str | None
    resolved_by: str | None
    created_at: AwareDatetime
    resolved_at: AwareDatetime | None
    version: int


class Accepting(Body):
    to: RefundTo = Field(
        RefundTo.SOURCE, description="Where a refund that failed goes now: again, or it stays a credit"
    )
    version: int | None = Field(None, description="Refuse if somebody changed it since this version")


class Dismissing(Body):
    note: str = Field(
        description="Why nothing is done, or what was done about it", max_length=NOTE_CHARACTERS_MAX
    )
    version: int | None = Field(None, description="Refuse if somebody changed it since this version")


class PayoutShown(Shown):
    """difference = amount - what our books have of it: nothing when all of it is matched."""

    id: str
    provider_account_id: str
    account: str
    provider_ref: str
    state: str
    traced: bool = Field(description="Whether it is known what it consists of")
    currency: str
    minor: int
    movements: int
    charges_minor: int
    fees_minor: int
    refunds_minor: int
    disputes_minor: int
    other_minor: int
    net_minor: int
    booked_minor: int
    difference_minor: int
    failure: str
    happened_at: AwareDatetime
    arrives_at: AwareDatetime
    bank_line_id: str | None = Field(description="Where it arrived, once a statement says so")


class MovementShown(Shown):
    """One change of our balance at a provider: net = gross - fee."""

    id: str
    provider_account_id: str
    payout_id: str | None
    provider_ref: str
    kind: str
    category: str
    currency: str
    gross_minor: int
    fee_minor: int
    net_minor: int
    match: str
    subject_id: str | None
    journal_id: str | None
    fee_journal_id: str | None
    happened_at: AwareDatetime


class ClearingShown(Shown):
    """What a provider holds of ours in one currency, by what it told and by our books."""

    provider_account_id: str
    account: str
    currency: str
    provider_minor: int
    books_minor: int
    difference_minor: int
    explained_minor: int = Field(description="What open cases are about")
    open_cases: int
    read_until: AwareDatetime | None
    reason: str | None = Field(description="Why the last read did not come to its end")


class Clearing(Shown):
    data: list[ClearingShown]


@asynccontextmanager
async def _at(who: Caller, case_id: str) -> AsyncIterator[UnitOfWork]:
    """Staff at work on a case: within its organisation, by its clock, where it has one."""
    async with staff_work(who, WRITE) as uow:
        organization_id = (await policies.case_for(uow, case_id, WRITE)).organization_id
    opened = staff_work(who, WRITE) if organization_id is None else within(who, organization_id, WRITE)
    async with opened as uow:
        yield uow


async def _case(uow: UnitOfWork, case_id: str) -> CaseShown:
    return CaseShown.model_validate(await queries.case(uow, case_id))


@router.get("/payment-cases", **listed(queries.CASES, CaseShown))
async def list_payment_cases(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """What somebody has to look at, the newest first."""
    return await answer(request, queries.CASES, CaseShown, asked, partial(staff_work, who, READ))


@router.get("/payment-cases/{case_id}")
async def get_payment_case(who: AnyCaller, case_id: str) -> CaseShown:
    """One case, with what it proposes."""
    async with staff_work(who, READ) as uow:
        return await _case(uow, case_id)


@router.post(
    "/payment-cases/{case_id}/accept", status_code=200, response_model=CaseShown, responses=failures(404, 409)
)
async def accept_payment_case(
    request: Request,
    who: AnyCaller,
    case_id: str,
    body: Accepting,
    expected: IfMatch,
    repeat: RepeatOnce,
    till: Till,
) -> Response:
    """Do what the case proposes, once: `accepting` says what that is. A dispute is answered first, and the case is
    closed when the answer is handed in or on its way; a refund that is more than one may give back
    alone waits for somebody else."""
    async with staff_work(who, WRITE) as uow:
        dispute_id = await accepting.to_answer(uow, case_id)
    if dispute_id is not None:
        await hand_in(request, who, dispute_id, till)
    refund_id, version, terms = (
        None,
        expected.version(body.version),
        Terms(settings().refund_approval_above, body.to),
    )

    async def accept(uow: UnitOfWork) -> CaseShown:
        nonlocal refund_id
        refund_id = (await accepting.accept(uow, case_id, version=version, terms=terms)).refund_id
        return await _case(uow, case_id)

    told = await repeat.once(_at(who, case_id), accept, owner=who.actor.id, status=200)
    if refund_id is not None:
        async with staff_work(who, WRITE) as uow:
            organization_id = (await refund_policies.refund_for(uow, refund_id, WRITE)).organization_id
        await Refunding(till).send(refund_id, organization_id)
    return told


@router.post(
    "/payment-cases/{case_id}/dismiss",
    status_code=200,
    response_model=CaseShown,
    responses=failures(404, 409),
)
async def dismiss_payment_case(
    who: AnyCaller, case_id: str, body: Dismissing, expected: IfMatch, repeat: RepeatOnce
) -> Response:
    """Close a case and do nothing, and say why."""

    async def dismiss(uow: UnitOfWork) -> CaseShown:
        await accepting.dismiss(uow, case_id, body.note, version=expected.version(body.version))
        return await _case(uow, case_id)

    return await repeat.once(_at(who, case_id), dismiss, owner=who.actor.id, status=200)


@router.get("/payouts", **listed(payout_queries.PAYOUTS, PayoutShown))
async def list_payouts(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """Payouts of providers with what they consist of, the newest first."""
    return await answer(request, payout_queries.PAYOUTS, PayoutShown, asked, partial(staff_work, who, READ))


@router.get("/payouts/{payout_id}")
async def get_payout(who: AnyCaller, payout_id: str) -> PayoutShown:
    """One payout."""
    async with staff_work(who, READ) as uow:
        return PayoutShown.model_validate(await payout_queries.payout(uow, payout_id))


@router.get("/provider-movements", **listed(payout_queries.MOVEMENTS, MovementShown))
async def list_provider_movements(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """What changed our balances at providers, the newest first; `payout_id` narrows it to one payout."""
    return await answer(
        request, payout_queries.MOVEMENTS, MovementShown, asked, partial(staff_work, who, READ)
    )


@router.get("/clearing")
async def get_clearing(who: AnyCaller) -> Clearing:
    """What providers hold of ours, by account and currency, beside our books."""
    async with staff_work(who, READ) as uow:
        rows = await payout_queries.clearing(uow)
    return Clearing(
        data=[
            ClearingShown.model_validate(asdict(row) | {"difference_minor": row.difference_minor})
            for row in rows
        ]
    )


class Reconciling(Shown):
    status: Literal["asked"] = "asked"


@router.post(
    "/provider-accounts/{provider_account_id}/reconcile", status_code=202, response_model=Reconciling
)
async def reconcile_provider_account(
    who: AnyCaller, provider_account_id: str, repeat: RepeatOnce
) -> Response:
    """Read what moved at a provider within a minute, instead of once a day."""

    async def ask(uow: UnitOfWork) -> Reconciling:
        await pulling.ask(uow, provider_account_id)
        return Reconciling()

    return await repeat.once(staff_work(who, WRITE), ask, owner=who.actor.id, status=202)
