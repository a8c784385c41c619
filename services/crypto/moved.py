"""What changed what our addresses hold, written down once for reconciliation.

Payments say what came, and what went again with its block. What was sent on, or is there without having been seen to
come, only the balance of an address says.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from models.crypto import ChainMovement, CryptoMovement, CryptoRequest
from models.money import Money
from models.payments import Payment
from services.core.ids import new_id
from services.core.work import UnitOfWork
from services.payments.providers.values import Movement, MovementKind, Page

MOVEMENTS_A_PAGE = 500
_GONE = """
insert into crypto_movement (id, organization_id, provider_account_id, request_id, kind, booked_id, block_number,
  units, currency, minor, happened_at)
select :id, organization_id, provider_account_id, request_id, 'gone', booked_id, 0, 0, currency, -minor, :now
from crypto_movement where booked_id = :payment_id and kind = 'came'
on conflict (booked_id, kind) do nothing
"""
_LISTED = """
select * from crypto_movement where provider_account_id = :account_id and happened_at >= :since
  and happened_at < :until and minor <> 0 and (:before = '' or id < :before)
order by id desc limit :most
"""
_KINDS = {
    ChainMovement.CAME: MovementKind.CHARGE,
    ChainMovement.GONE: MovementKind.REVERSAL,
    ChainMovement.SWEPT: MovementKind.SWEEP,
    ChainMovement.UNSEEN: MovementKind.OTHER,
}


def came(uow: UnitOfWork, request: CryptoRequest, payment: Payment) -> None:
    """What a payment that succeeded has brought."""
    uow.add(
        CryptoMovement(
            id=new_id("cmov"),
            organization_id=request.organization_id,
            provider_account_id=request.provider_account_id,
            request_id=request.payment_id,
            kind=ChainMovement.CAME.value,
            booked_id=payment.id,
            block_number=0,
            units=Decimal(0),
            currency=payment.currency,
            minor=payment.minor,
            happened_at=uow.wall_now,
        )
    )


async def gone(uow: UnitOfWork, payment_id: str) -> None:
    """What a payment had brought is gone with its block, whatever can be undone of it here."""
    await uow.execute(_GONE, id=new_id("cmov"), payment_id=payment_id, now=uow.wall_now)


async def listed(
    uow: UnitOfWork, account_id: str, *, since: datetime, until: datetime, cursor: str
) -> Page[Movement]:
    """Of one account, newest first. What is worth less than the least amount of money is left out."""
    found = await uow.execute(
        _LISTED, account_id=account_id, since=since, until=until, before=cursor, most=MOVEMENTS_A_PAGE
    )
    rows = found.all()
    return Page(tuple(map(_movement, rows)), rows[-1].id if len(rows) == MOVEMENTS_A_PAGE else "")


def _movement(row: Any) -> Movement:
    gross, kind = Money(row.minor, row.currency), ChainMovement(row.kind)
    is_gone = kind is ChainMovement.GONE
    return Movement(
        reference=f"{row.booked_id}.gone" if is_gone else row.booked_id or row.id,
        kind=_KINDS[kind],
        category=row.kind,
        gross=gross,
        fee=Money(0, row.currency),
        net=gross,
        created=row.happened_at,
        available=row.happened_at,
        source=row.booked_id if is_gone else "",
        key=row.booked_id or "",
    )
