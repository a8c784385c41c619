"""What banks take back, and what customers contest: seen, and answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any

from fastapi import Request, Response
from pydantic import AwareDatetime, BeforeValidator, Field

from matrix_app.api.deps import AnyCaller, Caller, staff_work
from matrix_app.api.v1.contests import ContestShown
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.papers import SHOWN_HEADERS
from matrix_app.api.v1.payments import Minor, Till
from matrix_app.api.v1.repeat import Repeat, RepeatOnce
from matrix_app.api.v1.route import failures
from matrix_app.api.v1.shape import Body, Exact, Shown, resource
from matrix_app.api.v1.staff_invoices import within
from models.disputes import Contest, DisputeState
from services.core.permissions import Capability
from services.core.settings import settings
from services.core.work import UnitOfWork
from services.disputes import contests, disputing, evidence, evidence_files
from services.disputes import queries as dispute_queries
from services.disputes.answering import Answering
from services.disputes.disputing import Disputing
from services.files.stores import places
from services.payments import policies
from services.payments.cashier import Cashier
from services.payments.providers.values import Evidence
from services.wallets.wallets import money_of

router = resource("staff", prefix="/staff")

READ, WRITE = Capability.STAFF_PAYMENTS_READ, Capability.STAFF_PAYMENTS_WRITE
SAID_CHARACTERS_MAX = 5_000


class DisputeShown(Shown):
    """A chargeback: a customer's bank takes a payment back, or asks about it."""

    id: str
    organization_id: str
    organization_name: str
    payment_id: str
    invoice_id: str | None
    invoice_number: str | None
    account: str
    provider: str
    provider_ref: str = Field(description="The provider's name for it")
    state: DisputeState
    asks: bool = Field(description="Whether it waits for our answer")
    reason: str = Field(description="The provider's word")
    currency: str
    minor: Minor
    fee_currency: str
    fee_minor: int = Field(description="What the provider keeps for it")
    taken_invoice_minor: int = Field(description="What of it is owed again")
    taken_credit_minor: int = Field(description="What of it came out of the customer's credit")
    taken_unknown_minor: int = Field(description="What of it has no place; a case tells of it")
    due_at: AwareDatetime | None = Field(description="Until when it can be answered, while it can")
    opened_at: AwareDatetime
    taken_at: AwareDatetime | None
    returned_at: AwareDatetime | None
    submitted_at: AwareDatetime | None
    answering_at: AwareDatetime | None = Field(
        description="Since when an answer is on its way that the provider has not said it has"
    )
    conceded_at: AwareDatetime | None
    ended_at: AwareDatetime | None
    created_at: AwareDatetime
    version: int


class SectionShown(Shown):
    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class EvidenceShown(Shown):
    """What is known in our favour, and how it would be said to the provider."""

    sections: list[SectionShown]
    texts: dict[str, str] = Field(description="By the provider's fields")


class DisputeAnswer(Body):
    said: str = Field("", max_length=SAID_CHARACTERS_MAX, description="What to add in one's own words")


class ContestAnswer(Body):
    answer: str = Field(description="What the customer reads, on the credit note, too")
    amount: Annotated[Exact | None, BeforeValidator(lambda said: said or None)] = Field(
        None, description="What to credit, in major units; all that is contested if left out"
    )


class ContestRefusal(Body):
    answer: str = Field(description="Why the invoice is right; the customer reads it")


class Nothing(Body):
    """Nothing has to be said."""


@router.get("/disputes", **listed(dispute_queries.DISPUTES, DisputeShown))
async def list_disputes(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """What banks take back or ask about, the newest first."""
    work = partial(staff_work, who, READ)
    return await answer(request, dispute_queries.DISPUTES, DisputeShown, asked, work)


@router.get("/disputes/{dispute_id}")
async def get_dispute(who: AnyCaller, dispute_id: str) -> DisputeShown:
    """One dispute."""
    async with staff_work(who, READ) as uow:
        return DisputeShown.model_validate(await dispute_queries.dispute(uow, dispute_id))


@router.get("/disputes/{dispute_id}/evidence")
async def preview_evidence(who: AnyCaller, dispute_id: str) -> EvidenceShown:
    """What is known in our favour, as it would be handed in; for whoever may answer."""
    async with staff_work(who, WRITE) as uow:
        row = await dispute_queries.dispute(uow, dispute_id)
        pack = await evidence.gather(uow, dispute_id)
    texts = dict(evidence.worded(pack, row.provider).texts)
    return EvidenceShown(sections=[SectionShown.model_validate(one) for one in pack.sections], texts=texts)


_PDF: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "What is known in our favour",
        "content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.get("/disputes/{dispute_id}/evidence/pdf", response_class=Response, responses=_PDF)
async def preview_evidence_as_pdf(request: Request, who: AnyCaller, dispute_id: str) -> Response:
    """The same as the PDF that goes along."""
    async with staff_work(who, WRITE) as uow:
        pack = await evidence.gather(uow, dispute_id)
        told = evidence.tables_of(pack, uow.wall_now)
    made = await request.app.state.press.tables(told)
    return Response(made, headers=SHOWN_HEADERS, media_type="application/pdf")


@router.post("/disputes/{dispute_id}/answer", response_model=DisputeShown, responses=failures(404, 409))
async def answer_dispute(
    request: Request, who: AnyCaller, dispute_id: str, body: DisputeAnswer, till: Till, repeat: RepeatOnce
) -> Response:
    """Hand in what is known in our favour: once and for ever. While the provider does not say that it has it,
    `answering_at` is there, and the worker hands in the same again."""

    async def answer() -> DisputeShown:
        await hand_in(request, who, dispute_id, till, said=body.said)
        return await get_dispute(who, dispute_id)

    return await repeat.apart(partial(staff_work, who, WRITE), answer, owner=who.actor.id)


async def hand_in(request: Request, who: Caller, dispute_id: str, till: Cashier, *, said: str = "") -> None:
    """Answer with what is known, what is `said` in one's own words and what was added as files. Raises what
    Answering.answer raises, and ContentMissing."""
    async with staff_work(who, WRITE) as uow:
        row = await dispute_queries.dispute(uow, dispute_id)
        await evidence_files.answerable(uow, dispute_id)  # before anything is made for it
        pack = await evidence.gather(uow, dispute_id)
        told = evidence.tables_of(pack, uow.wall_now)
        added = await evidence_files.listed(uow, dispute_id)
    pdf = evidence.packed(await request.app.state.press.tables(told), row.provider)
    store = places(settings()).store
    files = await evidence_files.contents(store, added)
    worded = evidence.worded(pack, row.provider, said)
    answer = Evidence(worded.texts, files if pdf is None else (pdf, *files))
    desk = Answering(till, request.app.state.press, store)
    await desk.answer(dispute_id, row.organization_id, answer, told=told, by=who.actor)


@router.post("/disputes/{dispute_id}/concede", response_model=DisputeShown, responses=failures(404, 409))
async def concede_dispute(who: AnyCaller, dispute_id: str, body: Nothing, repeat: RepeatOnce) -> Response:
    """Decide not to answer: the bank decides when the time is over."""

    async def concede(uow: UnitOfWork) -> DisputeShown:
        await disputing.concede(uow, dispute_id)
        await uow.session.flush()
        return DisputeShown.model_validate(await dispute_queries.dispute(uow, dispute_id))

    async with staff_work(who, WRITE) as uow:
        row = await policies.dispute_for(uow, dispute_id, WRITE)
    work = within(who, row.organization_id, WRITE)
    return await repeat.once(work, concede, owner=who.actor.id, status=200)


@router.post("/disputes/{dispute_id}/refresh", responses=failures(404, 409))
async def refresh_dispute(who: AnyCaller, dispute_id: str, body: Nothing, till: Till) -> DisputeShown:
    """Ask the provider how it stands."""
    async with staff_work(who, WRITE) as uow:
        row = await policies.dispute_for(uow, dispute_id, WRITE)
    await Disputing(till).follow(row.provider_account_id, row.provider_ref)
    return await get_dispute(who, dispute_id)


@router.get("/contests", **listed(dispute_queries.STAFF_CONTESTS, ContestShown))
async def list_all_contests(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """What customers contest, the newest first."""
    work = partial(staff_work, who, READ)
    return await answer(request, dispute_queries.STAFF_CONTESTS, ContestShown, asked, work)


@router.get("/contests/{contest_id}")
async def get_staff_contest(who: AnyCaller, contest_id: str) -> ContestShown:
    """Any organisation's contest."""
    async with staff_work(who, READ) as uow:
        return ContestShown.model_validate(await dispute_queries.contest(uow, contest_id, staff=True))


@router.post("/contests/{contest_id}/credit", response_model=ContestShown, responses=failures(404, 409))
async def credit_contest(
    who: AnyCaller, contest_id: str, body: ContestAnswer, repeat: RepeatOnce
) -> Response:
    """Agree, and issue a credit note for it, or for a part."""

    async def credit(uow: UnitOfWork, one: str) -> Contest:
        minor = None
        if body.amount is not None:
            code = (await policies.contest_for(uow, one, WRITE)).currency
            minor = money_of(body.amount, code).minor
        return await contests.credit(uow, one, answer=body.answer, minor=minor)

    return await _answered(who, contest_id, repeat, credit)


@router.post("/contests/{contest_id}/refuse", response_model=ContestShown, responses=failures(404, 409))
async def refuse_contest(
    who: AnyCaller, contest_id: str, body: ContestRefusal, repeat: RepeatOnce
) -> Response:
    """Say why the invoice is right: the amount is asked for again."""
    return await _answered(who, contest_id, repeat, partial(contests.refuse, answer=body.answer))


async def _answered(
    who: Caller, contest_id: str, repeat: Repeat, act: Callable[[UnitOfWork, str], Awaitable[Contest]]
) -> Response:
    async def answered(uow: UnitOfWork) -> ContestShown:
        await act(uow, contest_id)
        await uow.session.flush()
        return ContestShown.model_validate(await dispute_queries.contest(uow, contest_id, staff=True))

    async with staff_work(who, WRITE) as uow:
        row = await policies.contest_for(uow, contest_id, WRITE)
    work = within(who, row.organization_id, WRITE)
    return await repeat.once(work, answered, owner=who.actor.id, status=200)
