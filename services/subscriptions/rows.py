"""Between the rows of a subscription and what its rules know of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.orm.attributes import set_committed_value
from sqlmodel import select

from models.billing import InvoiceState
from models.money import Money
from models.subscriptions import Subscription, SubscriptionItem, SubscriptionState
from models.types import BillingInterval
from services.billing.changes import Undoable
from services.billing.lines import Debited, Line, LineKind, read_line
from services.catalog import sold_prices
from services.catalog.plan_rules import Length
from services.catalog.sold_prices import SoldPrice
from services.core.work import UnitOfWork
from services.subscriptions import meters_taken
from services.subscriptions.selecting import price_of, selection_from_json, selection_to_json
from services.subscriptions.subscribed import Credited, Item, Subscribed

# A line that is live or was credited, as its document has it, and what notes took back of it.
_LINES = """
select l.id, l.key, l.facts, l.amount_minor, l.discount_minor, l.net_minor, l.tax_minor, l.treatment, l.tax,
  l.given_tax_minor, i.state, i.legal_entity_id, i.number is not null as numbered,
  coalesce(n.net, 0) as credited, coalesce(n.tax, 0) as credited_tax
from invoice_line l join invoice i on i.id = l.invoice_id
left join lateral (
  select cast(sum(net_minor) as bigint) as net, cast(sum(tax_minor) as bigint) as tax
  from credit_note_line where invoice_line_id = l.id
) n on true
where l.id = any(:ids)
"""


_KEEP = """
update subscription_item i set plan_id = f.plan_id, price_id = f.price_id, quantity = f.quantity,
  billed_until = f.billed_until, ended_at = f.ended_at, lines = f.lines, live_line_id = f.live_line_id,
  undoable = f.undoable
from jsonb_populate_recordset(cast(null as subscription_item), cast(:rows as jsonb)) f
where i.subscription_id = :id and i.number = f.number
"""


@dataclass(frozen=True, slots=True)
class Billed:
    """A line of a subscription where it was billed. `treatment` is how it was taxed, None while that is open. A credit
    is `settled` with what it credits once both were on one document: they are not there for anybody to take back."""

    id: str
    key: str
    line: Line
    debited: Debited | None  # of a debit only
    treatment: dict[str, Any] | None
    settled: bool
    legal_entity_id: str  # that billed it


@dataclass(slots=True)
class Held:
    """A subscription in work: its row, its items' rows by number, and lines by key."""

    row: Subscription
    items: dict[int, SubscriptionItem]
    billed: dict[str, Billed]
    line_ids: dict[str, str]  # of invoice lines, by their keys


async def load(uow: UnitOfWork, row: Subscription, *, lines: bool = True) -> tuple[Held, Subscribed]:
    """All that the rules need of it; without `lines`, all that a renewal needs."""
    found = await uow.session.exec(
        select(SubscriptionItem)
        .where(SubscriptionItem.subscription_id == row.id)
        .order_by(sa.asc("number"))
        .execution_options(populate_existing=True)
    )
    items = {one.number: one for one in found.all()}
    scheduled: dict[str, Any] = row.scheduled or {"choices": []}
    price_ids = [one.price_id for one in items.values()] + [one["price_id"] for one in scheduled["choices"]]
    sold = {one.id: one for one in await sold_prices.prices(uow, ids=price_ids)}
    billed = await _billed(uow, list(items.values())) if lines else {}
    held = Held(row, items, billed, {key: one.id for key, one in billed.items()})
    by_id = {one.id: one for one in billed.values()} if lines else None
    return held, subscribed(row, items.values(), sold, by_id)


def subscribed(
    row: Subscription,
    items: Iterable[SubscriptionItem],
    sold: Mapping[str, SoldPrice],
    billed: Mapping[str, Billed] | None,
) -> Subscribed:
    """The subscription as its rules see it. `billed` has its lines by their ids; with None nothing is known of what it
    paid for, which is all that a renewal needs."""
    return Subscribed(
        row.id,
        SubscriptionState(row.state),
        row.plan_id,
        row.plan_version_id,
        row.currency,
        Length(BillingInterval(row.interval), row.interval_count),
        row.anchor,
        row.timezone,
        row.started_at,
        row.trial_end,
        tuple(_item(item, sold[item.price_id], billed) for item in items),
        selection_from_json(row.scheduled, sold) if row.scheduled else None,
        row.scheduled_at,
        row.cancel_at,
        row.paused_at,
        row.resume_at,
        row.ended_at,
        row.pay_until,
    )


def _item(item: SubscriptionItem, sold: SoldPrice, billed: Mapping[str, Billed] | None) -> Item:
    return Item(
        item.number,
        price_of(sold, addon=item.slot != sold.charge.key),
        item.quantity.quantize(Decimal(1)),  # whole numbers are sold
        item.billed_until,
        billed[item.live_line_id].debited if billed is not None and item.live_line_id else None,
        ()
        if billed is None
        else tuple(
            Credited(
                Undoable(billed[one["credit"]].key, billed[one["credit"]].line, before.line.ruler.calendar),
                before,
            )
            for one in item.undoable
            if not billed[one["credit"]].settled and (before := billed[one["before"]].debited) is not None
        ),
        item.lines,
        item.ended_at,
    )


async def _billed(uow: UnitOfWork, items: Sequence[SubscriptionItem]) -> dict[str, Billed]:
    ids = [one.live_line_id for one in items if one.live_line_id]
    ids += [line_id for one in items for pair in one.undoable for line_id in pair.values()]
    if not ids:
        return {}
    found = await uow.execute(_LINES, ids=ids)
    return {one["key"]: _billed_line(dict(one)) for one in found.mappings()}


def _billed_line(kept: Mapping[str, Any]) -> Billed:
    line = read_line(kept["facts"])
    # What takes a credit back does to it what was done to it: one that had its tax given gives that.
    taxed = kept["numbered"] and line.kind is LineKind.DEBIT
    treatment = kept["tax"] if taxed else kept["treatment"]
    debited = _debited(kept, line) if line.kind is LineKind.DEBIT else None
    alone = line.kind is not LineKind.CREDIT or kept["treatment"] is not None
    settled = not alone and kept["state"] != InvoiceState.DRAFT
    return Billed(kept["id"], kept["key"], line, debited, treatment, settled, kept["legal_entity_id"])


def _debited(kept: Mapping[str, Any], line: Line) -> Debited:
    """As it stands on its document. On a draft nothing is known but its price; what a void one asked for is nothing
    to credit any more."""
    named = ("discount_minor", "net_minor", "tax_minor", "credited", "credited_tax")
    amounts = [Money(kept[name], line.terms.currency) for name in named]
    discount, net, tax, credited, credited_tax = amounts
    if not kept["numbered"]:
        net = line.amount
    if kept["state"] == InvoiceState.VOID:
        credited, credited_tax = net, tax
    return Debited(kept["key"], line, discount, net, tax, credited, credited_tax)


async def keep(uow: UnitOfWork, held: Held, now: Subscribed, *, next_at: datetime | None) -> Subscription:
    """Write what has become of it. The line ids of what is live now are in `held`. Raises MeterTaken."""
    row = held.row
    await meters_taken.require_free(
        uow, row.id, _new_meters(held, now), since=uow.now if held.items else now.started_at
    )
    row.state = now.state.value
    row.plan_id, row.plan_version_id = now.plan_id, now.version_id
    row.interval, row.interval_count = now.length.interval.value, now.length.count
    row.anchor, row.trial_end = now.anchor, now.trial_end
    row.scheduled = selection_to_json(now.scheduled) if now.scheduled else None
    row.scheduled_at, row.cancel_at = now.scheduled_at, now.cancel_at
    row.paused_at, row.resume_at, row.ended_at = now.paused_at, now.resume_at, now.ended_at
    row.next_at = next_at
    row.version += 1
    uow.add(row)
    changed: list[dict[str, Any]] = []
    for item in now.items:
        values = _values(held, item)
        kept = held.items.get(item.number)
        if kept is None:
            kept = SubscriptionItem(
                subscription_id=row.id,
                number=item.number,
                organization_id=row.organization_id,
                slot=item.price.slot,
                **values,
            )
            uow.add(kept)
            held.items[item.number] = kept
        elif any(getattr(kept, name) != value for name, value in values.items()):
            changed.append({"number": item.number, **values})
            for name, value in values.items():
                set_committed_value(kept, name, value)
    await uow.session.flush()
    if changed:
        await uow.execute(_KEEP, id=row.id, rows=orjson.dumps(changed, default=str).decode())
    return row


def _new_meters(held: Held, now: Subscribed) -> set[str]:
    """What is metered from now on, or by a change that waits, and was not before."""
    known = {one.price_id for one in held.items.values() if one.ended_at is None}
    known |= {one["price_id"] for one in (held.row.scheduled or {"choices": []})["choices"]}
    wanted = [one.price for one in now.items if one.ended_at is None]
    wanted += [one.price for one in now.scheduled.choices] if now.scheduled else []
    return {one.charge.meter for one in wanted if one.charge.meter is not None and one.id not in known}


def _values(held: Held, item: Item) -> dict[str, Any]:
    return {
        "plan_id": item.price.plan_id,
        "price_id": item.price.id,
        "quantity": item.quantity,
        "billed_until": item.billed_until,
        "ended_at": item.ended_at,
        "lines": item.made,
        "live_line_id": held.line_ids[item.live.line_id] if item.live else None,
        "undoable": [
            {"credit": held.line_ids[one.undoable.credit_id], "before": held.line_ids[one.before.line_id]}
            for one in item.credited
        ],
    }
