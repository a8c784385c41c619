"""What a subscription does at each moment of its life. Pure: it goes from one state to the next, and says which lines
that makes.

At one moment the order is: what has passed is billed, a trial ends, a pause ends, a scheduled change comes, a
cancellation ends it, and what is to come is billed. Each moment is acted on by itself, so that however time is turned
the documents are the same. Source: docs/decisions/0029-subscriptions.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from models.money import Money
from models.plans import ChargeKind, ChargeTiming
from models.subscriptions import SubscriptionState
from models.types import ProrationBehaviour
from services.billing import changes, lines, subscription_states
from services.billing.changes import Billed, Direction, Undoable
from services.billing.lines import Debited, Line, LineKind, Terms
from services.billing.periods import Calendar, Span
from services.billing.proration import Ending, Ruler
from services.catalog.plan_rules import Length, PlannedCharge
from services.catalog.rating import rate
from services.core.errors import Invalid

S = SubscriptionState
ITEMS_MAX = 100  # of one subscription


class Source(StrEnum):
    """What a line is worked out from."""

    ITEM = "item"  # a price for time: its debits, credits, and credits taken back
    USAGE = "usage"  # what a meter counted; the caller reads it
    ONE_OFF = "one_off"


@dataclass(frozen=True, slots=True)
class Price:
    """A price of a plan version. `addon` says that the plan was added to another."""

    id: str
    plan_id: str
    charge: PlannedCharge
    addon: bool = False
    tax_code: str = ""

    @property
    def slot(self) -> str:
        """By which a change of plan finds the item that it changes."""
        return f"{self.plan_id}/{self.charge.key}" if self.addon else self.charge.key

    @property
    def for_time(self) -> bool:
        """Whether it is charged for time, and not for what was used or done."""
        return self.charge.kind in (ChargeKind.FLAT, ChargeKind.SEAT)

    def terms(self, quantity: Decimal) -> Terms:
        """Raises Invalid for a price that is charged once."""
        length = self.charge.length
        if length is None:
            raise Invalid(f"'{self.charge.key}' is charged once and not for time.", field="price")
        return Terms(
            self.id,
            quantity,
            Fraction(rate(self.charge.charge, quantity).amount),
            self.charge.currency,
            length.interval,
            length.count,
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """A price, and how much of it is taken: seats or pieces, 1 of what is flat, 0 of what a meter counts."""

    price: Price
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Selection:
    """All that is chosen together: what a subscription consists of from some moment on. `length` is that of its
    billing period; usage may have a shorter one."""

    plan_id: str
    version_id: str
    currency: str
    length: Length
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class Credited:
    """A credit of the last change, and the line that it credited, as it stood before: together they undo it."""

    undoable: Undoable
    before: Debited


@dataclass(frozen=True, slots=True)
class Item:
    """An item as it stands; see models.subscriptions.SubscriptionItem. `made` counts its lines."""

    number: int
    price: Price
    quantity: Decimal
    billed_until: datetime | None
    live: Debited | None = None
    credited: tuple[Credited, ...] = ()
    made: int = 0
    ended_at: datetime | None = None

    @property
    def in_advance(self) -> bool:
        return self.price.for_time and self.price.charge.timing is ChargeTiming.ADVANCE


@dataclass(frozen=True, slots=True)
class Made:
    """A line that a moment made. `key` names it for good; `item` is as it was when it was made.

    Of time, `line` says all. Of usage, `span` is the time whose usage is to be read. Of a one-off neither.
    """

    key: str
    source: Source
    item: Item
    line: Line | None = None
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A subscription as it stands. `scheduled` comes at `scheduled_at`."""

    id: str
    state: SubscriptionState
    plan_id: str
    version_id: str
    currency: str
    length: Length
    anchor: datetime
    timezone: str
    started_at: datetime
    trial_end: datetime | None
    items: tuple[Item, ...]
    scheduled: Selection | None = None
    scheduled_at: datetime | None = None
    cancel_at: datetime | None = None
    paused_at: datetime | None = None
    resume_at: datetime | None = None
    ended_at: datetime | None = None

    def calendar(self, length: Length | None = None) -> Calendar:
        length = length or self.length
        return Calendar(self.anchor, self.timezone, length.interval, length.count)

    def period_end(self, at: datetime) -> datetime:
        """When what is paid for ends: the trial, or the billing period that `at` falls in."""
        if self.trial_end is not None and at < self.trial_end:
            return self.trial_end
        return self.calendar().period_at(at).end

    @property
    def running(self) -> Iterator[Item]:
        return (item for item in self.items if item.ended_at is None)


@dataclass(frozen=True, slots=True)
class Turn:
    """The state after a moment, the lines it made, and where those are billed."""

    subscribed: Subscribed
    lines: tuple[Made, ...] = ()
    billed: Billed = Billed.NOW


@dataclass(frozen=True, slots=True)
class Change:
    """What a change comes to. One that waits has made nothing yet: it is scheduled at `effective_at`."""

    direction: Direction
    behaviour: ProrationBehaviour
    effective_at: datetime
    turn: Turn


# -- its life


def start(
    subscription_id: str,
    selection: Selection,
    *,
    at: datetime,
    timezone: str,
    trial_end: datetime | None = None,
    anchor: datetime | None = None,
) -> Subscribed:
    """A subscription that begins at `at`, or is tried until `trial_end` and billed from then on. Its periods are
    counted from `anchor`, or else from where billing begins. Raises Invalid.
    """
    if not 1 <= len(selection.choices) <= ITEMS_MAX:
        raise Invalid(f"A subscription has 1 to {ITEMS_MAX} prices.", field="items")
    if trial_end is not None and trial_end <= at:
        trial_end = None
    begins = trial_end or at
    items = [
        Item(number, choice.price, choice.quantity, begins)
        for number, choice in enumerate(selection.choices, start=1)
    ]
    return Subscribed(
        subscription_id,
        S.TRIALING if trial_end else S.ACTIVE,
        selection.plan_id,
        selection.version_id,
        selection.currency,
        selection.length,
        anchor or begins,
        timezone,
        at,
        trial_end,
        tuple(items),
    )


def next_moment(now: Subscribed) -> datetime | None:
    """When something is to be done next; None if nothing ever will without being asked for."""
    if now.state is S.ENDED:
        return None
    moments = [now.scheduled_at, now.cancel_at, now.resume_at]
    if now.state is S.TRIALING:
        moments.append(now.trial_end)
    moments += [_due(now, item) for item in now.running]
    return min((moment for moment in moments if moment is not None), default=None)


def turn(now: Subscribed, at: datetime) -> Turn:
    """What happens at `at`, the next moment. Raises Invalid for another one."""
    if at != next_moment(now):
        raise Invalid(f"{at.isoformat()} is not when something is to be done.", field="at")
    now, made = _bill_passed(now, at)
    if now.state is S.TRIALING and now.trial_end is not None and now.trial_end <= at:
        now = replace(now, state=S.ACTIVE)
    if now.resume_at is not None and now.resume_at <= at:
        resumed = resume(now, at)
        now, made = resumed.subscribed, made + resumed.lines
    if now.scheduled is not None and now.scheduled_at is not None and now.scheduled_at <= at:
        now = _swap(now, now.scheduled, at)
    if now.cancel_at is not None and now.cancel_at <= at:
        ended = end(now, at)
        return Turn(ended.subscribed, made + ended.lines)
    now, ahead = _bill_ahead(now, at)
    return Turn(now, made + ahead)


def change(
    now: Subscribed, to: Selection, *, at: datetime, behaviour: ProrationBehaviour | None = None
) -> Change:
    """Have it consist of `to`: more at once and less from the next period on, unless asked otherwise.

    Raises Invalid for another currency, and SubscriptionStateConflict.
    """
    subscription_states.require_changes(now.state)
    way = _direction(now, to)
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
        return Change(way, chosen, at, Turn(_swap(now, to, at), (), Billed.RENEWAL))
    return Change(way, chosen, at, _change_now(now, to, at, chosen))


def cancel(now: Subscribed, cancel_at: datetime) -> Subscribed:
    """Let it end at `cancel_at`. Raises SubscriptionStateConflict."""
    subscription_states.require_transition(now.state, S.CANCELED)
    return replace(now, state=S.CANCELED, cancel_at=cancel_at, scheduled=None, scheduled_at=None)


def reactivate(now: Subscribed, at: datetime) -> Subscribed:
    """Let it go on after all. Raises SubscriptionStateConflict."""
    wanted = S.TRIALING if now.trial_end is not None and at < now.trial_end else S.ACTIVE
    if now.state is not S.CANCELED:
        raise subscription_states.refused(now.state, "was not cancelled")
    return replace(now, state=wanted, cancel_at=None)


def end(now: Subscribed, at: datetime, *, credits_unused: bool = True) -> Turn:
    """End it at `at`: usage is billed to then, and what was paid for longer is credited. The unit it ends in is
    consumed. Raises SubscriptionStateConflict."""
    subscription_states.require_transition(now.state, S.ENDED)
    made: list[Made] = []
    items: list[Item] = []
    for item in now.items:
        if item.ended_at is None:
            item, closing = _close(now, item, at, Ending.TERMINATION, credits_unused=credits_unused)
            item, made = replace(item, ended_at=at), made + closing
        items.append(item)
    now = replace(
        now, state=S.ENDED, ended_at=at, items=tuple(items), scheduled=None, scheduled_at=None, resume_at=None
    )
    return Turn(now, tuple(made))


def pause(now: Subscribed, at: datetime, *, resume_at: datetime | None = None) -> Turn:
    """Give and bill nothing from `at` on; what was paid for longer is credited with the next invoice. Raises
    SubscriptionStateConflict."""
    subscription_states.require_transition(now.state, S.PAUSED)
    made: list[Made] = []
    items: list[Item] = []
    for item in now.items:
        if item.ended_at is None:
            item, closing = _close(now, item, at, Ending.CHANGE)
            item, made = replace(item, billed_until=None), made + closing
        items.append(item)
    now = replace(now, state=S.PAUSED, paused_at=at, resume_at=resume_at, items=tuple(items))
    return Turn(replace(now, scheduled=None, scheduled_at=None), tuple(made), Billed.NEXT_INVOICE)


def resume(now: Subscribed, at: datetime) -> Turn:
    """Go on at `at`: the rest of the period that is passing then is billed. Raises SubscriptionStateConflict."""
    if now.state is not S.PAUSED:
        raise subscription_states.refused(now.state, "is not paused")
    made: list[Made] = []
    items: list[Item] = []
    for item in now.items:
        if item.ended_at is None:
            item = replace(item, billed_until=at)
            if item.in_advance:
                item, opening, _ = _retake(now, item, Choice(item.price, item.quantity), at)
                made += opening
        items.append(item)
    return Turn(replace(now, state=S.ACTIVE, paused_at=None, resume_at=None, items=tuple(items)), tuple(made))


# -- billing


def _due(now: Subscribed, item: Item) -> datetime | None:
    """When the item is billed next: at the start of a period, or at the end of the one that is passing."""
    if item.billed_until is None:
        return None
    if item.in_advance or item.price.charge.length is None:
        return item.billed_until
    return now.calendar(item.price.charge.length).period_at(item.billed_until).end


def _bill_passed(now: Subscribed, at: datetime) -> tuple[Subscribed, tuple[Made, ...]]:
    """What is charged afterwards, for periods that end at `at`."""
    made: list[Made] = []
    items: list[Item] = []
    for item in now.items:
        if (
            item.ended_at is None
            and not item.in_advance
            and item.price.charge.length
            and _due(now, item) == at
        ):
            item, passed = _bill_until(now, item, at)
            made += passed
        items.append(item)
    return replace(now, items=tuple(items)), tuple(made)


def _bill_until(now: Subscribed, item: Item, at: datetime) -> tuple[Item, list[Made]]:
    """What is charged afterwards, from where it was billed to until `at`, within one period."""
    begun = item.billed_until
    if begun is None or begun >= at:
        return item, []
    span = Span(begun, at)
    if not item.price.for_time:
        item, made = _number(now, item, Source.USAGE, span=span)
    else:
        item, made = _number(now, item, Source.ITEM, line=_debit(now, item, span))
    return replace(item, billed_until=at), [made]


def _bill_ahead(now: Subscribed, at: datetime) -> tuple[Subscribed, tuple[Made, ...]]:
    """What is charged before, for periods that begin at `at`; and what is charged once."""
    if now.state not in (S.ACTIVE, S.PAST_DUE, S.CANCELED):
        return now, ()
    made: list[Made] = []
    items: list[Item] = []
    for item in now.items:
        if item.ended_at is None and item.billed_until == at:
            if item.price.charge.length is None:
                item, once = _number(now, item, Source.ONE_OFF)
                item, made = replace(item, billed_until=None, ended_at=at), [*made, once]
            elif item.in_advance:
                end_of = now.calendar(item.price.charge.length).period_at(at).end
                line = _debit(now, item, Span(at, end_of))
                item, ahead = _number(now, item, Source.ITEM, line=line)
                item, made = _live(item, ahead), [*made, ahead]
        items.append(item)
    return replace(now, items=tuple(items)), tuple(made)


def _debit(now: Subscribed, item: Item, span: Span) -> Line:
    """A price for time, of a span within one period."""
    calendar = now.calendar(item.price.charge.length)
    ruler = Ruler(item.price.charge.proration, calendar, calendar.period_at(span.start))
    return lines.debit(item.price.terms(item.quantity), ruler, span)


def _number(
    now: Subscribed, item: Item, source: Source, *, line: Line | None = None, span: Span | None = None
) -> tuple[Item, Made]:
    made = Made(f"{now.id}.{item.number}.{item.made}", source, item, line, span)
    return replace(item, made=item.made + 1), made


def _live(item: Item, made: Made) -> Item:
    """The item while what `made` debited passes. Nothing of it is known but its price until it is on a document."""
    if made.line is None:
        raise Invalid("Only what is charged for time can be credited.", field="line")
    nothing = Money(0, made.line.terms.currency)
    live = Debited(made.key, made.line, nothing, made.line.amount, nothing, nothing, nothing)
    return replace(item, billed_until=made.line.span.end, live=live, credited=())


def _close(
    now: Subscribed, item: Item, at: datetime, ending: Ending, *, credits_unused: bool = True
) -> tuple[Item, list[Made]]:
    """Stop charging an item: what has passed is billed, and what was paid for longer is credited."""
    if not item.in_advance:
        item, made = _bill_until(now, item, at)
        return replace(item, billed_until=None), made
    live = item.live
    if live is None or not credits_unused or not live.line.span.start <= at < live.line.span.end:
        return replace(item, live=None, credited=(), billed_until=None), []
    calendar = now.calendar(item.price.charge.length)
    item, made = _number(now, item, Source.ITEM, line=lines.credit(live, at, ending))
    if made.line is not None and ending is Ending.CHANGE:
        again = Credited(Undoable(made.key, made.line, calendar), live)
        item = replace(item, credited=(*item.credited, again))
    return replace(item, live=None, billed_until=None), [made]


# -- changes


def _direction(now: Subscribed, to: Selection) -> Direction:
    """Up or down by the price of a year of all that is charged for time; equal is up."""
    if now.currency != to.currency:
        raise Invalid(
            f"This subscription is billed in {now.currency}, and the new price is in {to.currency}.",
            field="currency",
            code="subscription_currency",
            next_step="End this subscription and start one in the other currency.",
        )
    before = sum(
        changes.yearly(item.price.terms(item.quantity)) for item in now.running if item.price.for_time
    )
    after = sum(
        changes.yearly(choice.price.terms(choice.quantity)) for choice in to.choices if choice.price.for_time
    )
    return Direction.UPGRADE if after >= before else Direction.DOWNGRADE


def _swap(now: Subscribed, to: Selection, at: datetime) -> Subscribed:
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
                item, some = _close(now, item, at, Ending.CHANGE)
                item = replace(item, ended_at=at)
        elif item.in_advance:
            item, some, calendar = _retake(now, item, choice, at, chosen)
            anchors.add(calendar.anchor)
        elif item.ended_at is not None:
            item = replace(item, price=choice.price, quantity=choice.quantity, billed_until=at, ended_at=None)
        elif resets or (item.price.id, item.quantity) != (choice.price.id, choice.quantity):
            item, some = _bill_until(now, item, at)
            item = replace(item, price=choice.price, quantity=choice.quantity)
        made += some
        items.append(item)
    if len(anchors) > 1:
        return None
    anchor = anchors.pop() if anchors else at if resets else now.anchor
    waits = chosen is ProrationBehaviour.NEXT_INVOICE and anchor == now.anchor and not resets
    changed = _consisting(now, to, items, list(wanted.values()), begins=at, anchor=anchor)
    changed, opened = _bill_ahead(changed, at)
    return Turn(changed, (*made, *opened), Billed.NEXT_INVOICE if waits else Billed.NOW)


def _retake(
    now: Subscribed,
    item: Item,
    choice: Choice,
    at: datetime,
    chosen: ProrationBehaviour = ProrationBehaviour.INVOICE_NOW,
) -> tuple[Item, list[Made], Calendar]:
    """Charge an item in advance by other terms from `at` on: what was paid is credited, and the rest debited."""
    calendar = now.calendar(item.price.charge.length)
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
        item, one = _number(now, item, Source.ITEM, line=line)
        made.append(one)
        match line.kind:
            case LineKind.CREDIT if was_live is not None:
                credited = Credited(Undoable(one.key, line, calendar), was_live)
                item = replace(item, live=None, credited=(*item.credited, credited))
            case LineKind.RESTORE:
                undone = back[line.source]
                left = tuple(other for other in item.credited if other != undone)
                item = replace(
                    item, live=undone.before, credited=left, billed_until=undone.before.line.span.end
                )
            case _:
                item = replace(_live(item, one), credited=item.credited)
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
