"""Contesting one's own invoices."""

from __future__ import annotations

from typing import Annotated

from fastapi import Request, Response
from pydantic import AwareDatetime, BeforeValidator, Field

from matrix_app.api.deps import Member
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.payments import Minor
from matrix_app.api.v1.repeat import RepeatOnce
from matrix_app.api.v1.route import failures
from matrix_app.api.v1.shape import Body, Exact, Shown, resource
from models.disputes import ContestState
from services.billing import queries as billing
from services.core.settings import settings
from services.core.work import UnitOfWork, unit_of_work
from services.disputes import contests
from services.disputes import queries as dispute_queries
from services.disputes.contests import Wanted
from services.wallets.wallets import money_of

router = resource("payments")
OrNone = BeforeValidator(lambda said: said or None)


class ContestShown(Shown):
    """What a customer says is wrong; while it is open, nobody asks for that amount."""

    id: str
    organization_id: str
    organization_name: str
    invoice_id: str
    invoice_number: str | None
    line_id: str | None = Field(description="Null where the whole invoice is contested")
    line: str | None
    state: ContestState
    currency: str
    minor: Minor
    credited_minor: Minor
    reason: str
    answer: str
    credit_note_id: str | None
    due_at: AwareDatetime = Field(description="By when it is answered")
    created_at: AwareDatetime
    ended_at: AwareDatetime | None
    version: int


class NewContest(Body):
    reason: str = Field(description="What is wrong")
    line_id: Annotated[str | None, OrNone] = Field(
        None, description="The line; the whole invoice if left out"
    )
    amount: Annotated[Exact | None, OrNone] = Field(
        None, description="In major units, tax included; all of it if left out", examples=["19.00"]
    )


class Nothing(Body):
    """Nothing has to be said."""


@router.get("/contests", **listed(dispute_queries.CONTESTS, ContestShown))
async def list_contests(request: Request, who: Member, asked: Asked) -> Answer:
    """What was contested, the newest first."""
    return await answer(
        request, dispute_queries.CONTESTS, ContestShown, asked, lambda: unit_of_work(who.actor)
    )


@router.get("/contests/{contest_id}")
async def get_contest(who: Member, contest_id: str) -> ContestShown:
    """One contest, and what was answered."""
    async with unit_of_work(who.actor) as uow:
        return await _shown(uow, contest_id)


@router.post(
    "/invoices/{invoice_id}/contests",
    status_code=201,
    response_model=ContestShown,
    responses=failures(404, 409),
)
async def contest_invoice(who: Member, invoice_id: str, body: NewContest, repeat: RepeatOnce) -> Response:
    """Say that an invoice, or a line of it, is wrong. Nobody asks for that amount until it is answered."""

    async def contest(uow: UnitOfWork) -> ContestShown:
        minor = None
        if body.amount is not None:
            code = (await billing.invoice(uow, invoice_id)).currency
            minor = money_of(body.amount, code).minor
        wanted = Wanted(invoice_id, body.reason, body.line_id, minor)
        made = await contests.open_contest(uow, wanted, answer_days=settings().contest_answer_days)
        return await _shown(uow, made.id)

    return await repeat.once(unit_of_work(who.actor), contest, owner=who.actor.organization_id or "")


@router.post("/contests/{contest_id}/withdraw", responses=failures(404, 409), response_model=ContestShown)
async def withdraw_contest(who: Member, contest_id: str, body: Nothing, repeat: RepeatOnce) -> Response:
    """Take it back: the amount is asked for again."""

    async def act(uow: UnitOfWork) -> ContestShown:
        await contests.withdraw(uow, contest_id)
        await uow.session.flush()
        return await _shown(uow, contest_id)

    return await repeat.once(unit_of_work(who.actor), act, owner=who.actor.organization_id or "", status=200)


async def _shown(uow: UnitOfWork, contest_id: str) -> ContestShown:
    return ContestShown.model_validate(await dispute_queries.contest(uow, contest_id))
