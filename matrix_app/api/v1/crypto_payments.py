"""Paying on a chain: what a payment asks for, and what came."""

from __future__ import annotations

from pydantic import AwareDatetime, Field

from matrix_app.api.deps import Member
from matrix_app.api.v1.shape import Shown, resource
from services.core.work import unit_of_work
from services.crypto import requests as crypto_requests

router = resource("payments")


class CameShown(Shown):
    """Something that came to the address."""

    tx_hash: str
    state: str = Field(
        description="seen, confirmed, too_small to be money, or orphaned: its block is gone, or it failed"
    )
    amount: str = Field(description="In whole coins")
    confirmations: int
    block_at: AwareDatetime


class OnChainShown(Shown):
    """What a payment asks for on a chain. It counts when it is deep enough."""

    payment_id: str
    chain_id: int
    asset: str
    contract: str | None = Field(description="Of the token; null for the chain's own coin")
    address: str
    amount: str = Field(description="In whole coins, all that is asked for", examples=["0.05"])
    units: str = Field(description="The same in base units, as a whole number")
    price: str = Field(description="Of one whole coin, in major units of the currency, as it was promised")
    currency: str
    expires_at: AwareDatetime = Field(description="What comes later counts at the rate of then")
    confirmations_needed: int
    received: str = Field(description="In whole coins, also what is not deep enough yet")
    missing: str = Field(description="In whole coins, what is still to be sent")
    uri: str = Field(description="For a wallet (EIP-681), of what is missing")
    came: list[CameShown]


@router.get("/payments/{payment_id}/crypto")
async def get_payment_on_a_chain(who: Member, payment_id: str) -> OnChainShown:
    """Where to pay how much, until when, and what came so far."""
    async with unit_of_work(who.actor) as uow:
        return OnChainShown.model_validate(await crypto_requests.asked(uow, payment_id))
