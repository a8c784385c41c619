"""What addresses hold, compared with what is known to have come and gone there.

The watcher reads what names itself: transactions and logs. A balance sees everything, so each address is asked for its
own once a day. What differs is written down as a movement, and somebody looks at it: coins that were sent on, which
nobody here can do, and coins that a contract moved in the middle of something else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from models.crypto import ChainMovement, CryptoMovement, CryptoWatch
from services.core.ids import new_id
from services.core.work import UnitOfWork, Work
from services.crypto import amounts
from services.payments.providers.crypto_chain import Chain

HELD_FOR = timedelta(
    days=365
)  # an address is looked at since it was given out; then for as long as it holds something
ADDRESSES_A_TURN = 200
# By everything up to a block that counts; `minor` is what our books have of what is there.
_KNOWN = """
select r.payment_id, r.organization_id, r.provider_account_id, r.address, r.contract, r.price, r.decimals, p.currency,
  coalesce(t.units, 0) + coalesce(m.units, 0) as units, coalesce(m.minor, 0) as minor
from crypto_request r join payment p on p.id = r.payment_id
left join lateral (
  select sum(units) as units from crypto_transfer t
  where t.payment_id = r.payment_id and t.state <> 'orphaned' and t.block_number <= :height
) t on true
left join lateral (
  select sum(units) as units, sum(minor) as minor from crypto_movement m where m.request_id = r.payment_id
) m on true
"""
_ADDRESSES = f"""
select * from ({_KNOWN} where r.provider_account_id = :account_id and r.payment_id > :after) held
where units <> 0 or exists (
  select from crypto_request r where r.payment_id = held.payment_id and r.created_at > :since)
order by payment_id limit :most
"""
_ONE = f"{_KNOWN} where r.payment_id = :payment_id"


@dataclass(frozen=True, slots=True)
class Block:
    """The last one that counts, and from when what differs by then is known: not before what is asked for."""

    number: int
    known_at: datetime


async def compare(
    work: Work, chain: Chain, account_id: str, *, confirmations: int, since: datetime, after: str
) -> str:
    """Compare the next addresses of an account; returns the last one's name, or nothing when all are done.

    Raises ProviderUnavailable.
    """
    async with work() as uow:
        watch = await uow.get(CryptoWatch, account_id)
        if watch is None or watch.height < confirmations:
            return ""  # nothing counts yet
        block = Block(watch.height - confirmations + 1, max(watch.read_until, since))
        found = await uow.execute(
            _ADDRESSES,
            account_id=account_id,
            height=block.number,
            after=after,
            since=uow.wall_now - HELD_FOR,
            most=ADDRESSES_A_TURN,
        )
        rows = found.all()
    for row in rows:
        units = await chain.held(row.address, row.contract, block.number)
        if units != row.units:
            async with work() as uow:
                await _differs(uow, account_id, row.payment_id, units, block)
    return rows[-1].payment_id if len(rows) == ADDRESSES_A_TURN else ""


async def _differs(uow: UnitOfWork, account_id: str, payment_id: str, units: int, block: Block) -> None:
    """Written down once: whoever reads blocks or balances meanwhile waits, and then it is read what is known now."""
    await uow.execute("select from crypto_watch where provider_account_id = :id for update", id=account_id)
    row = (await uow.execute(_ONE, payment_id=payment_id, height=block.number)).one()
    between = units - int(row.units)
    if between:
        kind = ChainMovement.UNSEEN if between > 0 else ChainMovement.SWEPT
        uow.add(
            CryptoMovement(
                id=new_id("cmov"),
                organization_id=row.organization_id,
                provider_account_id=account_id,
                request_id=payment_id,
                kind=kind.value,
                block_number=block.number,
                units=Decimal(between),
                currency=row.currency,
                minor=_minor(row, between),
                happened_at=block.known_at,
            )
        )


def _minor(row: Any, between: int) -> int:
    """What came unseen is worth what was promised for the address; what left takes its share of what is booked of it,
    so that an address that is empty has nothing left in the books."""
    if between > 0:
        return amounts.worth(between, row.price, row.decimals, row.currency).minor
    return -(row.minor * min(-between, int(row.units)) // int(row.units)) if row.units > 0 else 0
