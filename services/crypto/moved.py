"""What changed what our addresses hold, written down once for reconciliation.

Payments say what came, what went again with its block, and what was back after it could not be undone. What was sent
on, or is there without having been seen to come, only the balance of an address says.
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
# Each in turn: of a payment whose money is there, that it is gone, and of one whose money is gone, that it is back.
_TURNED = """
insert into crypto_movement (id, organization_id, provider_account_id, request_id, kind, booked_id, nth, block_number,
  units, currency, minor, happened_at)
select :id, c.organization_id, c.provider_account_id, c.request_id, :kind, c.booked_id, m.nth, 0, 0, c.currency,
  :sign * c.minor, :now
from crypto_movement c cross join lateral (
  select sum(x.minor) as there, count(*) filter (where x.kind = :kind) + 1 as nth
  from crypto_movement x where x.booked_id = c.booked_id
) m
where c.booked_id = :payment_id and c.kind = 'came' and (m.there = 0) = (:sign = 1)
"""
_COMPLETE = """
select o.id from payment p join payment o on o.organization_id = p.organization_id and (o.id = p.id or o.key = :over)
where p.id = :id and not exists (
  select from crypto_transfer t where t.booked_by = p.id and t.state in ('orphaned', 'seen'))
"""
_LISTED = """
select * from crypto_movement where provider_account_id = :account_id and happened_at >= :since
  and happened_at < :until and minor <> 0 and (:before = '' or id < :before)
order by id desc limit :most
"""
_KINDS = {
    ChainMovement.CAME: MovementKind.CHARGE,
    ChainMovement.GONE: MovementKind.REVERSAL,
    ChainMovement.BACK: MovementKind.REVERSAL,
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
    """What a payment had brought is gone with its block, whatever can be undone here. Its transfers are locked."""
    await _turned(uow, payment_id, ChainMovement.GONE, -1)


async def back(uow: UnitOfWork, payment_id: str) -> None:
    """A transfer of a payment counts again. Once all of its do, what was gone of it is back: it was never undone. The
    transfer is locked, also where the work crosses tenants."""
    found = await uow.execute(_COMPLETE, id=payment_id, over=over_key(payment_id))
    for one in found.scalars().all():
        await _turned(uow, one, ChainMovement.BACK, 1)


def over_key(payment_id: str) -> str:
    """Of what came too much with a payment, which is a payment of its own."""
    return f"over.{payment_id}"


async def _turned(uow: UnitOfWork, payment_id: str, kind: ChainMovement, sign: int) -> None:
    await uow.session.flush()
    await uow.execute(
        _TURNED, id=new_id("cmov"), payment_id=payment_id, kind=kind.value, sign=sign, now=uow.wall_now
    )


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
    turned = kind in (ChainMovement.GONE, ChainMovement.BACK)
    name = f"{row.booked_id}.{row.kind}" + (f".{row.nth}" if row.nth > 1 else "")
    return Movement(
        reference=name if turned else row.booked_id or row.id,
        kind=_KINDS[kind],
        category=row.kind,
        gross=gross,
        fee=Money(0, row.currency),
        net=gross,
        created=row.happened_at,
        available=row.happened_at,
        source=row.booked_id if turned else "",
        key=row.booked_id or "",
    )
