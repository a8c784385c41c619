"""Paying one's own invoices and top-ups: what was tried and what came of it, and what is paid with."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from typing import Annotated

from fastapi import Depends, Request, Response
from pydantic import AwareDatetime, Field

from matrix_app.api.deps import Member
from matrix_app.api.v1.etag import IfMatch, showing_current
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.repeat import RepeatKey, RepeatOnce
from matrix_app.api.v1.route import failures
from matrix_app.api.v1.shape import Body, Shown, resource
from models.method_setups import MethodSetup, SetupState
from models.payments import Initiator, Payment, PaymentState
from services.billing import policies as of_billing
from services.core.errors import Invalid
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork, unit_of_work
from services.payments import charging, methods, policies, queries, setups, transfer_details
from services.payments.brands import CardBrand
from services.payments.cashier import Cashier, cashier
from services.payments.charging import Wanted
from services.wallets import policies as of_wallets

router = resource("payments")
Minor = Annotated[int, Field(description="In minor units of the currency")]
Till = Annotated[Cashier, Depends(cashier)]


class PaymentShown(Shown):
    """A payment, once; what is given back of it are refunds."""

    id: str
    organization_id: str
    organization_name: str
    invoice_id: str | None = Field(description="Null for money on account, which is a credit of the customer")
    invoice_number: str | None
    top_up_id: str | None = Field(description="Of a wallet, where the payment fills it")
    provider: str
    account: str | None = Field(description="Of the provider, as staff calls it")
    method: str | None = Field(description="Brand and last four digits, as of a kept method")
    state: PaymentState
    initiator: Initiator
    currency: str
    minor: Minor
    applied_minor: int = Field(
        description="What of it paid the invoice; the rest is a credit of the customer, or fills the wallet"
    )
    refunded_minor: Minor
    decline_code: str | None = Field(description="The provider's word for why it failed")
    decline_hard: bool | None = Field(description="Whether the same method cannot work again")
    message: str = Field(description="Why it failed, for the customer")
    reference: str
    created_at: AwareDatetime
    succeeded_at: AwareDatetime | None
    version: int


class PaymentDetail(PaymentShown):
    action_url: str | None = Field(description="Where the customer goes on, while it waits for them")


class MethodShown(Shown):
    """What is paid with, as far as it may be known."""

    id: str
    provider_account_id: str
    account: str
    kind: str
    brand: CardBrand = Field(
        description="Of a card: one code for each brand, whoever keeps it. Empty where it is none, or not known"
    )
    last4: str
    expires_month: int | None
    expires_year: int | None
    name: str
    is_default: bool
    created_at: AwareDatetime
    version: int


class WayShown(Shown):
    id: str
    provider: str
    name: str
    is_test: bool = Field(description="Takes play money only")


class WaysShown(Shown):
    data: list[WayShown]


class NewPayment(Body):
    provider_account_id: str | None = Field(None, description="Of the way to pay; a kept method has its own")
    payment_method_id: str | None = Field(
        None, description="A kept method; else one is given on the provider's page"
    )
    keep_method: bool = Field(False, description="Keep what is given for the next time")


class NewSetup(Body):
    provider_account_id: str = Field(description="Of the way to pay that is to keep the method")


class SetupShown(Shown):
    """Keeping a method on the provider's page."""

    id: str
    provider_account_id: str
    state: SetupState
    method_id: str | None = Field(description="What is kept, once it is")
    message: str = Field(description="Why it failed, for the customer")
    action_url: str | None = Field(description="The provider's page, while it waits for the customer")
    created_at: AwareDatetime


class TransferShown(Shown):
    """Where a transfer goes, and what to write on it."""

    reference: str = Field(description="So that it is known what the money is for")
    currency: str
    minor: Minor
    account: str | None = Field(description="As the seller's documents say; null where they say nothing")
    account_name: str | None = Field(description="Of whoever holds it")
    bank_code: str | None


class Nothing(Body):
    """Nothing has to be said."""


class MethodNamed(Body):
    name: str
    version: int | None = Field(None, description="Refuse if somebody changed it since this version")


@router.get("/payments", **listed(queries.PAYMENTS, PaymentShown))
async def list_payments(request: Request, who: Member, asked: Asked) -> Answer:
    """What was paid, or tried, the newest first."""
    return await answer(request, queries.PAYMENTS, PaymentShown, asked, lambda: unit_of_work(who.actor))


@router.get("/payments/{payment_id}")
async def get_payment(who: Member, payment_id: str) -> PaymentDetail:
    """One payment, and where the customer goes on with it."""
    return await _detail(who, payment_id)


@router.get("/ways-to-pay")
async def list_ways_to_pay(who: Member) -> WaysShown:
    """How an invoice or a top-up can be paid, besides by bank transfer."""
    async with unit_of_work(who.actor) as uow:
        return WaysShown(data=[WayShown.model_validate(one) for one in await queries.ways(uow)])


@router.post(
    "/invoices/{invoice_id}/payments",
    status_code=201,
    response_model=PaymentDetail,
    responses=failures(404, 409),
)
async def pay_invoice(
    who: Member, invoice_id: str, body: NewPayment, till: Till, repeat: RepeatOnce, key: RepeatKey = None
) -> Response:
    """Pay all that an invoice is owed. The same Idempotency-Key is the same payment, for good."""

    async def begin(uow: UnitOfWork) -> Payment:
        # Before what the body says: whose the invoice is not hears nothing of ways to pay it.
        await of_billing.invoice_for(uow, invoice_id, Capability.PAYMENTS_WRITE, lock=False)
        return await charging.start(uow, await _wanted(uow, body, key, invoice_id=invoice_id))

    return await _pay(who, till, repeat, begin)


@router.post(
    "/wallet-top-ups/{top_up_id}/payments",
    status_code=201,
    response_model=PaymentDetail,
    responses=failures(404, 409),
)
async def pay_top_up(
    who: Member, top_up_id: str, body: NewPayment, till: Till, repeat: RepeatOnce, key: RepeatKey = None
) -> Response:
    """Pay a top-up that is due: what comes is in the wallet. The same Idempotency-Key is the same payment, for good."""

    async def begin(uow: UnitOfWork) -> Payment:
        await of_wallets.top_up_for(uow, top_up_id, Capability.PAYMENTS_WRITE)
        return await charging.start(uow, await _wanted(uow, body, key, top_up_id=top_up_id))

    return await _pay(who, till, repeat, begin)


async def _pay(
    who: Member, till: Till, repeat: RepeatOnce, begin: Callable[[UnitOfWork], Awaitable[Payment]]
) -> Response:
    """Write a payment down, and ask the provider when that is committed."""

    async def pay() -> PaymentDetail:
        async with unit_of_work(who.actor) as uow:
            payment = await begin(uow)
        await till.send(payment.id, payment.organization_id)
        return await _detail(who, payment.id)

    return await repeat.apart(_work(who), pay, owner=who.actor.organization_id or "", status=201)


@router.get("/invoices/{invoice_id}/transfer", responses=failures(404, 409))
async def get_invoice_transfer(who: Member, invoice_id: str) -> TransferShown:
    """Where to transfer what is due of an invoice and not contested. What asks for no payment is refused."""
    async with unit_of_work(who.actor) as uow:
        asked = await transfer_details.of_invoice(uow, invoice_id)
    return await _transfer(asked)


@router.get("/wallet-top-ups/{top_up_id}/transfer", responses=failures(404, 409))
async def get_top_up_transfer(who: Member, top_up_id: str) -> TransferShown:
    """Where to transfer a top-up that is due."""
    async with unit_of_work(who.actor) as uow:
        asked = await transfer_details.of_top_up(uow, top_up_id)
    return await _transfer(asked)


async def _transfer(asked: transfer_details.Asked) -> TransferShown:
    bank = await transfer_details.bank_of(asked.brand_id)
    return TransferShown(
        reference=asked.reference,
        currency=asked.money.currency,
        minor=asked.money.minor,
        account=bank.account if bank else None,
        account_name=bank.name if bank else None,
        bank_code=bank.code if bank else None,
    )


async def _wanted(
    uow: UnitOfWork,
    body: NewPayment,
    key: str | None,
    *,
    invoice_id: str | None = None,
    top_up_id: str | None = None,
) -> Wanted:
    return Wanted(
        invoice_id,
        await _account_of(uow, body),
        hashlib.sha256(key.encode()).hexdigest() if key else new_id("pay"),
        method_id=body.payment_method_id,
        keep_method=body.keep_method,
        top_up_id=top_up_id,
    )


def _work(who: Member) -> Callable[[], AbstractAsyncContextManager[UnitOfWork]]:
    return lambda: unit_of_work(who.actor)


async def _account_of(uow: UnitOfWork, body: NewPayment) -> str:
    """Where the payment is asked for. Raises Forbidden, NotFound for another organisation's method, and Invalid for
    neither."""
    uow.actor.require(Capability.PAYMENTS_WRITE)
    if body.provider_account_id is not None:
        return body.provider_account_id
    if body.payment_method_id is None:
        raise Invalid(
            "Say how to pay.", field="provider_account_id", next_step="GET /ways-to-pay lists the ways."
        )
    return (await queries.method(uow, body.payment_method_id)).provider_account_id


@router.post("/payments/{payment_id}/refresh", responses=failures(404, 409))
async def refresh_payment(who: Member, payment_id: str, body: Nothing, till: Till) -> PaymentDetail:
    """Ask the provider how it stands."""
    who.actor.require(Capability.PAYMENTS_WRITE)
    shown = await _detail(who, payment_id)
    await till.look(payment_id, shown.organization_id)
    return await _detail(who, payment_id)


@router.post("/payments/{payment_id}/cancel", response_model=PaymentDetail, responses=failures(404, 409))
async def cancel_payment(
    who: Member, payment_id: str, body: Nothing, till: Till, repeat: RepeatOnce
) -> Response:
    """Give up a payment that waits. If money came meanwhile, it has succeeded."""
    who.actor.require(Capability.PAYMENTS_WRITE)

    async def cancel() -> PaymentDetail:
        shown = await _detail(who, payment_id)
        await till.cancel(payment_id, shown.organization_id, by=who.actor)
        return await _detail(who, payment_id)

    return await repeat.apart(_work(who), cancel, owner=who.actor.organization_id or "")


async def _detail(who: Member, payment_id: str) -> PaymentDetail:
    async with unit_of_work(who.actor) as uow:
        found = await queries.payment(uow, payment_id)
    return PaymentDetail(**asdict(found.payment), action_url=found.action_url)


@router.get("/payment-methods", **listed(queries.METHODS, MethodShown))
async def list_payment_methods(request: Request, who: Member, asked: Asked) -> Answer:
    """What is kept to pay with, the newest first."""
    return await answer(request, queries.METHODS, MethodShown, asked, lambda: unit_of_work(who.actor))


@router.post(
    "/payment-method-setups", status_code=201, response_model=SetupShown, responses=failures(404, 409)
)
async def set_payment_method_up(
    who: Member, body: NewSetup, till: Till, repeat: RepeatOnce, key: RepeatKey = None
) -> Response:
    """Begin to keep a method: it is given on the provider's page. The same Idempotency-Key is the same one."""

    async def begin() -> SetupShown:
        named = hashlib.sha256(key.encode()).hexdigest() if key else new_id("pset")
        async with unit_of_work(who.actor) as uow:
            setup = await setups.start(uow, body.provider_account_id, key=named)
        return _setup(await setups.send(till, setup.id, setup.organization_id))

    return await repeat.apart(_work(who), begin, owner=who.actor.organization_id or "", status=201)


@router.get("/payment-method-setups/{setup_id}")
async def get_payment_method_setup(who: Member, setup_id: str) -> SetupShown:
    """How far keeping a method is."""
    async with unit_of_work(who.actor) as uow:
        return _setup(await policies.setup_for(uow, setup_id, Capability.PAYMENTS_READ))


@router.post("/payment-method-setups/{setup_id}/refresh", responses=failures(404, 409))
async def refresh_payment_method_setup(who: Member, setup_id: str, body: Nothing, till: Till) -> SetupShown:
    """Ask the provider whether a method was given, and keep it."""
    async with unit_of_work(who.actor) as uow:
        setup = await policies.setup_for(uow, setup_id, Capability.PAYMENTS_WRITE)
    return _setup(await setups.look(till, setup.id, setup.organization_id))


def _setup(row: MethodSetup) -> SetupShown:
    url = (row.action or {}).get("url")
    return SetupShown(**row.model_dump(include=set(SetupShown.model_fields) - {"action_url"}), action_url=url)


@router.get("/payment-methods/{payment_method_id}")
async def get_payment_method(who: Member, payment_method_id: str) -> MethodShown:
    """One kept method."""
    async with unit_of_work(who.actor) as uow:
        return await _method(uow, payment_method_id)


@router.patch("/payment-methods/{payment_method_id}")
async def name_payment_method(
    who: Member, payment_method_id: str, body: MethodNamed, expected: IfMatch
) -> MethodShown:
    """Call it something, to tell it from others."""
    version = expected.version(body.version)
    async with unit_of_work(who.actor) as uow, showing_current(lambda: _method(uow, payment_method_id)):
        await methods.change(uow, payment_method_id, name=body.name, version=version)
        return await _method(uow, payment_method_id)


@router.post(
    "/payment-methods/{payment_method_id}/default", responses=failures(404), response_model=MethodShown
)
async def pay_with_by_default(
    who: Member, payment_method_id: str, body: Nothing, repeat: RepeatOnce
) -> Response:
    """Pay with it by itself from now on."""

    async def act(uow: UnitOfWork) -> MethodShown:
        await methods.make_default(uow, payment_method_id)
        return await _method(uow, payment_method_id)

    return await repeat.once(unit_of_work(who.actor), act, owner=who.actor.organization_id or "", status=200)


@router.delete("/payment-methods/{payment_method_id}", status_code=204, responses=failures(404, 409))
async def remove_payment_method(who: Member, payment_method_id: str, till: Till) -> Response:
    """Have the provider forget it, and pay with it no more. Needs a recent proof."""
    await till.forget(payment_method_id, by=who.actor)
    return Response(status_code=204)


async def _method(uow: UnitOfWork, method_id: str) -> MethodShown:
    return MethodShown.model_validate(await queries.method(uow, method_id))
