"""What a change of a subscription comes to: other plans, quantities, add-ons, or another interval. Pure.

Source: docs/decisions/0029-subscriptions.md, services/billing/changes.py for one item.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from fractions import Fraction

from models.subscriptions import SubscriptionState
from models.types import ProrationBehaviour
from services.billing import changes
from services.billing.changes import Billed, Direction, Undoable
from services.billing.lines import LineKind
from services.billing.periods import Calendar
from services.billing.proration import Ending
from services.core.errors import Invalid
from services.subscriptions import states as subscription_states
from services.subscriptions.charges import bill_ahead, bill_until, close, live, made_of
from services.subscriptions.subscribed import (
    Change,
    Choice,
    Credited,
    Item,
    Made,
    Price,
    Selection,
    Source,
    Subscribed,
    Turn,
)

S = SubscriptionState
NetShares = Mapping[
    str, Fraction
]  # what is left of a price without its tax, by tax code; net_prices.py knows them


def change(
    now: Subscribed,
    to: Selection,
    *,
    at: datetime,
    behaviour: ProrationBehaviour | None = None,
    trial_until: datetime | None = None,
    net_shares: NetShares | None = None,
) -> Change:
    """Have it consist of `to`: more at once and less from the next period on, unless asked otherwise. A trial goes on,
    until `trial_until` at most. Prices with their tax in them are compared by their `net_shares`.

    Raises Invalid for another currency, and SubscriptionStateConflict.
    """
    subscription_states.require_changes(now.state)
    way = _direction(now, to, net_shares or {})
    chosen = behaviour or changes.usual_behaviour(way)
    if chosen is ProrationBehaviour.NEXT_PERIOD:
        effective = now.period_end(at)
        return Change(
            way,
            chosen,
            effective,
            Turn(replace(now, scheduled=to, scheduled_at=effective), (), Billed.RENEWAL),
        )
    now = replace(now, scheduled=None, scheduled_at=None)
    if now.trial_end is not None and at < now.trial_end:
        if trial_until is not None and trial_until < now.trial_end:
            now = _tried_until(now, max(trial_until, at))
        return Change(way, chosen, at, Turn(swap(now, to, at), (), Billed.RENEWAL))
    return Change(way, chosen, at, _change_now(now, to, at, chosen))


def _tried_until(now: Subscribed, end: datetime) -> Subscribed:
    """The same with a trial that ends sooner: what begins with its end does, too."""
    items = tuple(
        replace(item, billed_until=end) if item.billed_until == now.trial_end else item for item in now.items
    )
    anchor = end if now.anchor == now.trial_end else now.anchor
    return replace(now, trial_end=end, anchor=anchor, items=items)


def put_off(made: Change, now: Subscribed, *, until: datetime) -> Change:
    """A change that waits, at the first period's end that is not before `until`."""
    effective = made.effective_at
    while effective < until:
        effective = now.period_end(effective)
    waiting = replace(made.turn.subscribed, scheduled_at=effective)
    return replace(made, effective_at=effective, turn=replace(made.turn, subscribed=waiting))


def _direction(now: Subscribed, to: Selection, net_shares: NetShares) -> Direction:
    """Up or down by the price of a year of all that is charged for time; equal is up."""
    if now.currency != to.currency:
        raise Invalid(
            f"This subscription is billed in {now.currency}, and the new price is in {to.currency}.",
            field="currency",
            code="subscription_currency",
            next_step="End this subscription and start one in the other currency.",
        )

    rises = yearly(to.choices, net_shares) >= yearly(now.running, net_shares)
    return Direction.UPGRADE if rises else Direction.DOWNGRADE


def yearly(taken: Iterable[Item | Choice], net_shares: NetShares) -> Fraction:
    """The price of a year of all that is charged for time, in major units, exact."""
    parts = (
        changes.yearly(one.price.terms(one.quantity)) * _net_share(one.price, net_shares)
        for one in taken
        if one.price.for_time
    )
    return sum(parts, Fraction(0))


def _net_share(price: Price, net_shares: NetShares) -> Fraction:
    whole = Fraction(1)
    return net_shares.get(price.tax_code, whole) if price.charge.tax_inclusive else whole


def before_it_begins(now: Subscribed, to: Selection, *, until: datetime) -> Change:
    """Have one that was agreed to and waits for its day begin with `to`: nothing was billed or given by what it
    consists of. If it begins before `until`, it comes to that with the first period that does not. What is charged once
    stays as it was agreed."""
    way, begins = _direction(now, to, {}), now.started_at
    if begins >= until:
        swapped = swap(now, to, begins)
        return Change(way, ProrationBehaviour.NEXT_PERIOD, begins, Turn(swapped, (), Billed.RENEWAL))
    effective = now.period_end(begins)
    waiting = replace(now, scheduled=to, scheduled_at=effective)
    made = Change(way, ProrationBehaviour.NEXT_PERIOD, effective, Turn(waiting, (), Billed.RENEWAL))
    return put_off(made, now, until=until)


def swap(now: Subscribed, to: Selection, at: datetime) -> Subscribed:
    """The same with other items, where nothing has to be credited: at the end of what was billed, or in a trial."""
    in_trial = now.trial_end is not None and at < now.trial_end
    begins = now.trial_end if in_trial else at
    resets = to.length.size != now.length.size and not in_trial
    wanted = {choice.price.slot: choice for choice in to.choices}
    items: list[Item] = []
    for item in now.items:
        choice = wanted.pop(item.price.slot, None)
        if choice is None:
            items.append(item if item.ended_at else replace(_idle(item), ended_at=at))
        elif item.price.charge.length is None:
            items.append(item)  # what is charged once was, or will be
        else:
            taken = replace(_idle(item), price=choice.price, quantity=choice.quantity, ended_at=None)
            items.append(replace(taken, billed_until=item.billed_until if item.ended_at is None else begins))
    anchor = at if resets else now.anchor
    return _consisting(now, to, items, list(wanted.values()), begins=begins or at, anchor=anchor)


def _change_now(now: Subscribed, to: Selection, at: datetime, chosen: ProrationBehaviour) -> Turn:
    """Change items in the middle of what was billed. Going straight back takes credits back, if all of it does."""
    found = _changed(now, to, at, chosen)
    if found is None:
        as_new = tuple(replace(item, credited=()) for item in now.items)
        found = _changed(replace(now, items=as_new), to, at, chosen)
    if found is None:
        raise Invalid("These items cannot be billed by one calendar.", field="items")
    return found


def _changed(now: Subscribed, to: Selection, at: datetime, chosen: ProrationBehaviour) -> Turn | None:
    """None where some items go back to another calendar and others do not."""
    wanted = {choice.price.slot: choice for choice in to.choices}
    resets = chosen is ProrationBehaviour.RESET_CYCLE or to.length.size != now.length.size
    anchors: set[datetime] = set()
    made: list[Made] = []
    items: list[Item] = []
    for item in now.items:
        choice = wanted.pop(item.price.slot, None)
        some: list[Made] = []
        if item.price.charge.length is None:
            pass  # what is charged once was
        elif choice is None:
            if item.ended_at is None:
                item, some = close(now, item, at, Ending.CHANGE)
                item = replace(item, ended_at=at)
        elif choice.price.in_advance:
            item, some = (item, []) if item.price.in_advance else bill_until(now, item, at)
            item, more, calendar = retake(now, item, choice, at, chosen)
            some += more
            anchors.add(calendar.anchor)
        elif item.price.in_advance or item.ended_at is not None:  # from now on it is charged afterwards
            item, some = (item, []) if item.ended_at else close(now, item, at, Ending.CHANGE)
            item = replace(item, price=choice.price, quantity=choice.quantity, billed_until=at, ended_at=None)
        elif resets or (item.price.id, item.quantity) != (choice.price.id, choice.quantity):
            item, some = bill_until(now, item, at)
            item = replace(item, price=choice.price, quantity=choice.quantity)
        made += some
        items.append(item)
    if len(anchors) > 1:
        return None
    anchor = anchors.pop() if anchors else at if resets else now.anchor
    waits = chosen is ProrationBehaviour.NEXT_INVOICE and anchor == now.anchor and not resets
    changed = _consisting(now, to, items, list(wanted.values()), begins=at, anchor=anchor)
    changed, opened = bill_ahead(changed, at)
    return Turn(changed, (*made, *opened), Billed.NEXT_INVOICE if waits else Billed.NOW)


def retake(
    now: Subscribed,
    item: Item,
    choice: Choice,
    at: datetime,
    chosen: ProrationBehaviour = ProrationBehaviour.INVOICE_NOW,
) -> tuple[Item, list[Made], Calendar]:
    """Charge an item in advance by other terms from `at` on: what was paid is credited, and the rest debited."""
    # What has ended may have been of another interval then: it begins again in the period that is passing now.
    calendar = now.calendar(item.price.charge.length if item.ended_at is None else None)
    standing = changes.Item(
        item.price.terms(item.quantity),
        calendar,
        choice.price.charge.proration,
        live=item.live,
        undoable=[one.undoable for one in item.credited],
    )
    plan = changes.plan_change(standing, choice.price.terms(choice.quantity), at=at, behaviour=chosen)
    was_live, made = item.live, list[Made]()
    back = {one.undoable.credit_id: one for one in item.credited}
    item = replace(item, price=choice.price, quantity=choice.quantity, ended_at=None)
    for line in plan.lines:
        one = made_of(now, item, Source.ITEM, line=line)
        made.append(one)
        match line.kind:
            case LineKind.CREDIT if was_live is not None:
                credited = Credited(Undoable(one.key, line, calendar), was_live)
                item = replace(item, made=item.made + 1, live=None, credited=(*item.credited, credited))
            case LineKind.RESTORE:
                undone = back[line.source]
                left = tuple(other for other in item.credited if other != undone)
                until = undone.before.line.span.end
                item = replace(
                    item, made=item.made + 1, live=undone.before, credited=left, billed_until=until
                )
            case _:
                item = replace(live(item, one), credited=item.credited)
    if (
        item.billed_until is None or item.billed_until < at
    ):  # begun again, to be billed from the next period on
        item = replace(item, billed_until=plan.calendar.period_at(at).end)
    return item, made, plan.calendar


def _consisting(
    now: Subscribed,
    to: Selection,
    items: list[Item],
    added: list[Choice],
    *,
    begins: datetime,
    anchor: datetime,
) -> Subscribed:
    """The subscription with its items, and new ones that begin at `begins`. A price that is charged once comes with
    an add-on only: who changes the plan was set up before."""
    for choice in added:
        if choice.price.charge.length is not None or choice.price.addon:
            items = [*items, Item(len(items) + 1, choice.price, choice.quantity, begins)]
    return replace(
        now,
        plan_id=to.plan_id,
        version_id=to.version_id,
        length=to.length,
        anchor=anchor,
        items=tuple(items),
        scheduled=None,
        scheduled_at=None,
    )


def _idle(item: Item) -> Item:
    return replace(item, billed_until=None, live=None, credited=())
