"""Wallets of one's own organisation: what is in them, where it came from and went, and when they are topped up."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Request, Response
from pydantic import AfterValidator, AwareDatetime, Field

from matrix_app.api.deps import Member
from matrix_app.api.v1.etag import IfMatch, showing_current
from matrix_app.api.v1.invoices import InvoiceShown, shown
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.repeat import RepeatOnce
from matrix_app.api.v1.route import failures
from matrix_app.api.v1.shape import Body, Exact, Shown, resource
from models.money import UnknownCurrency, currency
from models.wallets import DebitKind, LotSource, TopUpState
from services.billing import customer_credits
from services.core.errors import not_found
from services.core.work import UnitOfWork, unit_of_work
from services.wallets import queries, refills, wallets
from services.wallets.rules import TopUpRule

router = resource("wallets")


def _currency(said: str) -> str:
    """A path that ends in no currency leads to no wallet."""
    try:
        return currency(said).code
    except UnknownCurrency:
        raise not_found("wallet", said) from None


Code = Annotated[str, Path(description="Of the wallet, as in EUR"), AfterValidator(_currency)]
Minor = Annotated[int, Field(description="In minor units of the currency")]


class WalletShown(Shown):
    """inbound = outbound + left + breakage, at every moment."""

    id: str
    organization_id: str
    organization_name: str
    currency: str
    left_minor: Minor
    inbound_minor: Minor
    outbound_minor: Minor
    breakage_minor: int = Field(description="Ended before it was used")
    accrued: Exact = Field(description="Used and not debited yet: less than a minor unit")
    held: Exact = Field(description="Reserved for calls that are under way or to come")
    uncovered: Exact = Field(description="Used without anything being left for it")
    threshold_minor: int | None = Field(description="Below it a top-up is asked for; null without a rule")
    refill_minor: int | None
    ceiling_minor: int | None = Field(description="Of top-ups asked for in a calendar month")
    created_at: AwareDatetime
    version: int


class LotShown(Shown):
    """minor = used + expired + left. Lower priorities are burnt first, then what ends first, then what is older."""

    id: str
    organization_id: str
    organization_name: str
    wallet_id: str
    currency: str
    source: LotSource
    priority: int
    minor: Minor
    used_minor: Minor
    expired_minor: Minor
    left_minor: Minor
    state: str
    expires_at: AwareDatetime | None = Field(description="By the organisation's clock; null is never")
    note: str
    usage_only: bool = Field(description="Pays for usage and no invoice, as what a plan includes")
    refund_of: str | None = Field(description="The debit that this came back from")
    created_at: AwareDatetime


class DebitShown(Shown):
    id: str
    organization_id: str
    organization_name: str
    wallet_id: str
    currency: str
    kind: DebitKind
    cause_id: str = Field(description="The invoice, or the last of the calls")
    invoice_number: str | None
    minor: Minor
    calls: int | None = Field(description="How many calls were settled with it")
    cost: Exact | None = Field(description="What these calls cost, exactly")
    created_at: AwareDatetime
    given_back_at: AwareDatetime | None


class TakenPartShown(Shown):
    lot_id: str
    source: LotSource
    minor: Minor


class DebitWithParts(DebitShown):
    parts: list[TakenPartShown] = Field(description="What was taken of which lot; they add up to it")


class UseShown(Shown):
    """What one debit took of one lot."""

    id: str
    organization_id: str
    organization_name: str
    wallet_id: str
    currency: str
    lot_id: str
    source: LotSource
    debit_id: str
    kind: DebitKind
    cause_id: str = Field(description="The invoice, or the last of the calls")
    invoice_number: str | None
    minor: Minor
    created_at: AwareDatetime
    given_back_at: AwareDatetime | None


class WalletPaysShown(Shown):
    """Nothing was done."""

    currency: str
    minor: int = Field(description="What the wallet pays, in minor units")
    due_minor: int = Field(description="What is due then")


class TopUpShown(Shown):
    id: str
    organization_id: str
    organization_name: str
    wallet_id: str
    currency: str
    minor: Minor
    state: TopUpState
    lot_id: str | None = Field(description="What came in for it")
    created_at: AwareDatetime


class NewTopUpRule(Body):
    """Below `threshold` ask for `refill`, for at most `ceiling` in a calendar month. Amounts in major units."""

    threshold: Exact = Field(examples=["20.00"])
    refill: Exact = Field(examples=["50.00"])
    ceiling: Exact = Field(examples=["200.00"])
    version: int | None = Field(None, description="The wallet's, as it was read; or send it as If-Match")


class Nothing(Body):
    """Nothing has to be said."""


@router.get("/wallets", **listed(queries.WALLETS, WalletShown))
async def list_wallets(request: Request, who: Member, asked: Asked) -> Answer:
    """The organisation's wallets: one for each currency that something came in."""
    return await answer(request, queries.WALLETS, WalletShown, asked, lambda: unit_of_work(who.actor))


@router.get("/wallets/{wallet_currency}")
async def get_wallet(who: Member, wallet_currency: Code) -> WalletShown:
    """The wallet in one currency."""
    async with unit_of_work(who.actor) as uow:
        return await _wallet(uow, wallet_currency)


@router.put("/wallets/{wallet_currency}/top-up-rule")
async def set_top_up_rule(
    who: Member, wallet_currency: Code, body: NewTopUpRule, expected: IfMatch
) -> WalletShown:
    """Have top-ups asked for when the balance falls below a threshold."""
    given = {
        field: wallets.money_of(getattr(body, field), wallet_currency, field=field).minor
        for field in ("threshold", "refill", "ceiling")
    }
    version = expected.version(body.version)
    async with unit_of_work(who.actor) as uow, showing_current(lambda: _wallet(uow, wallet_currency)):
        await refills.set_rule(uow, wallet_currency, TopUpRule(**given), version=version)
        return await _wallet(uow, wallet_currency)


async def _wallet(uow: UnitOfWork, currency: str) -> WalletShown:
    return WalletShown.model_validate(await queries.wallet(uow, currency))


@router.delete("/wallets/{wallet_currency}/top-up-rule")
async def remove_top_up_rule(who: Member, wallet_currency: Code, expected: IfMatch) -> WalletShown:
    """Ask for no more top-ups, and withdraw one that is due."""
    async with unit_of_work(who.actor) as uow, showing_current(lambda: _wallet(uow, wallet_currency)):
        await refills.set_rule(uow, wallet_currency, None, version=expected.version())
        return await _wallet(uow, wallet_currency)


@router.get("/wallet-lots", **listed(queries.LOTS, LotShown))
async def list_wallet_lots(request: Request, who: Member, asked: Asked) -> Answer:
    """What came in, the newest first."""
    return await answer(request, queries.LOTS, LotShown, asked, lambda: unit_of_work(who.actor))


@router.get("/wallet-debits", **listed(queries.DEBITS, DebitShown))
async def list_wallet_debits(request: Request, who: Member, asked: Asked) -> Answer:
    """What was taken, the newest first."""
    return await answer(request, queries.DEBITS, DebitShown, asked, lambda: unit_of_work(who.actor))


@router.get("/wallet-debits/{debit_id}")
async def get_wallet_debit(who: Member, debit_id: str) -> DebitWithParts:
    """One debit, and of which lots it took how much."""
    async with unit_of_work(who.actor) as uow:
        found = await queries.debit(uow, debit_id)
    said = DebitShown.model_validate(found.debit).model_dump()
    return DebitWithParts(**said, parts=[TakenPartShown.model_validate(part) for part in found.parts])


@router.get("/wallet-uses", **listed(queries.USES, UseShown))
async def list_wallet_uses(request: Request, who: Member, asked: Asked) -> Answer:
    """What was taken of which lot, the newest first: by `lot_id` what a lot paid for, by `debit_id` what paid."""
    return await answer(request, queries.USES, UseShown, asked, lambda: unit_of_work(who.actor))


@router.get("/wallet-top-ups", **listed(queries.TOP_UPS, TopUpShown))
async def list_wallet_top_ups(request: Request, who: Member, asked: Asked) -> Answer:
    """Top-ups that the rule asked for, the newest first."""
    return await answer(request, queries.TOP_UPS, TopUpShown, asked, lambda: unit_of_work(who.actor))


@router.post(
    "/invoices/{invoice_id}/pay-from-wallet", response_model=InvoiceShown, responses=failures(404, 409)
)
async def pay_invoice_from_wallet(
    who: Member, invoice_id: str, body: Nothing, repeat: RepeatOnce
) -> Response:
    """Use the wallet for what an invoice is still owed, as far as it goes."""

    async def pay(uow: UnitOfWork) -> InvoiceShown:
        return await shown(uow, await customer_credits.pay_by_wallet(uow, invoice_id))

    return await repeat.once(unit_of_work(who.actor), pay, owner=who.actor.organization_id or "", status=200)


@router.post("/invoices/{invoice_id}/pay-from-wallet/preview", responses=failures(404, 409))
async def preview_paying_from_wallet(who: Member, invoice_id: str, body: Nothing) -> WalletPaysShown:
    """What the wallet would pay of an invoice."""
    async with unit_of_work(who.actor) as uow:
        return WalletPaysShown.model_validate(await customer_credits.wallet_would_pay(uow, invoice_id))
