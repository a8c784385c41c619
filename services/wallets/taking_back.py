"""Taking back what was given away and is not used. Called by verbs that were allowed what they do."""

from __future__ import annotations

from models.ledger import Purpose
from models.money import Money
from models.wallets import DebitKind
from services.core.work import UnitOfWork
from services.wallets import debits, expiry, policies, rules
from services.wallets.events import WalletTakenBack

_OURS = """
select id, priority, expires_at, created_at, left_minor, usage_only from wallet_lot
where wallet_id = :wallet_id and starts_with(key, :prefix) and left_minor > 0
"""


async def take_back(uow: UnitOfWork, prefix: str, money: Money, *, cause_id: str) -> int:
    """Take up to `money` of lots whose keys begin with `prefix`, the latest first, and book it. What calls that are
    under way may still use stays. Returns the minor units that were taken."""
    wallet = await policies.wallet_of(uow, uow.organization_id, money.currency)
    if wallet is None:
        return 0
    await expiry.lose_expired(uow, wallet)
    free = rules.payable(
        await policies.lots_of(uow, wallet),
        wallet.now,
        promised=wallet.promised,
        minor_per_major=wallet.minor_per_major,
    )
    found = await uow.execute(_OURS, wallet_id=wallet.id, prefix=prefix)
    ours = [policies.lot_of(row) for row in found]
    parts = rules.latest_first(ours, min(money.minor, free), wallet.now)
    taken = sum(part.minor for part in parts)
    if not taken:
        return 0
    debit_id = await debits.book(
        uow, wallet, parts, kind=DebitKind.TAKEN_BACK, cause_id=cause_id, against=Purpose.PROMOTIONS
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
