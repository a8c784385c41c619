"""What an item of a subscription is charged: before or after its time, once, or not any more. Pure.

Source: docs/decisions/0029-subscriptions.md.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from models.money import Money
from models.subscriptions import SubscriptionState
from services.billing import lines
from services.billing.changes import Undoable
from services.billing.lines import Debited, Line
from services.billing.periods import Span
from services.billing.proration import Ending, Ruler
from services.core.errors import Invalid
from services.subscriptions.subscribed import Credited, Item, Made, Source, Subscribed

S = SubscriptionState


def due(now: Subscribed, item: Item) -> datetime | None:
    """When the item is billed next: at the start of a period, or at the end of the one that is passing."""
    if item.billed_until is None:
        return None
    if item.price.in_advance or item.price.charge.length is None:
        return item.billed_until
    return now.calendar(item.price.charge.length).period_at(item.billed_until).end


def bill_passed(now: Subscribed, at: datetime) -> tuple[Subscribed, tuple[Made, ...]]:
    """What is charged afterwards, for periods that end at `at`."""
    made: list[Made] = []
    items: list[Item] = []
    for item in now.items:
        if (
            item.ended_at is None
            and not item.price.in_advance
            and item.price.charge.length
            and due(now, item) == at
        ):
            item, passed = bill_until(now, item, at)
            made += passed
        items.append(item)
    return (replace(now, items=tuple(items)) if made else now), tuple(made)


def bill_until(now: Subscribed, item: Item, at: datetime) -> tuple[Item, list[Made]]:
    """What is charged afterwards, from where it was billed to until `at`, within one period."""
    begun = item.billed_until
    if begun is None or begun >= at:
        return item, []
    span, ruler = Span(begun, at), _ruler(now, item, begun)
    if not item.price.for_time:
        made = made_of(now, item, Source.USAGE, span=span, ruler=ruler)
    else:
        line = lines.debit(item.price.terms(item.quantity), ruler, span)
        made = made_of(now, item, Source.ITEM, line=line)
    return replace(item, made=item.made + 1, billed_until=at), [made]


def bill_ahead(now: Subscribed, at: datetime) -> tuple[Subscribed, tuple[Made, ...]]:
    """What is charged before, for periods that begin at `at`; and what is charged once."""
    if now.state not in (S.ACTIVE, S.PAST_DUE, S.CANCELED):
        return now, ()
    made: list[Made] = []
    items: list[Item] = []
    for item in now.items:
        if item.ended_at is None and item.billed_until == at:
            if item.price.charge.length is None:
                made.append(made_of(now, item, Source.ONE_OFF))
                item = replace(item, made=item.made + 1, billed_until=None, ended_at=at)
            elif item.price.in_advance:
                ruler = _ruler(now, item, at)
                line = lines.debit(item.price.terms(item.quantity), ruler, Span(at, ruler.period.end))
                made.append(made_of(now, item, Source.ITEM, line=line))
                item = live(item, made[-1])
        items.append(item)
    return replace(now, items=tuple(items)), tuple(made)


def _ruler(now: Subscribed, item: Item, at: datetime) -> Ruler:
    """What measures parts of the period that `at` falls in, by the price of an item."""
    calendar = now.calendar(item.price.charge.length)
    return Ruler(item.price.charge.proration, calendar, calendar.period_at(at))


def made_of(
    now: Subscribed,
    item: Item,
    source: Source,
    *,
    line: Line | None = None,
    span: Span | None = None,
    ruler: Ruler | None = None,
) -> Made:
    """The next line of an item, which the caller counts."""
    return Made(f"{now.id}.{item.number}.{item.made}", source, item, line, span, ruler)


def live(item: Item, made: Made) -> Item:
    """The item once it has made `made`, while what that debits passes. Nothing of it is known but its price until it is
    on a document."""
    if made.line is None:
        raise Invalid("Only what is charged for time can be credited.", field="line")
    nothing = Money(0, made.line.terms.currency)
    live = Debited(made.key, made.line, nothing, made.line.amount, nothing, nothing, nothing)
    return replace(item, made=item.made + 1, billed_until=made.line.span.end, live=live, credited=())


def close(
    now: Subscribed, item: Item, at: datetime, ending: Ending, *, credits_unused: bool = True
) -> tuple[Item, list[Made]]:
    """Stop charging an item: what has passed is billed, and what was paid for longer is credited."""
    if not item.price.in_advance:
        item, made = bill_until(now, item, at)
        return replace(item, billed_until=None), made
    live = item.live
    if live is None or not credits_unused or not live.line.span.start <= at < live.line.span.end:
        return replace(item, live=None, credited=(), billed_until=None), []
    calendar = now.calendar(item.price.charge.length)
    made = made_of(now, item, Source.ITEM, line=lines.credit(live, at, ending))
    if made.line is not None and ending is Ending.CHANGE:
        again = Credited(Undoable(made.key, made.line, calendar), live)
        item = replace(item, credited=(*item.credited, again))
    return replace(item, made=item.made + 1, live=None, billed_until=None), [made]
