"""What came on a chain becomes money of the customer's, and stops being it when the chain takes it away.

One payment at a time, with the invoice locked before it as everywhere. Everything is read anew, so whoever does it
again, or was cut off, does it once:

- All that was asked for came in time: the payment succeeds. What is over is a credit of the customer.
- A part came, and the rate stands no more: the payment fails, and what came pays a part of the invoice.
- It came late, or on top: it is a payment of its own, at the rate of the time it came.
- A block is gone that it counted from: the payment is taken back, and somebody has to look at it.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from models.billing import Invoice
from models.crypto import CryptoRequest, CryptoTransfer, TransferState
from models.money import Money
from models.payment_cases import CaseKind
from models.payments import Initiator, Payment, PaymentState
from services.billing.invoices import AMOUNT_MINOR_MAX
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.crypto import amounts as crypto_amounts
from services.crypto import moved
from services.crypto.rates import RATES
from services.payments import applying, cases, charging, ending, policies, rules
from services.payments.providers import crypto

# What is not decided yet. What was too small to be money is: many such could keep others from being seen.
_OPEN = """
select * from crypto_transfer where payment_id = :id
  and (state in ('seen', 'confirmed') and booked_by is null or state = 'orphaned' and booked_by is not null)
order by block_number, id limit :most for update
"""
TRANSFERS_MAX = 500  # to one address; what is more waits until those are booked
_BOOK = "update crypto_transfer set booked_by = :by where id = any (:ids)"
_TOO_SMALL = "update crypto_transfer set state = 'too_small' where id = :id"
_UNBOOK = "update crypto_transfer set booked_by = null, version = version + 1 where booked_by = :by"
S = PaymentState


async def settle(uow: UnitOfWork, payment_id: str, *, read_until: datetime) -> None:
    """`read_until` is the time of the last block that was read: until then it is known what came.

    Raises NotFound.
    """
    payment, invoice = await ending.locked(uow, payment_id)
    request = await policies.crypto_request_of(uow, payment)
    if request is None:
        return
    came = await _transfers(uow, payment_id)
    if await _take_back(uow, request, came, invoice):
        came = await _transfers(uow, payment_id)
    if S(payment.state) in rules.UNDER_WAY and not await _ends(
        uow, request, payment, invoice, came, read_until
    ):
        return
    for one in came:
        if one.state == TransferState.CONFIRMED and one.booked_by is None:
            await _book_alone(uow, request, payment, invoice, one)


async def _transfers(uow: UnitOfWork, payment_id: str) -> list[CryptoTransfer]:
    """Of one payment, locked, in the order of the chain: what has to be decided."""
    found = await uow.execute(_OPEN, id=payment_id, most=TRANSFERS_MAX)
    return [CryptoTransfer(**row) for row in found.mappings()]


async def _ends(
    uow: UnitOfWork,
    request: CryptoRequest,
    payment: Payment,
    invoice: Invoice | None,
    came: list[CryptoTransfer],
    read_until: datetime,
) -> bool:
    """Whether the payment has ended by what is known now. What came in time and does not count yet is waited for."""
    in_time = [one for one in came if one.block_at <= request.expires_at]
    counted = [one for one in in_time if one.state == TransferState.CONFIRMED and one.booked_by is None]
    units = sum(int(one.units) for one in counted)
    if units >= request.expected_units:
        await applying.succeed(uow, payment, invoice)
        moved.came(uow, request, payment)
        await uow.execute(_BOOK, by=payment.id, ids=[one.id for one in counted])
        for one in counted:
            one.booked_by = payment.id
        await _book_over(uow, request, payment, units - int(request.expected_units))
        return True
    waiting = any(one.state == TransferState.SEEN for one in in_time)
    if read_until > request.expires_at and not waiting:
        ending.expire(uow, payment, in_part=bool(counted))
        return True
    (ending.coming if waiting or counted else ending.vanished)(uow, payment)
    return False


async def _book_over(uow: UnitOfWork, request: CryptoRequest, payment: Payment, units: int) -> None:
    """Of the customer, as a credit: the invoice has had all it was owed by this payment."""
    over = crypto_amounts.worth(units, request.price, request.decimals, payment.currency)
    account = await policies.account_for(uow, request.provider_account_id, Capability.PAYMENTS_READ)
    if over.minor <= crypto.terms(account.settings).ignored_over_minor:
        return
    if over.minor > AMOUNT_MINOR_MAX:
        await _look_at(uow, request, payment.id, "too_large", f"{over.text()} came too much.")
        return
    await _pay(uow, request, None, over, key=moved.over_key(payment.id))


async def _book_alone(
    uow: UnitOfWork,
    request: CryptoRequest,
    payment: Payment,
    invoice: Invoice | None,
    one: CryptoTransfer,
) -> None:
    """As a payment of its own. Without a rate it waits for one, and for somebody to look."""
    coins = f"{crypto_amounts.coins(int(one.units), request.decimals)} {request.asset} came in {one.tx_hash}"
    price = await _price(uow, request, payment.currency, one)
    if price is None:
        await _look_at(uow, request, one.id, "no_rate", f"{coins}, when no rate stood: say one.")
        return
    money = crypto_amounts.worth(int(one.units), price, request.decimals, payment.currency)
    if money.minor < 1:
        await uow.execute(_TOO_SMALL, id=one.id)
        return
    if money.minor > AMOUNT_MINOR_MAX:
        await _look_at(uow, request, one.id, "too_large", f"{coins}, which is more than can be booked.")
        return
    booked = await _pay(uow, request, invoice, money, key=f"{one.id}.{one.version}", reference=one.tx_hash)
    await uow.execute(_BOOK, by=booked.id, ids=[one.id])


async def _price(
    uow: UnitOfWork, request: CryptoRequest, currency: str, one: CryptoTransfer
) -> Decimal | None:
    """What came in time has the rate that was promised; what did not, that of when it came, or else that of now."""
    if one.block_at <= request.expires_at:
        return request.price
    account_id, asset = request.provider_account_id, request.asset
    then = await RATES.price(uow, account_id, asset, currency, one.block_at)
    return then or await RATES.price(uow, account_id, asset, currency, uow.wall_now)


async def _pay(
    uow: UnitOfWork,
    request: CryptoRequest,
    invoice: Invoice | None,
    money: Money,
    *,
    key: str,
    reference: str = "",
) -> Payment:
    """Written when it has succeeded: beside it another payment of the invoice may be under way."""
    made = Payment(
        id=new_id("pay"),
        organization_id=request.organization_id,
        invoice_id=None if invoice is None else invoice.id,
        provider_account_id=request.provider_account_id,
        provider="crypto",
        key=key,
        state=S.PROCESSING.value,
        initiator=Initiator.CUSTOMER.value,
        currency=money.currency,
        minor=money.minor,
        reference=reference,
        created_at=uow.now,
        asked_at=uow.wall_now,
    )
    charging.started(uow, made)
    await applying.succeed(uow, made, invoice)
    moved.came(uow, request, made)
    return made


async def _take_back(
    uow: UnitOfWork, request: CryptoRequest, came: list[CryptoTransfer], invoice: Invoice | None
) -> bool:
    """Undo what was booked by transfers that are gone. What cannot be undone stays, and is tried again."""
    gone = {one.booked_by for one in came if one.state == TransferState.ORPHANED and one.booked_by}
    undone = False
    for booked_by in sorted(gone):
        taken = await _undo(uow, booked_by, invoice)
        if taken:
            await uow.execute(_UNBOOK, by=booked_by)
            undone = True
        await _tell(uow, request, booked_by, taken=taken)
    return undone


async def _undo(uow: UnitOfWork, payment_id: str, invoice: Invoice | None) -> bool:
    """A payment and what was over of it: both, or neither where any of that is spent or given up."""
    over = await charging.known(uow, moved.over_key(payment_id))
    ids = [payment_id] if over is None else [payment_id, over.id]
    standing = list[tuple[Payment, Invoice | None]]()
    for one in ids:
        await moved.gone(uow, one)
        payment = await policies.payment_for(uow, one, Capability.PAYMENTS_WRITE, lock=True)
        if payment.state == S.SUCCEEDED and payment.refunded_minor != payment.minor:
            standing.append((payment, invoice if payment.invoice_id else None))
    may = all(applying.may_be_taken_back(*one) for one in standing)
    if not may:
        return False
    for one, _ in standing:
        if not await applying.is_unused(uow, one):
            return False
    for one, of in standing:
        await applying.take_back(uow, one, of)
    return True


async def _tell(uow: UnitOfWork, request: CryptoRequest, booked_by: str, *, taken: bool) -> None:
    payment = await policies.payment_for(uow, booked_by, Capability.PAYMENTS_READ)
    await cases.open_case(
        uow,
        CaseKind.CHAIN,
        booked_by,
        cause="taken_back" if taken else "taken_and_spent",
        organization_id=request.organization_id,
        amount=Money(-payment.minor, payment.currency),
        detail=f"The chain has taken away what came to {request.address}.",
    )


async def _look_at(uow: UnitOfWork, request: CryptoRequest, subject: str, cause: str, detail: str) -> None:
    await cases.open_case(
        uow,
        CaseKind.CHAIN,
        subject,
        cause=cause,
        organization_id=request.organization_id,
        detail=detail,
    )
