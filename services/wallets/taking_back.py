"""Taking back what is not used of what was given away, or of what is paid back. Called by verbs that were allowed what
they do."""

from __future__ import annotations

from collections.abc import Sequence

from models.ledger import Purpose
from models.money import Money
from models.wallets import DebitKind
from services.core.work import UnitOfWork
from services.wallets import debits, expiry, policies, rules
from services.wallets.events import WalletTakenBack
from services.wallets.policies import Open

_OURS = """
select id, priority, expires_at, created_at, left_minor, usage_only from wallet_lot
where wallet_id = :wallet_id and starts_with(key, :prefix) and left_minor > 0
"""


async def takeable(uow: UnitOfWork, prefix: str, money: Money) -> int:
    """How much `take_back` would take, in minor units. The wallet is locked."""
    return sum(part.minor for part in await _parts(uow, await _wallet(uow, money), prefix, money))


async def take_back(
    uow: UnitOfWork, prefix: str, money: Money, *, cause_id: str, against: Purpose = Purpose.PROMOTIONS
) -> int:
    """Take up to `money` of lots whose keys begin with `prefix`, the latest first, and book it. What calls that are
    under way may still use stays. Returns the minor units that were taken."""
    wallet = await _wallet(uow, money)
    parts = await _parts(uow, wallet, prefix, money)
    taken = sum(part.minor for part in parts)
    if wallet is None or not taken:
        return 0
    debit_id = await debits.book(
        uow, wallet, parts, kind=DebitKind.TAKEN_BACK, cause_id=cause_id, against=against
    )
    uow.record(
        WalletTakenBack(
            aggregate_id=wallet.id,
            organization_id=wallet.organization_id,
            currency=wallet.currency,
            debit_id=debit_id,
            minor=taken,
        )
    )
    return taken


async def _wallet(uow: UnitOfWork, money: Money) -> Open | None:
    wallet = await policies.wallet_of(uow, uow.organization_id, money.currency)
    if wallet is not None:
        await expiry.lose_expired(uow, wallet)
    return wallet


async def _parts(uow: UnitOfWork, wallet: Open | None, prefix: str, money: Money) -> Sequence[rules.Part]:
    if wallet is None:
        return ()
    free = rules.payable(
        await policies.lots_of(uow, wallet),
        wallet.now,
        promised=wallet.promised,
        minor_per_major=wallet.minor_per_major,
    )
    found = await uow.execute(_OURS, wallet_id=wallet.id, prefix=prefix)
    ours = [policies.lot_of(row) for row in found]
    return rules.latest_first(ours, min(money.minor, free), wallet.now)
