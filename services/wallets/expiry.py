"""Lots end: what is left of them is booked as breakage, at the instant at which they ended."""

from __future__ import annotations

from datetime import datetime

from models.ledger import JournalKind, Purpose
from models.money import Money
from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.work import UnitOfWork
from services.ledger import service as ledger
from services.ledger.rules import Draft, credit, debit
from services.wallets import policies, rules
from services.wallets.events import WalletLotExpired
from services.wallets.policies import Open
from services.wallets.rules import Part

WALLETS_PER_TURN_MAX = 200
TURNS_MAX = 500  # of one call; what is left is for the next
EVERY_S = 300  # how often the worker looks for what has ended

# By each organisation's own clock, those that stand too: whoever turns one finds what ended on the way.
_DUE = f"""
select distinct l.organization_id, w.currency
from wallet_lot l join wallet w on w.id = l.wallet_id join organization o on o.id = l.organization_id
left join test_clock c on c.id = o.test_clock_id
where l.left_minor > 0 and l.expires_at is not null and l.expires_at <= {policies.BUSINESS_NOW}
  and (cast(:bound as text) is null or l.organization_id = :bound)
  and (cast(:clock_id as text) is null or o.test_clock_id = :clock_id)
  and (l.organization_id, w.currency) > (:organization_id, :currency)
order by 1, 2 limit :most
"""


async def expire(uow: UnitOfWork) -> int:
    """Lose what has ended by now in all wallets that the work reaches. Returns how many lots that were.

    In work bound to an organisation those of that one, as when its clock was turned. What usage may still take is kept
    for the next time.
    """
    lost, place = 0, ("", "")
    while True:
        due = await uow.execute(
            _DUE,
            bound=uow.actor.organization_id,
            clock_id=None,
            wall_now=uow.wall_now,
            organization_id=place[0],
            currency=place[1],
            most=WALLETS_PER_TURN_MAX,
        )
        rows = due.all()
        for row in rows:
            lost += await _expire_in(uow, row.organization_id, row.currency)
        if len(rows) < WALLETS_PER_TURN_MAX:
            return lost
        place = (rows[-1].organization_id, rows[-1].currency)


async def expire_all(
    on: Database | None = None, *, clock: Clock | None = None, clock_id: str | None = None
) -> int:
    """The same for everybody, or for those on a test clock, a transaction for each wallet: safe to run twice, from many
    workers, and to be cut off. Returns how many lots were lost."""
    lost, turns, place = 0, 0, ("", "")
    while turns < TURNS_MAX:
        turns += 1
        async with crossing(Reason.LEDGER, on=on, clock=clock) as uow:
            rows = (
                await uow.execute(
                    _DUE,
                    bound=None,
                    clock_id=clock_id,
                    wall_now=uow.wall_now,
                    organization_id=place[0],
                    currency=place[1],
                    most=WALLETS_PER_TURN_MAX,
                )
            ).all()
        for row in rows:
            async with crossing(Reason.LEDGER, on=on, clock=clock) as uow:
                lost += await _expire_in(uow, row.organization_id, row.currency)
        if len(rows) < WALLETS_PER_TURN_MAX:
            break
        place = (rows[-1].organization_id, rows[-1].currency)
    return lost


async def next_on(uow: UnitOfWork, clock_id: str) -> datetime | None:
    """When the next lot ends of an organisation on a test clock, after what it shows. Of one that has ended usage may
    still take for a while: nobody waits for that."""
    found = await uow.execute(
        "select min(l.expires_at) from test_clock c join organization o on o.test_clock_id = c.id"
        " join wallet_lot l on l.organization_id = o.id and l.left_minor > 0"
        " where c.id = :clock_id and l.expires_at > c.now_at",
        clock_id=clock_id,
    )
    moment: datetime | None = found.scalar_one()
    return moment


async def _expire_in(uow: UnitOfWork, organization_id: str, currency: str) -> int:
    wallet = await policies.wallet_of(uow, organization_id, currency)
    return await lose_expired(uow, wallet) if wallet is not None else 0


async def lose_expired(uow: UnitOfWork, wallet: Open) -> int:
    """Book as breakage what is left of the lots of a locked wallet whose time has come. Returns how many they were."""
    lots = await policies.lots_of(uow, wallet)
    by_id = {lot.id: lot for lot in lots}
    promised = rules.whole_minor_up(wallet.promised, wallet.minor_per_major)
    lost = rules.expired(lots, wallet.now, promised=promised)
    for part in lost:
        await _lose(uow, wallet, part, by_id[part.lot_id].expires_at)
    return len(lost)


async def _lose(uow: UnitOfWork, wallet: Open, part: Part, at: datetime | None) -> None:
    left = await uow.execute(
        "update wallet_lot set expired_minor = expired_minor + :minor, left_minor = left_minor - :minor"
        " where id = :id returning expired_minor",
        id=part.lot_id,
        minor=part.minor,
    )
    money = Money(part.minor, wallet.currency)
    await ledger.post(
        uow,
        Draft(
            wallet.organization_id,
            # A lot is lost in pieces while usage still takes of it: what is lost so far tells them apart.
            key=f"breakage:{part.lot_id}:{left.scalar_one()}",
            kind=JournalKind.BREAKAGE,
            cause_id=part.lot_id,
            entries=(debit(Purpose.PREPAID_WALLET, money), credit(Purpose.BREAKAGE, money)),
            at=at,
        ),
    )
    uow.record(
        WalletLotExpired(
            aggregate_id=wallet.id,
            organization_id=wallet.organization_id,
            currency=wallet.currency,
            lot_id=part.lot_id,
            minor=part.minor,
        )
    )
