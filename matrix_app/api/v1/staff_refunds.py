"""Giving money back: asked for by staff, above a limit approved by somebody else, and sent."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Annotated, Any

from fastapi import Request, Response
from pydantic import BeforeValidator, Field

from matrix_app.api.deps import AnyCaller, Caller, staff_work
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.payments import Minor, Till
from matrix_app.api.v1.refunds import RefundShown
from matrix_app.api.v1.repeat import Repeat, RepeatKey, RepeatOnce
from matrix_app.api.v1.route import failures
from matrix_app.api.v1.shape import Body, Exact, Shown, resource
from matrix_app.api.v1.staff_invoices import LINES_AT_ONCE_MAX, OrEmpty, within
from models.refunds import Refund, RefundTo
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.settings import settings
from services.core.work import UnitOfWork
from services.payments import policies
from services.payments.cashier import Cashier
from services.refunds import queries as refund_queries
from services.refunds import refunds
from services.refunds.refunding import Refunding
from services.refunds.refunds import Wanted
from services.wallets.wallets import money_of

router = resource("staff", prefix="/staff")

READ, WRITE = Capability.STAFF_PAYMENTS_READ, Capability.STAFF_PAYMENTS_WRITE
APPROVE = Capability.STAFF_REFUNDS_APPROVE


class StaffRefundShown(RefundShown):
    organization_id: str
    organization_name: str
    provider: str
    by_transfer: bool = Field(description="Whether staff sends it, and records that it was sent")
    requested_by: str
    asked_by: str
    approver: str | None
    refusal: str = Field(description="Why it was rejected")
    failure: str | None = Field(description="The provider's word for why it came back")
    reference: str
    version: int


class RefundPreview(Shown):
    """What a refund would come to, in minor units."""

    currency: str
    minor: Minor
    owed_minor: int = Field(description="What of it is owed to the customer already")
    credited_minor: int = Field(description="What of it a credit note takes back")
    tax_minor: int = Field(description="The tax in that")
    left_minor: int = Field(description="What is left of the payment afterwards")
    needs_approval: bool


def _filled(given: Any) -> Any:
    """A form sends a field that nobody filled in as an empty text: such a line is not meant."""
    kept = {name: said for name, said in given.items() if said != ""} if isinstance(given, dict) else given
    return kept or None


ByLine = Annotated[dict[str, Exact | None] | None, BeforeValidator(_filled)]


class RefundAsked(Body):
    """An amount, or lines of the invoice, or with neither all that is left of the payment."""

    to: RefundTo = Field(RefundTo.SOURCE, description="Where it goes")
    amount: OrEmpty = Field(None, description="In major units, tax included", examples=["10.00"])
    line_ids: list[str] = Field([], max_length=LINES_AT_ONCE_MAX, description="Lines to give back whole")
    by_line: ByLine = Field(
        None, max_length=LINES_AT_ONCE_MAX, description="Or what of each line; null: what is left of it"
    )


class NewRefund(RefundAsked):
    reason: str = Field(description="On the credit note, which the customer reads")


class WhyRejected(Body):
    reason: str


class RefundSent(Body):
    reference: str = Field("", description="What the bank calls it")


class Nothing(Body):
    """Nothing has to be said."""


@router.get("/refunds", **listed(refund_queries.STAFF_REFUNDS, StaffRefundShown))
async def list_all_refunds(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """Refunds of all organisations, the newest first."""
    work = partial(staff_work, who, READ)
    return await answer(request, refund_queries.STAFF_REFUNDS, StaffRefundShown, asked, work)


@router.get("/refunds/{refund_id}")
async def get_staff_refund(who: AnyCaller, refund_id: str) -> StaffRefundShown:
    """Any organisation's refund."""
    async with staff_work(who, READ) as uow:
        return StaffRefundShown.model_validate(await refund_queries.staff_refund(uow, refund_id))


@router.post("/payments/{payment_id}/refund-preview", responses=failures(404, 409))
async def preview_refund(who: AnyCaller, payment_id: str, body: RefundAsked) -> RefundPreview:
    """What giving back would come to. Nothing is done."""
    async with _at_payment(who, payment_id) as uow:
        wanted = await _wanted(uow, payment_id, body, new_id("rfnd"), "Preview")
        found = await refunds.preview(uow, wanted, above=settings().refund_approval_above)
    return RefundPreview.model_validate(found)


@router.post(
    "/payments/{payment_id}/refunds",
    status_code=201,
    response_model=StaffRefundShown,
    responses=failures(404, 409),
)
async def refund_payment(
    who: AnyCaller, payment_id: str, body: NewRefund, till: Till, repeat: RepeatOnce, key: RepeatKey = None
) -> Response:
    """Give money back. What is more than one may give back alone waits for somebody else to approve it. The same
    Idempotency-Key is the same refund, for good."""

    async def refund() -> StaffRefundShown:
        known = hashlib.sha256(key.encode()).hexdigest() if key else new_id("rfnd")
        async with _at_payment(who, payment_id) as uow:
            wanted = await _wanted(uow, payment_id, body, known, body.reason)
            made = await refunds.start(uow, wanted, above=settings().refund_approval_above)
        return await _sent(who, till, made)

    return await repeat.apart(partial(staff_work, who, WRITE), refund, owner=who.actor.id, status=201)


@router.post("/refunds/{refund_id}/approve", response_model=StaffRefundShown, responses=failures(404, 409))
async def approve_refund(
    who: AnyCaller, refund_id: str, body: Nothing, till: Till, repeat: RepeatOnce
) -> Response:
    """Agree to a refund that somebody else asked for. It is given back at once. Needs a recent proof."""

    async def approve() -> StaffRefundShown:
        async with await _at(who, refund_id, APPROVE) as uow:
            approved = await refunds.approve(uow, refund_id)
        return await _sent(who, till, approved)

    return await repeat.apart(partial(staff_work, who, APPROVE), approve, owner=who.actor.id)


@router.post("/refunds/{refund_id}/reject", response_model=StaffRefundShown, responses=failures(404, 409))
async def reject_refund(who: AnyCaller, refund_id: str, body: WhyRejected, repeat: RepeatOnce) -> Response:
    """Refuse a refund that waits. Nothing is given back."""
    return await _done(who, refund_id, APPROVE, repeat, partial(refunds.reject, reason=body.reason))


@router.post("/refunds/{refund_id}/cancel", response_model=StaffRefundShown, responses=failures(404, 409))
async def cancel_refund(who: AnyCaller, refund_id: str, body: Nothing, repeat: RepeatOnce) -> Response:
    """Give up a refund that waits, or a transfer that was not sent."""
    return await _done(who, refund_id, WRITE, repeat, refunds.cancel)


@router.post("/refunds/{refund_id}/sent", response_model=StaffRefundShown, responses=failures(404, 409))
async def record_refund_sent(
    who: AnyCaller, refund_id: str, body: RefundSent, repeat: RepeatOnce
) -> Response:
    """Record that a transfer back has left our bank account."""
    return await _done(who, refund_id, WRITE, repeat, partial(refunds.record_sent, reference=body.reference))


@router.post("/refunds/{refund_id}/returned", response_model=StaffRefundShown, responses=failures(404, 409))
async def record_refund_returned(
    who: AnyCaller, refund_id: str, body: Nothing, repeat: RepeatOnce
) -> Response:
    """Record that a transfer back did not arrive: it is a credit of the customer again."""
    return await _done(who, refund_id, WRITE, repeat, refunds.record_returned)


@router.post("/refunds/{refund_id}/refresh", responses=failures(404, 409))
async def refresh_refund(who: AnyCaller, refund_id: str, body: Nothing, till: Till) -> StaffRefundShown:
    """Ask the provider how it stands."""
    async with staff_work(who, WRITE) as uow:
        row = await policies.refund_for(uow, refund_id, WRITE)
    await Refunding(till).look(row.id, row.organization_id)
    return await get_staff_refund(who, refund_id)


@asynccontextmanager
async def _at_payment(who: Caller, payment_id: str) -> AsyncIterator[UnitOfWork]:
    """Staff at work in the organisation of a payment."""
    async with staff_work(who, WRITE) as uow:
        payment = await policies.payment_for(uow, payment_id, WRITE)
    async with within(who, payment.organization_id, WRITE) as uow:
        yield uow


async def _at(who: Caller, refund_id: str, needs: Capability) -> AbstractAsyncContextManager[UnitOfWork]:
    """Staff at work in the organisation of a refund."""
    async with staff_work(who, needs) as uow:
        row = await policies.refund_for(uow, refund_id, needs)
    return within(who, row.organization_id, needs)


async def _done(
    who: Caller,
    refund_id: str,
    needs: Capability,
    repeat: Repeat,
    verb: Callable[[UnitOfWork, str], Awaitable[Refund]],
) -> Response:
    """Do something to a refund, in its organisation."""

    async def act(uow: UnitOfWork) -> StaffRefundShown:
        await verb(uow, refund_id)
        await uow.session.flush()
        return StaffRefundShown.model_validate(await refund_queries.staff_refund(uow, refund_id))

    work = await _at(who, refund_id, needs)
    return await repeat.once(work, act, owner=who.actor.id, status=200)


async def _wanted(uow: UnitOfWork, payment_id: str, body: RefundAsked, key: str, reason: str) -> Wanted:
    code = (await policies.payment_for(uow, payment_id, WRITE)).currency
    lines = dict.fromkeys(body.line_ids) | {
        line: None if said is None else money_of(said, code, field=f"lines.{line}").minor
        for line, said in (body.by_line or {}).items()
    }
    amount = None if body.amount is None else money_of(body.amount, code).minor
    return Wanted(payment_id, key, reason, body.to, amount, lines or None)


async def _sent(who: Caller, till: Cashier, made: Refund) -> StaffRefundShown:
    """What was begun goes to the provider as soon as it is committed."""
    await Refunding(till).send(made.id, made.organization_id)
    return await get_staff_refund(who, made.id)
