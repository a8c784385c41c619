"""Payments of all organisations, transfers that staff records, and accounts with providers."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

from fastapi import Request, Response
from pydantic import AwareDatetime, BeforeValidator, Field

from matrix_app.api.deps import AnyCaller, staff_work
from matrix_app.api.v1.etag import IfMatch, showing_current
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.payments import Nothing, PaymentShown, Till
from matrix_app.api.v1.repeat import RepeatOnce
from matrix_app.api.v1.route import failures
from matrix_app.api.v1.shape import Body, Exact, Shown, resource
from matrix_app.api.v1.staff_invoices import within
from services.core.permissions import Capability
from services.core.settings import settings
from services.core.work import UnitOfWork
from services.payments import accounts, connections, policies, queries, transfers
from services.payments.accounts import AccountFields
from services.wallets.wallets import money_of

router = resource("staff", prefix="/staff")

READ, WRITE = Capability.STAFF_PAYMENTS_READ, Capability.STAFF_PAYMENTS_WRITE


class NewTransfer(Body):
    organization_id: str
    currency: str
    amount: Exact = Field(description="In major units, above zero", examples=["119.00"])
    transfer_key: str = Field(description="Of the bank's: the same one comes in once, for good")
    invoice_id: Annotated[str | None, BeforeValidator(lambda said: said or None)] = Field(
        None, description="What it pays; on account if left out"
    )
    reference: str = Field("", description="What the statement says")


class AccountShown(Shown):
    """An account with a provider. What is secret of it is never shown."""

    id: str
    provider: str
    name: str
    is_test: bool
    enabled: bool
    settings: dict[str, str]
    created_at: AwareDatetime
    version: int


def _said(given: Any) -> Any:
    """Without what a form sends of fields that nobody filled in."""
    return {name: one for name, one in given.items() if one != ""} if isinstance(given, dict) else given  # pyright: ignore[reportUnknownVariableType]


Said = Annotated[dict[str, str], BeforeValidator(_said)]


class ConnectionShown(Shown):
    is_well: bool = Field(description="Whether the provider takes what the account says of itself")
    message: str


class ChangedAccount(Body):
    """Which settings and secrets there are is the provider's; a secret that is not said stays."""

    provider: str = Field(examples=["stripe"])
    name: str
    is_test: bool = False
    enabled: bool = True
    settings: Said = Field({}, max_length=20)
    secrets: Said = Field({}, max_length=20)
    version: int | None = Field(None, description="Refuse if somebody changed it since this version")


class NewAccount(Body):
    """Which settings and secrets there are is the provider's."""

    provider: str = Field(examples=["stripe"])
    name: str
    is_test: bool = False
    enabled: bool = True
    settings: Said = Field({}, max_length=20)
    secrets: Said = Field({}, max_length=20)


@router.get("/payments", **listed(queries.STAFF_PAYMENTS, PaymentShown))
async def list_all_payments(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """Payments of all organisations, the newest first."""
    return await answer(request, queries.STAFF_PAYMENTS, PaymentShown, asked, partial(staff_work, who, READ))


@router.get("/payments/{payment_id}")
async def get_staff_payment(who: AnyCaller, payment_id: str) -> PaymentShown:
    """Any organisation's payment."""
    async with staff_work(who, READ) as uow:
        return await _payment(uow, payment_id)


@router.post("/transfers", status_code=201, response_model=PaymentShown, responses=failures(404, 409))
async def record_transfer(who: AnyCaller, body: NewTransfer, repeat: RepeatOnce) -> Response:
    """Record money that came by bank transfer. What is more than was due becomes a credit of the customer."""

    async def record(uow: UnitOfWork) -> PaymentShown:
        made = await transfers.record(
            uow,
            money=money_of(body.amount, body.currency),
            key=body.transfer_key,
            reference=body.reference,
            invoice_id=body.invoice_id,
        )
        return await _payment(uow, made.id)

    return await repeat.once(within(who, body.organization_id, WRITE), record, owner=who.actor.id)


async def _payment(uow: UnitOfWork, payment_id: str) -> PaymentShown:
    found = await queries.payment(uow, payment_id, staff=True)
    return PaymentShown(**asdict(found.payment))


@router.get("/provider-accounts", **listed(queries.ACCOUNTS, AccountShown))
async def list_provider_accounts(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """Accounts with payment providers."""
    return await answer(request, queries.ACCOUNTS, AccountShown, asked, partial(staff_work, who, READ))


@router.post("/provider-accounts", status_code=201, response_model=AccountShown, responses=failures(409))
async def add_provider_account(who: AnyCaller, body: NewAccount, repeat: RepeatOnce) -> Response:
    """Take payments through an account with a provider."""

    async def add(uow: UnitOfWork) -> AccountShown:
        row = await accounts.add_account(
            uow, AccountFields(**body.model_dump()), allowed=settings().allow_private_upstreams
        )
        return await _account(uow, row.id)

    return await repeat.once(staff_work(who, WRITE), add, owner=who.actor.id)


@router.get("/provider-accounts/{provider_account_id}")
async def get_provider_account(who: AnyCaller, provider_account_id: str) -> AccountShown:
    """One account with a provider."""
    async with staff_work(who, READ) as uow:
        return await _account(uow, provider_account_id)


@router.put("/provider-accounts/{provider_account_id}")
async def change_provider_account(
    who: AnyCaller, provider_account_id: str, body: ChangedAccount, expected: IfMatch
) -> AccountShown:
    """Say it anew. Provider and test stay; a secret that is left out stays, too. Other secrets or settings need
    a recent proof."""
    version = expected.version(body.version)
    said = AccountFields(**body.model_dump(exclude={"version"}))
    async with (
        staff_work(who, WRITE) as uow,
        showing_current(lambda: _account(uow, provider_account_id)),
    ):
        await accounts.change_account(
            uow,
            provider_account_id,
            said,
            version=version,
            allowed=settings().allow_private_upstreams,
        )
        return await _account(uow, provider_account_id)


@router.post("/provider-accounts/{provider_account_id}/check", responses=failures(404))
async def check_provider_account(
    who: AnyCaller, provider_account_id: str, body: Nothing, till: Till
) -> ConnectionShown:
    """Ask the provider for something that changes nothing."""
    async with staff_work(who, WRITE) as uow:
        account = await policies.account_for(uow, provider_account_id, WRITE)
    return ConnectionShown.model_validate(await connections.check(till, account))


async def _account(uow: UnitOfWork, account_id: str) -> AccountShown:
    return AccountShown.model_validate(await queries.account(uow, account_id))
