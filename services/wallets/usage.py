"""Usage that is paid ahead: processes of the gateway hold a share of a wallet before a call, and what the call really
cost is debited when it is settled.

What is held is nobody else's: accrued + held <= left is a constraint of the database, so however many processes and
callers there are, a wallet never falls below nothing. A process that dies keeps what it held until its journal has
been settled. All of this crosses tenants; the gateway calls it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from models.ledger import Purpose
from models.wallets import DebitKind
from services.core.work import UnitOfWork
from services.wallets import debits, expiry, policies, refills, rules
from services.wallets.policies import Open

FORGOTTEN_AFTER_S = 86_400  # no call lasts that long, nor a process that says nothing of what it holds
_NOTHING = Decimal(0)

_HOLD = """
insert into wallet_hold as h (wallet_id, holder, organization_id, amount, version, changed_at)
values (:wallet_id, :holder, :organization_id, :amount, 1, :now)
on conflict (wallet_id, holder) do update set amount = h.amount + excluded.amount,
  version = h.version + 1, changed_at = excluded.changed_at
returning amount, version
"""
_LESS = """
update wallet_hold set amount = greatest(amount - :less, 0), version = version + 1, changed_at = :now
where wallet_id = :wallet_id and holder = :holder returning amount, version
"""


@dataclass(frozen=True, slots=True)
class Holding:
    """What a process holds of a wallet, all together. The higher `version` is the newer."""

    amount: Decimal
    version: int
    free: Decimal = _NOTHING  # what is left for anybody
    others: bool = False  # whether others hold something that they might give back


NOTHING_HELD = Holding(_NOTHING, 0)


async def hold(
    uow: UnitOfWork, organization_id: str, currency: str, holder: str, *, need: Decimal, more: Decimal
) -> Holding:
    """Hold `need`, in major units, and some of `more` if there is plenty; or nothing besides what is held already."""
    wallet = await policies.wallet_of(uow, organization_id, currency)
    if wallet is None:
        return NOTHING_HELD
    await expiry.lose_expired(uow, wallet)
    lots = await policies.lots_of(uow, wallet)
    free = rules.spendable(lots, wallet.now, promised=wallet.promised, minor_per_major=wallet.minor_per_major)
    given = rules.share_to_hold(free, need=need, more=more)
    others = await uow.execute(
        "select exists (select from wallet_hold where wallet_id = :id and holder <> :holder and amount > 0)",
        id=wallet.id,
        holder=holder,
    )
    held = await uow.execute(
        _HOLD,
        wallet_id=wallet.id,
        holder=holder,
        organization_id=organization_id,
        amount=given,
        now=uow.wall_now,
    )
    row = held.one()
    return Holding(row.amount, row.version, free - given, others.scalar_one())


async def give_back(
    uow: UnitOfWork, organization_id: str, currency: str, holder: str, amount: Decimal
) -> Holding:
    """Hold `amount` less."""
    wallet = await policies.wallet_of(uow, organization_id, currency)
    return await _less(uow, wallet, holder, amount) if wallet is not None else NOTHING_HELD


async def release(uow: UnitOfWork, holders_like: str, *, but: str = "") -> None:
    """End what processes of this name held: all they have used is settled. `but` lives."""
    await uow.execute(
        "select w.id from wallet w where w.id in (select wallet_id from wallet_hold"
        " where starts_with(holder, :like) and holder <> :but) order by w.id for update",
        like=holders_like,
        but=but,
    )
    await uow.execute(
        "delete from wallet_hold where starts_with(holder, :like) and holder <> :but",
        like=holders_like,
        but=but,
    )


async def holders(uow: UnitOfWork, like: str) -> list[str]:
    """Processes of this name that hold something."""
    found = await uow.execute(
        "select distinct holder from wallet_hold where starts_with(holder, :like) order by 1 limit 1000",
        like=like,
    )
    return list(found.scalars())


async def sweep(uow: UnitOfWork) -> None:
    """End what was held by processes that are gone with their machine, and rows that hold nothing."""
    await uow.execute(
        "select w.id from wallet w where w.id in (select wallet_id from wallet_hold"
        " where changed_at < :now - make_interval(secs => :age_s)) order by w.id for update",
        now=uow.wall_now,
        age_s=FORGOTTEN_AFTER_S,
    )
    await uow.execute(
        "delete from wallet_hold where changed_at < :now - make_interval(secs => :age_s)",
        now=uow.wall_now,
        age_s=FORGOTTEN_AFTER_S,
    )


@dataclass(frozen=True, slots=True)
class Used:
    """A call that is settled: what was reserved for it and what it cost, in major units; None without a price.

    What is not `is_new` was settled before.
    """

    call_id: str
    organization_id: str
    currency: str
    holder: str
    reserved: Decimal
    cost: Decimal | None
    is_new: bool


Place = tuple[str, str, str]  # organisation, currency, holder


async def charge(uow: UnitOfWork, used: Sequence[Used]) -> dict[Place, Holding]:
    """Debit what calls cost, and hold no longer what was reserved for them. Returns what their processes hold then.

    Calls that are new only: whoever settles twice charges once. Exact: what is less than a minor unit is carried on.
    """
    by_wallet: dict[tuple[str, str], list[Used]] = {}
    for one in used:
        by_wallet.setdefault((one.organization_id, one.currency), []).append(one)
    held: dict[Place, Holding] = {}
    # In one order, so that two settlements of the same wallets wait and never in a circle.
    for (organization_id, currency), calls in sorted(by_wallet.items()):
        wallet = await policies.opened(uow, organization_id, currency)
        held |= await _charge(uow, wallet, calls)
    return held


async def _charge(uow: UnitOfWork, wallet: Open, calls: Sequence[Used]) -> dict[Place, Holding]:
    new = [call for call in calls if call.is_new]
    held: dict[Place, Holding] = {}
    for holder in sorted({call.holder for call in calls}):
        less = sum((call.reserved for call in new if call.holder == holder), _NOTHING)
        held[wallet.organization_id, wallet.currency, holder] = await _less(uow, wallet, holder, less)
    cost = sum((call.cost for call in new if call.cost is not None), _NOTHING)
    if not cost:
        return held
    wallet = await policies.opened(uow, wallet.organization_id, wallet.currency)  # held has changed
    taken = rules.take_usage(
        cost,
        accrued=wallet.accrued,
        held=wallet.held,
        left=wallet.left_minor,
        minor_per_major=wallet.minor_per_major,
    )
    await uow.execute(
        "update wallet set accrued = :accrued, uncovered = uncovered + :uncovered where id = :id",
        id=wallet.id,
        accrued=taken.accrued,
        uncovered=taken.uncovered,
    )
    if taken.minor:
        await debits.take(
            uow,
            wallet,
            taken.minor,
            kind=DebitKind.USAGE,
            cause_id=new[-1].call_id,
            against=Purpose.REVENUE,
            calls=len(new),
            cost=cost,
        )
        await refills.ask_for_top_up(uow, wallet.organization_id, wallet.currency)
    return held


async def _less(uow: UnitOfWork, wallet: Open, holder: str, amount: Decimal) -> Holding:
    held = await uow.execute(_LESS, wallet_id=wallet.id, holder=holder, less=amount, now=uow.wall_now)
    row = held.one_or_none()
    return Holding(row.amount, row.version) if row is not None else NOTHING_HELD
