"""What a subscription does at each moment of its life. Pure: it goes from one state to the next, and says which lines
that makes.

At one moment the order is: what has passed is billed, a trial ends, a pause ends, a cancellation ends it, a scheduled
change comes, and what is to come is billed. Each moment is acted on by itself, so that however time is turned
the documents are the same. Source: docs/decisions/0029-subscriptions.md.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from models.subscriptions import SubscriptionState
from services.billing.changes import Billed
from services.billing.proration import Ending
from services.core.errors import Invalid
from services.subscriptions import states as subscription_states
from services.subscriptions.changes import retake, swap
from services.subscriptions.charges import bill_ahead, bill_passed, close, due
from services.subscriptions.subscribed import ITEMS_MAX, Choice, Item, Made, Selection, Subscribed, Turn

S = SubscriptionState


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


def begins_later(now: Subscribed) -> Subscribed:
    """The same, waiting for the moment at which it begins."""
    return replace(now, state=S.SCHEDULED)


def next_moment(now: Subscribed) -> datetime | None:
    """When something is to be done next; None if nothing ever will without being asked for."""
    if now.state is S.ENDED:
        return None
    if now.state is S.SCHEDULED:
        return now.started_at
    if now.state is S.INCOMPLETE:
        return now.pay_until
    moments = [now.scheduled_at, now.cancel_at, now.resume_at]
    if now.state is S.TRIALING:
        moments.append(now.trial_end)
    moments += [due(now, item) for item in now.running]
    return min((moment for moment in moments if moment is not None), default=None)


def turn(now: Subscribed, at: datetime, *, addressed: bool = True) -> Turn:
    """What happens at `at`, the next moment. What nobody can be billed for, since it is not `addressed` to anybody, is
    paused as its trial ends. Raises Invalid for another moment."""
    if at != next_moment(now):
        raise Invalid(f"{at.isoformat()} is not when something is to be done.", field="at")
    if now.state is S.INCOMPLETE:
        return give_up(now, at)
    if now.state is S.SCHEDULED:
        is_tried = now.trial_end is not None and at < now.trial_end
        now = replace(now, state=S.TRIALING if is_tried else S.ACTIVE)
    now, made = bill_passed(now, at)
    trial_is_over = now.state is S.TRIALING and now.trial_end is not None and now.trial_end <= at
    if trial_is_over:
        now = replace(now, state=S.ACTIVE)
    if now.resume_at is not None and now.resume_at <= at:
        resumed = resume(now, at)
        now, made = resumed.subscribed, made + resumed.lines
    if now.cancel_at is not None and now.cancel_at <= at:
        ended = end(now, at)
        return Turn(ended.subscribed, made + ended.lines)
    if now.scheduled is not None and now.scheduled_at is not None and now.scheduled_at <= at:
        now = swap(now, now.scheduled, at)
    if trial_is_over and not addressed:
        return pause(now, at)
    now, ahead = bill_ahead(now, at)
    return Turn(now, made + ahead)


def cancel(now: Subscribed, cancel_at: datetime) -> Subscribed:
    """Let it end at `cancel_at`. A change that waits stays as it was agreed: it comes if its time is before that, and
    comes after all if the subscription goes on. Raises SubscriptionStateConflict."""
    subscription_states.require_transition(now.state, S.CANCELED)
    return replace(now, state=S.CANCELED, cancel_at=cancel_at)


def lapses(before: Subscribed, after: Subscribed) -> bool:
    """Whether a change that waited before an act will not come as things stand after it."""
    waited, waits = before.scheduled, after.scheduled
    if waited is None:
        return False
    if waits is None:
        return not (waited.moved_by and after.state is S.PAUSED)  # what staff moves came as it was paused
    if (
        after.cancel_at is not None
        and after.scheduled_at is not None
        and after.cancel_at <= after.scheduled_at
    ):
        return True
    return waits != waited and not waits.moved_by


def reactivate(now: Subscribed, at: datetime) -> Subscribed:
    """Let it go on after all. Raises SubscriptionStateConflict."""
    wanted = S.TRIALING if now.trial_end is not None and at < now.trial_end else S.ACTIVE
    if now.state is not S.CANCELED:
        what = "cannot go on" if now.state is S.ENDED else "was not cancelled"
        raise subscription_states.refused(now.state, what)
    return replace(now, state=wanted, cancel_at=None)


def give_up(now: Subscribed, at: datetime) -> Turn:
    """End one that has not begun, or whose first invoice was not paid: nothing was given, so nothing is billed. Raises
    SubscriptionStateConflict."""
    ended = end(now, at, credits_unused=False)
    return Turn(ended.subscribed)


def end(now: Subscribed, at: datetime, *, credits_unused: bool = True) -> Turn:
    """End it at `at`: usage is billed to then, and what was paid for longer is credited. The unit it ends in is
    consumed. Raises SubscriptionStateConflict."""
    subscription_states.require_transition(now.state, S.ENDED)
    made: list[Made] = []
    items: list[Item] = []
    for item in now.items:
        if item.ended_at is None:
            item, closing = close(now, item, at, Ending.TERMINATION, credits_unused=credits_unused)
            item, made = replace(item, ended_at=at), made + closing
        items.append(item)
    now = replace(
        now, state=S.ENDED, ended_at=at, items=tuple(items), scheduled=None, scheduled_at=None, resume_at=None
    )
    return Turn(now, tuple(made))


def pause(now: Subscribed, at: datetime, *, resume_at: datetime | None = None) -> Turn:
    """Give and bill nothing from `at` on; what was paid for longer is credited with the next invoice. A move by staff
    that waits comes at once: nothing is billed by the old terms any more. Raises SubscriptionStateConflict."""
    subscription_states.require_transition(now.state, S.PAUSED)
    made: list[Made] = []
    items: list[Item] = []
    for item in now.items:
        if item.ended_at is None:
            item, closing = close(now, item, at, Ending.CHANGE)
            item, made = replace(item, billed_until=None), made + closing
        items.append(item)
    now = replace(now, state=S.PAUSED, paused_at=at, resume_at=resume_at, items=tuple(items))
    if now.scheduled is not None and now.scheduled.moved_by:
        now = swap(now, now.scheduled, at)
        idle = (item if item.ended_at else replace(item, billed_until=None) for item in now.items)
        now = replace(now, items=tuple(idle))
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
            if item.price.in_advance:
                item, opening, _ = retake(now, item, Choice(item.price, item.quantity), at)
                made += opening
        items.append(item)
    return Turn(replace(now, state=S.ACTIVE, paused_at=None, resume_at=None, items=tuple(items)), tuple(made))
