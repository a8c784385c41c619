"""Wallets of all organisations: what staff sees, gives away and records as paid."""

from __future__ import annotations

from enum import StrEnum
from functools import partial

from fastapi import Request, Response
from pydantic import Field

from matrix_app.api.deps import AnyCaller, staff_work
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.repeat import RepeatOnce
from matrix_app.api.v1.route import failures
from matrix_app.api.v1.shape import Body, Exact, Instant, Shown, resource
from matrix_app.api.v1.staff_invoices import within
from matrix_app.api.v1.wallets import DebitShown, LotShown, TopUpShown, UseShown, WalletShown
from models.ledger import Purpose
from models.wallets import LotSource
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.wallets import queries, rules, wallets
from services.wallets.lots import Came

router = resource("staff", prefix="/staff")

READ, WRITE = Capability.STAFF_WALLETS_READ, Capability.STAFF_WALLETS_WRITE


class GivenSource(StrEnum):
    PROMOTION = LotSource.PROMOTION.value
    GRANT = LotSource.GRANT.value


class ReceivedOn(StrEnum):
    CASH = Purpose.CASH.value
    CLEARING = Purpose.CLEARING.value


class NewGrant(Body):
    organization_id: str
    currency: str
    amount: Exact = Field(description="In major units, above zero", examples=["25.00"])
    grant_key: str | None = Field(
        None, description="Of this grant: the same one comes in once, for good; made up if left out"
    )
    given_as: GivenSource = GivenSource.PROMOTION
    priority: int = Field(
        rules.GIVEN_PRIORITY, ge=0, le=rules.PRIORITY_MAX, description="The lowest is burnt first"
    )
    expires_at: Instant | None = Field(None, description="By the organisation's clock; never if left out")
    note: str = ""


class NewTopUp(Body):
    organization_id: str
    currency: str
    amount: Exact = Field(description="In major units, above zero", examples=["50.00"])
    payment_key: str = Field(description="Of the payment: the same one comes in once, for good")
    received_on: ReceivedOn = ReceivedOn.CASH
    top_up_id: str | None = Field(None, description="The top-up that was due, if this answers one")
    note: str = ""


class LotCame(Shown):
    """`is_new` is false for a lot that had come in before under the same key."""

    id: str
    is_new: bool


@router.get("/wallets", **listed(queries.STAFF_WALLETS, WalletShown))
async def list_all_wallets(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """Wallets of all organisations."""
    return await answer(request, queries.STAFF_WALLETS, WalletShown, asked, partial(staff_work, who, READ))


@router.get("/wallet-lots", **listed(queries.STAFF_LOTS, LotShown))
async def list_all_wallet_lots(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """What came into the wallets of all organisations."""
    return await answer(request, queries.STAFF_LOTS, LotShown, asked, partial(staff_work, who, READ))


@router.get("/wallet-debits", **listed(queries.STAFF_DEBITS, DebitShown))
async def list_all_wallet_debits(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """What was taken out of the wallets of all organisations."""
    return await answer(request, queries.STAFF_DEBITS, DebitShown, asked, partial(staff_work, who, READ))


@router.get("/wallet-uses", **listed(queries.STAFF_USES, UseShown))
async def list_all_wallet_uses(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """What was taken of which lot, of all organisations."""
    return await answer(request, queries.STAFF_USES, UseShown, asked, partial(staff_work, who, READ))


@router.get("/wallet-top-ups", **listed(queries.STAFF_TOP_UPS, TopUpShown))
async def list_all_wallet_top_ups(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """Top-ups that rules asked for; those in the state `due` wait for a payment."""
    return await answer(request, queries.STAFF_TOP_UPS, TopUpShown, asked, partial(staff_work, who, READ))


@router.post("/wallets/grants", status_code=201, response_model=LotCame, responses=failures(404, 409))
async def grant_credit(who: AnyCaller, body: NewGrant, repeat: RepeatOnce) -> Response:
    """Give credit away. Needs a recent proof."""

    async def grant(uow: UnitOfWork) -> LotCame:
        came = await wallets.grant(
            uow,
            money=wallets.money_of(body.amount, body.currency),
            key=body.grant_key or new_id("lot"),
            source=LotSource(body.given_as.value),
            priority=body.priority,
            expires_at=body.expires_at,
            note=body.note,
        )
        return _shown(came)

    return await repeat.once(within(who, body.organization_id, WRITE), grant, owner=who.actor.id)


@router.post("/wallets/top-ups", status_code=201, response_model=LotCame, responses=failures(404, 409))
async def record_top_up(who: AnyCaller, body: NewTopUp, repeat: RepeatOnce) -> Response:
    """Put in what a customer has paid."""

    async def top_up(uow: UnitOfWork) -> LotCame:
        came = await wallets.top_up(
            uow,
            money=wallets.money_of(body.amount, body.currency),
            payment_key=body.payment_key,
            received_on=Purpose(body.received_on.value),
            top_up_id=body.top_up_id,
            note=body.note,
        )
        return _shown(came)

    return await repeat.once(within(who, body.organization_id, WRITE), top_up, owner=who.actor.id)


def _shown(came: Came) -> LotCame:
    return LotCame.model_validate(came)
