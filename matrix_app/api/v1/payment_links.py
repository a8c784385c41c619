"""Links by which whoever has one pays an invoice or a top-up without signing in: made for others, and followed."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, Field

from matrix_app.api.deps import (
    AnyCaller,
    Member,
    client_of,
    from_own_page,
    require_few_guesses,
    staff_work,
)
from matrix_app.api.deps import count_guess as not_proved
from matrix_app.api.v1.papers import handed_out, media
from matrix_app.api.v1.payments import Nothing, Till
from matrix_app.api.v1.repeat import RepeatKey
from matrix_app.api.v1.route import failures
from matrix_app.api.v1.shape import Body, Shown, resource
from models.papers import Form
from models.payment_links import PaymentLink
from models.payments import Payment, PaymentState
from services.core.errors import NotFound
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.settings import settings
from services.core.work import unit_of_work
from services.papers import queries as papers
from services.payments import link_paying, links
from services.payments.links import Opened

router = resource("payments")
Token = Annotated[str, Field(max_length=200, description="The last part of the link")]


class LinkShown(Shown):
    """Whoever has the address sees this invoice, or this top-up, and pays it, and nothing else."""

    url: str
    expires_at: AwareDatetime


class ByLink(Body):
    token: Token


class NewPaymentByLink(Body):
    token: Token
    provider_account_id: str = Field(description="Of the way to pay")


class PaymentByLink(Shown):
    id: str
    state: PaymentState
    message: str = Field(description="Why it failed, for whoever pays")
    action_url: str | None = Field(description="Where whoever pays goes on, while it waits for them")


def _shown(row: PaymentLink) -> LinkShown:
    path = links.path_of(links.token_of(row))
    expires_at: datetime = row.expires_at
    return LinkShown(url=f"{settings().public_url}{path}", expires_at=expires_at)


def _paid(row: Payment) -> PaymentByLink:
    url = (row.action or {}).get("url")
    return PaymentByLink(id=row.id, state=PaymentState(row.state), message=row.message, action_url=url)


@router.put("/invoices/{invoice_id}/payment-link", responses=failures(404, 409))
async def make_payment_link(who: Member, invoice_id: str, body: Nothing) -> LinkShown:
    """A link to pay this invoice without signing in: the one that is there, unless it ends soon."""
    async with unit_of_work(who.actor) as uow:
        return _shown(await links.kept_for(uow, await links.invoice(uow, invoice_id)))


@router.delete("/invoices/{invoice_id}/payment-link", status_code=204, responses=failures(404))
async def revoke_payment_link(who: Member, invoice_id: str) -> Response:
    """Have no link to this invoice lead anywhere any more."""
    async with unit_of_work(who.actor) as uow:
        await links.revoke(uow, await links.invoice(uow, invoice_id))
    return Response(status_code=204)


@router.put("/staff/invoices/{invoice_id}/payment-link", tags=["staff"], responses=failures(404, 409))
async def make_staff_payment_link(who: AnyCaller, invoice_id: str, body: Nothing) -> LinkShown:
    """The same for any organisation's invoice."""
    async with staff_work(who, Capability.STAFF_PAYMENTS_WRITE) as uow:
        return _shown(await links.kept_for(uow, await links.invoice(uow, invoice_id, staff=True)))


@router.delete(
    "/staff/invoices/{invoice_id}/payment-link", tags=["staff"], status_code=204, responses=failures(404)
)
async def revoke_staff_payment_link(who: AnyCaller, invoice_id: str) -> Response:
    """The same for any organisation's invoice."""
    async with staff_work(who, Capability.STAFF_PAYMENTS_WRITE) as uow:
        await links.revoke(uow, await links.invoice(uow, invoice_id, staff=True))
    return Response(status_code=204)


@router.put("/wallet-top-ups/{top_up_id}/payment-link", responses=failures(404, 409))
async def make_top_up_link(who: Member, top_up_id: str, body: Nothing) -> LinkShown:
    """A link to pay a top-up that is due without signing in: the one that is there, unless it ends soon."""
    async with unit_of_work(who.actor) as uow:
        return _shown(await links.kept_for(uow, await links.top_up(uow, top_up_id)))


@router.delete("/wallet-top-ups/{top_up_id}/payment-link", status_code=204, responses=failures(404))
async def revoke_top_up_link(who: Member, top_up_id: str) -> Response:
    """Have no link to this top-up lead anywhere any more."""
    async with unit_of_work(who.actor) as uow:
        await links.revoke(uow, await links.top_up(uow, top_up_id))
    return Response(status_code=204)


@router.put("/staff/wallet-top-ups/{top_up_id}/payment-link", tags=["staff"], responses=failures(404, 409))
async def make_staff_top_up_link(who: AnyCaller, top_up_id: str, body: Nothing) -> LinkShown:
    """The same for any organisation's top-up."""
    async with staff_work(who, Capability.STAFF_PAYMENTS_WRITE) as uow:
        return _shown(await links.kept_for(uow, await links.top_up(uow, top_up_id, staff=True)))


@router.delete(
    "/staff/wallet-top-ups/{top_up_id}/payment-link", tags=["staff"], status_code=204, responses=failures(404)
)
async def revoke_staff_top_up_link(who: AnyCaller, top_up_id: str) -> Response:
    """The same for any organisation's top-up."""
    async with staff_work(who, Capability.STAFF_PAYMENTS_WRITE) as uow:
        await links.revoke(uow, await links.top_up(uow, top_up_id, staff=True))
    return Response(status_code=204)


# -- following one


async def _opened(request: Request, token: str) -> Opened:
    try:
        return await links.opened(token)
    except NotFound:
        not_proved(request)
        raise


@router.post(
    "/payment-link/payments", status_code=201, dependencies=from_own_page, responses=failures(404, 409, 410)
)
async def pay_by_link(
    request: Request, body: NewPaymentByLink, till: Till, key: RepeatKey = None
) -> PaymentByLink:
    """Pay all that is owed of what a link leads to. The same Idempotency-Key is the same payment, for good."""
    link = await _opened(request, body.token)
    named = hashlib.sha256(key.encode()).hexdigest() if key else new_id("pay")
    async with links.work(link, address=client_of(request).address) as uow:
        payment = await link_paying.start(uow, link, body.provider_account_id, key=named)
    return _paid(await till.send(payment.id, link.organization_id))


@router.post("/payment-link/cancel", dependencies=from_own_page, responses=failures(404, 409, 410))
async def cancel_payment_by_link(request: Request, body: ByLink, till: Till) -> PaymentByLink:
    """Give up the payment that was begun by a link and waits. If money came meanwhile, it has succeeded."""
    link = await _opened(request, body.token)
    async with links.work(link, address=client_of(request).address) as uow:
        payment = await link_paying.begun(uow, link)
    return _paid(await till.cancel(payment.id, link.organization_id))


@router.get(
    "/payment-link/pdf",
    dependencies=[Depends(require_few_guesses)],
    response_class=StreamingResponse,
    responses=media(Form.PDF) | failures(404, 409, 410),
)
async def read_linked_pdf(
    request: Request, token: Annotated[str, Query(max_length=200, description="The last part of the link")]
) -> Response:
    """The invoice behind a link as PDF; a link to a top-up has none."""
    link = await _opened(request, token)
    async with links.work(link, address=client_of(request).address) as uow:
        found = papers.kept_file(await papers.invoice_paper(uow, link.invoice_id or ""), Form.PDF)
    return await handed_out(request, found, Form.PDF)
