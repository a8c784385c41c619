"""Filling a wallet: what a customer has paid ahead of use, and what is given away."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from models.ledger import JournalKind, Purpose
from models.money import Money, UnknownCurrency
from models.wallets import LotSource
from services.core.errors import Invalid, not_found
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.identity import clocks
from services.identity.proof import require_recent_proof
from services.identity.rules import clean_text
from services.wallets import lots, refills, rules
from services.wallets.events import WalletGranted
from services.wallets.lots import Came, NewLot, put_in

KEY_CHARACTERS_MAX = 120
NOTE_CHARACTERS_MAX = 500
GIVEN = (LotSource.PROMOTION, LotSource.GRANT)
RECEIVED_ON = (Purpose.CASH, Purpose.CLEARING)


async def grant(
    uow: UnitOfWork,
    *,
    money: Money,
    key: str,
    source: LotSource = LotSource.PROMOTION,
    priority: int = rules.GIVEN_PRIORITY,
    expires_at: datetime | None = None,
    note: str = "",
) -> Came:
    """Give credit away to the organisation the work is bound to. The same key is the same grant, for good.

    Raises Forbidden, ProofNeeded, LotKeyTaken, WalletFull, and Invalid for what is not above zero or too much, for a
    currency that is none, an end that is past, and a source that is not for giving.
    """
    uow.actor.require(Capability.STAFF_WALLETS_WRITE)
    clocks.require_still_for_people(uow)
    require_recent_proof(uow)
    if source not in GIVEN:
        raise Invalid(f"What is {source.value!r} is not given away.", field="source")
    lot = NewLot(
        source,
        money,
        f"grant:{_key(key)}",
        priority,
        Purpose.PROMOTIONS,
        JournalKind.GRANT,
        expires_at,
        _note(note),
    )
    wallet, came = await put_in(uow, lot)
    if came.is_new:
        uow.record(
            WalletGranted(
                aggregate_id=wallet.id,
                organization_id=wallet.organization_id,
                currency=wallet.currency,
                lot_id=came.id,
                source=source.value,
                minor=money.minor,
                expires_at=expires_at,
            )
        )
    return came


async def top_up(
    uow: UnitOfWork,
    *,
    money: Money,
    payment_key: str,
    received_on: Purpose = Purpose.CASH,
    top_up_id: str | None = None,
    note: str = "",
) -> Came:
    """Put in what the customer has paid. `payment_key` is the payment's: the same payment comes in once, for good.

    `received_on` says where the money is, on our own account or still with a provider. `top_up_id` is the top-up that
    was due, if it answers one. Raises as `grant`, and NotFound for a top-up that is not due in this wallet.
    """
    uow.actor.require(Capability.STAFF_WALLETS_WRITE)
    clocks.require_still_for_people(uow)
    if received_on not in RECEIVED_ON:
        raise Invalid("Money arrives in cash or in clearing.", field="received_on")
    lot = NewLot(
        LotSource.PURCHASE,
        money,
        f"payment:{_key(payment_key)}",
        rules.USUAL_PRIORITY,
        received_on,
        JournalKind.TOP_UP,
        note=_note(note),
    )
    wallet, came = await put_in(uow, lot)
    if not came.is_new:
        return came
    if top_up_id is not None and not await refills.answer(uow, wallet, top_up_id, came.id):
        raise not_found("top-up that is due", top_up_id)
    lots.tell_topped_up(uow, wallet, came, money, payment_key)
    return came


def money_of(amount: Decimal, currency: str, *, field: str = "amount") -> Money:
    """An amount stated in major units, never rounded. Raises Invalid for what is not of that currency, or too much."""
    try:
        money = Money.of(amount, currency) if abs(amount) <= rules.LOT_MINOR_MAX else None
    except UnknownCurrency as error:
        raise Invalid(str(error), field="currency") from error
    if money is None or money.amount != amount:
        raise Invalid(f"{amount:f} is no amount of {currency} that a wallet takes.", field=field)
    return money


def _key(text: str) -> str:
    return clean_text(text, field="key", what="The key", characters_max=KEY_CHARACTERS_MAX)


def _note(text: str) -> str:
    if not text.strip():
        return ""
    return clean_text(text, field="note", what="The note", characters_max=NOTE_CHARACTERS_MAX)
