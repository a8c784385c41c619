"""Payments that fill a wallet: what came for a top-up is a credit of the customer, as all money on account, and goes on
from there into the wallet at once. What is to be given back, or was taken away again, comes out the same way, as far as
it is not used.

The payment is locked. A credit is locked before a wallet, as where invoices are paid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from models.ledger import JournalKind, Purpose
from models.money import Money
from models.payments import Payment
from models.wallets import LotSource
from services.billing import customer_credits
from services.billing.totals import Credit
from services.core.work import UnitOfWork
from services.wallets import lots, refills, rules, taking_back
from services.wallets.lots import NewLot

_CREDIT = "select id, left_minor from customer_credit where source_id = :id for update"


async def fill(uow: UnitOfWork, payment: Payment) -> None:
    """Put what a payment just brought into the wallet, where it answers the top-up if that is due still: who paid for
    one that was withdrawn meanwhile, or paid twice, has it in the wallet all the same."""
    held = await _credit(uow, payment)
    if payment.top_up_id is None or held is None:
        return
    await customer_credits.hold(uow, {held.id: payment.minor})
    money = Money(payment.minor, payment.currency)
    lot = NewLot(
        LotSource.PURCHASE,
        money,
        _key(payment),
        rules.USUAL_PRIORITY,
        Purpose.CUSTOMER_CREDIT,
        JournalKind.TOP_UP,
    )
    wallet, came = await lots.put_in(uow, lot)
    await refills.answer(uow, wallet, payment.top_up_id, came.id)
    lots.tell_topped_up(uow, wallet, came, money, payment.id)


@dataclass(frozen=True, slots=True)
class Returnable:
    """The credit of a payment for a top-up, with what could be one again: what of it is `there`, unused in the wallet,
    and `all` with what is a credit already."""

    there: Credit
    all: Credit


async def returnable(uow: UnitOfWork, payment: Payment) -> Returnable | None:
    """What is not used of a payment for a top-up. None of other payments."""
    held = await _credit(uow, payment)
    if held is None:
        return None
    there = Money(
        await taking_back.takeable(uow, _key(payment), Money(payment.minor, payment.currency)),
        payment.currency,
    )
    return Returnable(Credit(held.id, there), Credit(held.id, held.left + there))


async def take_out(uow: UnitOfWork, payment: Payment, most: int) -> None:
    """Have up to `most` minor units of what a payment filled in be a credit of the customer again."""
    held = await _credit(uow, payment)
    if held is None or most <= 0:
        return
    taken = await taking_back.take_back(
        uow,
        _key(payment),
        Money(most, payment.currency),
        cause_id=payment.id,
        against=Purpose.CUSTOMER_CREDIT,
    )
    await customer_credits.release(uow, {held.id: taken})


async def make_good(uow: UnitOfWork, payment: Payment, held: Mapping[str, int]) -> None:
    """Have as much of what a payment filled in be a credit again as is to be `held` of it."""
    there = await _credit(uow, payment)
    if there is not None:
        await take_out(uow, payment, held.get(there.id, 0) - there.left.minor)


async def _credit(uow: UnitOfWork, payment: Payment) -> Credit | None:
    if payment.top_up_id is None:
        return None
    row = (await uow.execute(_CREDIT, id=payment.id)).one_or_none()
    return None if row is None else Credit(row.id, Money(row.left_minor, payment.currency))


def _key(payment: Payment) -> str:
    return f"payment:{payment.id}"
