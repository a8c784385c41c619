"""The way to wallets: those of the organisation that the work is bound to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from models.money import Money, UnknownCurrency
from models.money import currency as currency_of
from models.wallets import Wallet, WalletTopUp
from services.core.errors import Invalid, not_found
from services.core.ids import is_id, new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.wallets.rules import LOTS_MAX, Lot, TopUpRule

# Business time is the organisation's, also in work across tenants, where the work itself has none.
BUSINESS_NOW = (
    "case when c.id is null or (c.follows_wall and c.now_at >= :wall_now) then cast(:wall_now as timestamptz)"
    " else c.now_at end"
)
_WALLETS = f"""
select w.*, {BUSINESS_NOW} as now, o.timezone
from wallet w join organization o on o.id = w.organization_id left join test_clock c on c.id = o.test_clock_id
"""
_LOTS = """
select id, priority, expires_at, created_at, left_minor, usage_only from wallet_lot
where wallet_id = :wallet_id and left_minor > 0
order by priority, expires_at, created_at, id limit :most
"""


@dataclass(frozen=True, slots=True)
class Open:
    """A wallet that is locked until the work ends. `now` is its organisation's business time."""

    id: str
    organization_id: str
    currency: str
    minor_per_major: int
    left_minor: int
    accrued: Decimal
    held: Decimal
    rule: TopUpRule | None
    version: int
    now: datetime
    timezone: str

    @property
    def promised(self) -> Decimal:
        return self.accrued + self.held


async def wallet_of(uow: UnitOfWork, organization_id: str, currency: str) -> Open | None:
    """Locked. None where nothing ever came in. The caller bound the work to the organisation, or crosses."""
    found = await uow.execute(
        f"{_WALLETS} where w.organization_id = :organization_id and w.currency = :currency for update of w",
        organization_id=organization_id,
        currency=currency,
        wall_now=uow.wall_now,
    )
    row = found.mappings().one_or_none()
    return _open(row) if row is not None else None


async def opened(uow: UnitOfWork, organization_id: str, currency: str) -> Open:
    """Locked, and made if there was none. Raises Invalid for a currency that is none, or is no more."""
    there = await wallet_of(uow, organization_id, currency)
    if there is not None:
        return there
    try:
        known = currency_of(currency)
    except UnknownCurrency as error:
        raise Invalid(str(error), field="currency") from error
    if not known.valid_on(uow.now.date()):
        raise Invalid(f"{currency} is not legal tender any more.", field="currency")
    await uow.execute(
        "insert into wallet (id, organization_id, currency, minor_per_major, inbound_minor, outbound_minor,"
        " breakage_minor, left_minor, accrued, held, uncovered, created_at, version)"
        " values (:id, :organization_id, :currency, :scale, 0, 0, 0, 0, 0, 0, 0, :now, 1)"
        " on conflict (organization_id, currency) do nothing",
        id=new_id("wal"),
        organization_id=organization_id,
        currency=currency,
        scale=10**known.exponent,
        now=uow.now,
    )
    made = await wallet_of(uow, organization_id, currency)
    if made is None:
        raise RuntimeError("A wallet was made and is not there.")
    return made


async def top_up_for(
    uow: UnitOfWork, top_up_id: str, needs: Capability, *, lock: bool = False
) -> WalletTopUp:
    """Raises Forbidden, and NotFound also for another organisation's, unless the work crosses tenants."""
    uow.actor.require(needs)
    row = await uow.get(WalletTopUp, top_up_id, lock=lock) if is_id(str(top_up_id), "wtop") else None
    if row is None or not (uow.crosses or row.organization_id == uow.organization_id):
        raise not_found("top-up", top_up_id)
    return row


async def money_of(uow: UnitOfWork, top_up: WalletTopUp) -> Money:
    """What a top-up that the caller was let to asks for."""
    wallet = await uow.get(Wallet, top_up.wallet_id)
    if wallet is None:
        raise RuntimeError("A top-up is of a wallet that is not there.")
    return Money(top_up.minor, wallet.currency)


async def lots_of(uow: UnitOfWork, wallet: Open) -> list[Lot]:
    """Those with something left. Read under the wallet's lock, so nobody else takes of them."""
    found = await uow.execute(_LOTS, wallet_id=wallet.id, most=LOTS_MAX)
    return [lot_of(row) for row in found]


def lot_of(row: Any) -> Lot:
    return Lot(row.id, row.priority, row.expires_at, row.created_at, row.left_minor, row.usage_only)


def _open(row: Any) -> Open:
    given = row["threshold_minor"], row["refill_minor"], row["ceiling_minor"]
    return Open(
        id=row["id"],
        organization_id=row["organization_id"],
        currency=row["currency"],
        minor_per_major=row["minor_per_major"],
        left_minor=row["left_minor"],
        accrued=row["accrued"],
        held=row["held"],
        rule=TopUpRule(*given) if given[0] is not None else None,
        version=row["version"],
        now=row["now"],
        timezone=row["timezone"],
    )
