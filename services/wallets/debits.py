"""What is taken out of a wallet: for invoices here, for usage in usage.py.

Each act locks its wallet first. A wallet's sums, and those of its lots, follow in the database by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Row

from models.ledger import JournalKind, Purpose
from models.money import Money
from models.wallets import DebitKind, LotSource
from services.core.ids import new_id
from services.core.work import UnitOfWork
from services.ledger import service as ledger
from services.ledger.rules import Draft, credit, debit
from services.wallets import expiry, policies, refills, rules
from services.wallets.events import WalletGivenBack, WalletPaid
from services.wallets.lots import NewLot, put_in
from services.wallets.policies import Open

# Of what is taken back: where it came from, it goes to again.
_JOURNALS = {Purpose.PROMOTIONS: JournalKind.GRANT, Purpose.CUSTOMER_CREDIT: JournalKind.TOP_UP}


async def available(uow: UnitOfWork, currency: str) -> Money:
    """What the organisation that the work is bound to may pay invoices with now. Its wallet is locked."""
    wallet = await policies.wallet_of(uow, uow.organization_id, currency)
    if wallet is None:
        return Money(0, currency)
    await expiry.lose_expired(uow, wallet)
    lots = await policies.lots_of(uow, wallet)
    free = rules.payable(lots, wallet.now, promised=wallet.promised, minor_per_major=wallet.minor_per_major)
    theirs = sum(lot.left for lot in rules.for_invoices(lots) if rules.is_live(lot, wallet.now))
    return Money(min(free, theirs), currency)


async def pay(uow: UnitOfWork, invoice_id: str, money: Money) -> None:
    """Pay an invoice with what was `available` before in the same work, and book it. Nothing is paid with nothing.

    Called by verbs of billing, which were allowed what they do and keep the invoice.
    """
    if not money.minor:
        return
    wallet = await policies.wallet_of(uow, uow.organization_id, money.currency)
    if wallet is None:
        raise rules.NotEnough(f"There is no wallet in {money.currency}.")
    debit_id = await take(
        uow, wallet, money.minor, kind=DebitKind.INVOICE, cause_id=invoice_id, against=Purpose.RECEIVABLE
    )
    uow.record(
        WalletPaid(
            aggregate_id=wallet.id,
            organization_id=wallet.organization_id,
            currency=wallet.currency,
            debit_id=debit_id,
            invoice_id=invoice_id,
            minor=money.minor,
        )
    )
    await refills.ask_for_top_up(uow, wallet.organization_id, wallet.currency)


async def take(
    uow: UnitOfWork,
    wallet: Open,
    minor: int,
    *,
    kind: DebitKind,
    cause_id: str,
    against: Purpose,
    calls: int | None = None,
    cost: Decimal | None = None,
) -> str:
    """Debit a locked wallet, lot by lot, and book it. Raises NotEnough."""
    lots = await policies.lots_of(uow, wallet)
    parts = rules.burn(rules.for_invoices(lots) if kind is DebitKind.INVOICE else lots, minor)
    return await book(
        uow, wallet, parts, kind=kind, cause_id=cause_id, against=against, calls=calls, cost=cost
    )


async def book(
    uow: UnitOfWork,
    wallet: Open,
    parts: Sequence[rules.Part],
    *,
    kind: DebitKind,
    cause_id: str,
    against: Purpose,
    calls: int | None = None,
    cost: Decimal | None = None,
) -> str:
    """Write down a debit of a locked wallet with what it takes of each lot, and book it. Returns its id."""
    minor = sum(part.minor for part in parts)
    debit_id, money = new_id("wdeb"), Money(minor, wallet.currency)
    posted = await ledger.post(
        uow,
        Draft(
            wallet.organization_id,
            key=f"wallet_debit:{debit_id}",
            kind=_JOURNALS.get(against, JournalKind.CONSUMPTION),
            cause_id=cause_id,
            entries=(debit(Purpose.PREPAID_WALLET, money), credit(against, money)),
            at=wallet.now,
        ),
    )
    await uow.execute(
        "insert into wallet_debit (id, organization_id, wallet_id, kind, cause_id, minor, calls, cost, journal_id,"
        " created_at) values (:id, :organization_id, :wallet_id, :kind, :cause_id, :minor, :calls, :cost, :journal_id,"
        " :now)",
        id=debit_id,
        organization_id=wallet.organization_id,
        wallet_id=wallet.id,
        kind=kind.value,
        cause_id=cause_id,
        minor=minor,
        calls=calls,
        cost=cost,
        journal_id=posted.id,
        now=wallet.now,
    )
    await uow.execute(
        "insert into wallet_debit_part (debit_id, lot_id, organization_id, minor)"
        " select :debit_id, lot_id, :organization_id, minor"
        " from unnest(cast(:lots as text[]), cast(:minors as bigint[])) as part(lot_id, minor)",
        debit_id=debit_id,
        organization_id=wallet.organization_id,
        lots=[part.lot_id for part in parts],
        minors=[part.minor for part in parts],
    )
    return debit_id


async def give_back(uow: UnitOfWork, invoice_id: str) -> None:
    """Put into the wallet again what had paid an invoice that is voided: for each lot a new one, with its priority
    and its end, or without an end where that has passed. Asked again it changes nothing."""
    found = await uow.execute(
        "select d.id, w.currency from wallet_debit d join wallet w on w.id = d.wallet_id"
        " where d.cause_id = :id and d.kind = 'invoice' and d.organization_id = :organization_id"
        " and d.given_back_at is null order by d.id",
        id=invoice_id,
        organization_id=uow.organization_id,
    )
    for row in found.all():
        await _give_back_debit(uow, row.id, row.currency)


async def _give_back_debit(uow: UnitOfWork, debit_id: str, currency: str) -> None:
    wallet = await policies.opened(uow, uow.organization_id, currency)
    parts = await uow.execute(
        "select p.lot_id, p.minor, l.priority, l.expires_at from wallet_debit_part p"
        " join wallet_lot l on l.id = p.lot_id where p.debit_id = :id order by p.lot_id",
        id=debit_id,
    )
    total = 0
    for part in parts.all():
        await put_in(uow, _returned(debit_id, part, currency, wallet.now))
        total += part.minor
    await uow.execute(
        "update wallet_debit set given_back_at = :now where id = :id", now=wallet.now, id=debit_id
    )
    uow.record(
        WalletGivenBack(
            aggregate_id=wallet.id,
            organization_id=wallet.organization_id,
            currency=currency,
            debit_id=debit_id,
            minor=total,
        )
    )


def _returned(debit_id: str, part: Row[Any], currency: str, now: datetime) -> NewLot:
    ends = part.expires_at if part.expires_at is not None and part.expires_at > now else None
    return NewLot(
        LotSource.REFUND,
        Money(part.minor, currency),
        f"refund:{debit_id}:{part.lot_id}",
        part.priority,
        Purpose.RECEIVABLE,
        JournalKind.REFUND,
        ends,
        refund_of=debit_id,
    )
