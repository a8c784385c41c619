"""What comes into a wallet, as lots. Called by verbs that were allowed what they do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row

from models.ledger import JournalKind, Purpose
from models.money import Money
from models.wallets import LotSource
from services.core.errors import Conflict, Invalid
from services.core.ids import new_id
from services.core.work import UnitOfWork
from services.ledger import service as ledger
from services.ledger.rules import Draft, credit, debit
from services.wallets import policies, rules
from services.wallets.events import WalletToppedUp
from services.wallets.policies import Open

LIFE_MAX = timedelta(days=20 * 366)


class LotKeyTaken(Conflict):
    """The key of a payment or a grant came again, with something else to put in."""

    code = "wallet_key_taken"
    title = "Something else came in under this key"


class WalletFull(Conflict):
    code = "wallet_full"
    title = "The wallet has too many lots"


@dataclass(frozen=True, slots=True)
class NewLot:
    """What is to come in; `key` names the payment or the grant, for good. Without `expires_at` it never expires. What
    is `usage_only` pays no invoice."""

    source: LotSource
    money: Money
    key: str
    priority: int
    against: Purpose  # the account that gives
    kind: JournalKind
    expires_at: datetime | None = None
    note: str = ""
    refund_of: str | None = None
    usage_only: bool = False


@dataclass(frozen=True, slots=True)
class Came:
    """A lot that is there; `is_new` says whether this call brought it."""

    id: str
    is_new: bool


async def put_in(uow: UnitOfWork, lot: NewLot) -> tuple[Open, Came]:
    """Put a lot into the wallet of the organisation that the work is bound to, and book it.

    The same key again is the lot that is there. Raises Invalid, LotKeyTaken and WalletFull.
    """
    _require_lot(lot, uow.now)
    wallet = await policies.opened(uow, uow.organization_id, lot.money.currency)
    there = await _lot_with(uow, wallet, lot.key)
    if there is not None:
        _require_same(there, lot)
        return wallet, Came(there.id, is_new=False)
    if len(await policies.lots_of(uow, wallet)) >= rules.LOTS_MAX:
        raise WalletFull(
            f"{rules.LOTS_MAX:,} lots of this wallet have something left.",
            next_step="Put in more at once, and less often.",
        )
    lot_id = new_id("lot")
    posted = await ledger.post(
        uow,
        Draft(
            wallet.organization_id,
            key=f"wallet_lot:{lot_id}",
            kind=lot.kind,
            cause_id=lot_id,
            entries=(debit(lot.against, lot.money), credit(Purpose.PREPAID_WALLET, lot.money)),
            at=wallet.now,
            note=lot.note,
        ),
    )
    await uow.execute(
        "insert into wallet_lot (id, organization_id, wallet_id, key, source, priority, minor, used_minor,"
        " expired_minor, left_minor, expires_at, note, journal_id, refund_of, usage_only, created_at) values (:id,"
        " :organization_id, :wallet_id, :key, :source, :priority, :minor, 0, 0, :minor, :expires_at, :note,"
        " :journal_id, :refund_of, :usage_only, :now)",
        id=lot_id,
        organization_id=wallet.organization_id,
        wallet_id=wallet.id,
        key=lot.key,
        source=lot.source.value,
        priority=lot.priority,
        minor=lot.money.minor,
        expires_at=lot.expires_at,
        note=lot.note,
        journal_id=posted.id,
        refund_of=lot.refund_of,
        usage_only=lot.usage_only,
        now=wallet.now,
    )
    return wallet, Came(lot_id, is_new=True)


def tell_topped_up(uow: UnitOfWork, wallet: Open, came: Came, money: Money, payment_key: str) -> None:
    """That a customer's money is in, which is new."""
    uow.record(
        WalletToppedUp(
            aggregate_id=wallet.id,
            organization_id=wallet.organization_id,
            currency=wallet.currency,
            lot_id=came.id,
            minor=money.minor,
            payment_key=payment_key,
        )
    )


async def _lot_with(uow: UnitOfWork, wallet: Open, key: str) -> Row[Any] | None:
    found = await uow.execute(
        "select id, source, minor, priority, expires_at from wallet_lot where wallet_id = :id and key = :key",
        id=wallet.id,
        key=key,
    )
    return found.one_or_none()


def _require_lot(lot: NewLot, now: datetime) -> None:
    if not 1 <= lot.money.minor <= rules.LOT_MINOR_MAX:
        raise Invalid(
            f"{lot.money.said()} cannot be put into a wallet: it is not above zero, or too much.",
            field="amount",
        )
    if not 0 <= lot.priority <= rules.PRIORITY_MAX:
        raise Invalid(f"A priority is 0 to {rules.PRIORITY_MAX}, the lowest first.", field="priority")
    if lot.expires_at is None:
        return
    if lot.expires_at.tzinfo is None:
        raise Invalid("A time needs its offset from UTC.", field="expires_at")
    if not now < lot.expires_at <= now + LIFE_MAX:
        raise Invalid(
            f"It would expire at {lot.expires_at.isoformat()}, which is past or more than"
            f" {LIFE_MAX.days // 366} years away.",
            field="expires_at",
            next_step="Choose a later end, or none.",
        )


def _require_same(there: Row[Any], lot: NewLot) -> None:
    said = (lot.source.value, lot.money.minor, lot.priority, lot.expires_at)
    if (there.source, there.minor, there.priority, there.expires_at) != said:
        raise LotKeyTaken(
            "This payment or grant has come in already, with another amount or other terms.",
            next_step="Give another one another key.",
            lot_id=there.id,
        )
