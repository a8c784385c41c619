"""What coins cost, as staff says."""

from __future__ import annotations

from functools import partial

from fastapi import Request, Response
from pydantic import AwareDatetime, Field

from matrix_app.api.deps import AnyCaller, staff_work
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.repeat import RepeatOnce
from matrix_app.api.v1.route import failures
from matrix_app.api.v1.shape import Body, Exact, Shown, resource
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.crypto import rates as crypto_rates
from services.crypto.rates import RateFields

router = resource("staff", prefix="/staff")
READ, WRITE = Capability.STAFF_PAYMENTS_READ, Capability.STAFF_PAYMENTS_WRITE


class RateShown(Shown):
    id: str
    provider_account_id: str
    account: str
    asset: str
    currency: str
    price: Exact = Field(description="Of one whole coin, in major units")
    source: str
    valid_from: AwareDatetime
    valid_until: AwareDatetime
    entered_by: str
    author: str = Field(description="The name of who entered it")
    created_at: AwareDatetime
    state: str = Field(description="counts, replaced by a newer one, or ended")


class NewRate(Body):
    provider_account_id: str
    asset: str = Field(examples=["ETH"])
    currency: str = Field(examples=["EUR"])
    price: Exact = Field(description="Of one whole coin, in major units, above zero", examples=["2380.00"])
    valid_minutes: int = Field(
        description="From now. Nobody is asked to pay by it afterwards",
        ge=1,
        le=crypto_rates.VALID_MINUTES_MAX,
    )
    source: str = Field(description="Where you have it from")


@router.get("/crypto-rates", **listed(crypto_rates.STAFF_RATES, RateShown))
async def list_crypto_rates(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """What coins cost, as staff said, the newest first."""
    return await answer(request, crypto_rates.STAFF_RATES, RateShown, asked, partial(staff_work, who, READ))


@router.get("/crypto-rates/{crypto_rate_id}")
async def get_crypto_rate(who: AnyCaller, crypto_rate_id: str) -> RateShown:
    """One rate."""
    async with staff_work(who, READ) as uow:
        return await _rate(uow, crypto_rate_id)


@router.post("/crypto-rates", status_code=201, response_model=RateShown, responses=failures(404))
async def say_crypto_rate(who: AnyCaller, body: NewRate, repeat: RepeatOnce) -> Response:
    """Say what a coin costs for a while. The newest one counts."""

    async def say(uow: UnitOfWork) -> RateShown:
        row = await crypto_rates.say(uow, RateFields(**body.model_dump()))
        return await _rate(uow, row.id)

    return await repeat.once(staff_work(who, WRITE), say, owner=who.actor.id)


async def _rate(uow: UnitOfWork, rate_id: str) -> RateShown:
    return RateShown.model_validate(await crypto_rates.rate(uow, rate_id))
