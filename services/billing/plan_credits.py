"""Credits that plans include, as lots of the wallet that only usage burns. Called where lines are put on a draft, by
verbs that were allowed what they do."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from models.billing import LineOrigin
from models.ledger import JournalKind, Purpose
from models.money import Money
from models.subscriptions import Subscription
from models.wallets import LotSource
from services.billing import included
from services.billing.lines import Line, LineKind
from services.billing.new_lines import NewLine, charged_line
from services.catalog import sold_prices
from services.catalog.charges import Charge, OneOff
from services.core.work import UnitOfWork
from services.subscriptions import rows as subscription_rows
from services.subscriptions.subscribed import Made
from services.wallets import rules, taking_back
from services.wallets.events import WalletGranted
from services.wallets.lots import NewLot, put_in

NOTE = "Included in the plan"
USED_AHEAD = "Included credits that were used ahead"


async def follow(uow: UnitOfWork, row: Subscription, made: Sequence[Made]) -> NewLine | None:
    """Give and take back what the lines of a moment include. Returns a line for what was used of credits that no time
    pays for any more: at most as much as is credited for that time, so that nobody pays more than for the whole."""
    if row.pay_until is not None:
        return None  # they come with the first payment
    lines = [one.line for one in made if one.line is not None]
    amounts = await _included(uow, made, lines)
    if not any(amounts.values()):
        return None
    changes = included.changes(lines, amounts, now=uow.now)
    owed = included.owed(changes)
    ours = f"plan:{row.id}:"
    taken = await taking_back.take_back(uow, ours, Money(owed, row.currency), cause_id=row.id) if owed else 0
    settled = included.settle(changes, taken=taken)
    for number, one in enumerate(settled.given):
        await _give(uow, row, f"{ours}{made[0].key}:{number}", one)
    credited = -sum(one.amount.minor for one in lines if one.kind is LineKind.CREDIT)
    ahead = Money(min(settled.ahead, max(credited, 0)), row.currency)
    if not ahead.minor:
        return None
    return charged_line(
        LineOrigin.ONE_OFF,
        USED_AHEAD,
        Charge(OneOff(ahead.amount)),
        Decimal(1),
        row.currency,
        key=f"{made[0].key}.ahead",
        discountable=False,
        plan=made[0].item.price.plan_id,
        tax_code=made[0].item.price.tax_code,
    )


async def begin(uow: UnitOfWork, row: Subscription) -> None:
    """Give what the time that was paid for first includes, of a subscription that waited for its first payment."""
    _, now = await subscription_rows.load(uow, row)
    live = [(item, item.live) for item in now.running if item.live is not None]
    amounts = {item.price.id: item.price.charge.included_credits for item, _ in live}
    changes = included.changes([one.line for _, one in live], amounts, now=uow.now)
    for number, one in enumerate(included.settle(changes, taken=0).given):
        await _give(uow, row, f"plan:{row.id}:first:{number}", one)


async def _give(uow: UnitOfWork, row: Subscription, key: str, one: included.Given) -> None:
    lot = NewLot(
        LotSource.GRANT,
        Money(one.minor, row.currency),
        key,
        rules.INCLUDED_PRIORITY,
        Purpose.PROMOTIONS,
        JournalKind.GRANT,
        one.until,
        NOTE,
        usage_only=True,
    )
    wallet, came = await put_in(uow, lot)
    uow.record(
        WalletGranted(
            aggregate_id=wallet.id,
            organization_id=wallet.organization_id,
            currency=wallet.currency,
            lot_id=came.id,
            source=lot.source.value,
            minor=one.minor,
            expires_at=one.until,
        )
    )


async def _included(uow: UnitOfWork, made: Sequence[Made], lines: Sequence[Line]) -> dict[str, Decimal]:
    """By price. Those of the items are known; a line may credit a price that its item had before."""
    known = {one.item.price.id: one.item.price.charge.included_credits for one in made}
    others = {line.terms.price_id for line in lines} - known.keys()
    if others:
        sold = await sold_prices.prices(uow, ids=sorted(others))
        known |= {one.id: one.charge.included_credits for one in sold}
    return known
