"""The states of a subscription and what may become of each. Pure."""

from __future__ import annotations

from models.subscriptions import SubscriptionState
from services.core.errors import Conflict

S = SubscriptionState
TRANSITIONS: dict[SubscriptionState, frozenset[SubscriptionState]] = {
    S.SCHEDULED: frozenset({S.TRIALING, S.ACTIVE, S.ENDED}),
    S.INCOMPLETE: frozenset({S.TRIALING, S.ACTIVE, S.ENDED}),
    S.TRIALING: frozenset({S.ACTIVE, S.CANCELED, S.ENDED}),  # paused, if nobody can be billed as it ends
    S.ACTIVE: frozenset({S.PAST_DUE, S.PAUSED, S.CANCELED, S.ENDED}),
    S.PAST_DUE: frozenset({S.ACTIVE, S.PAUSED, S.CANCELED, S.ENDED}),
    S.PAUSED: frozenset({S.ACTIVE, S.ENDED}),
    S.CANCELED: frozenset({S.TRIALING, S.ACTIVE, S.ENDED}),  # taken up again, or over
    S.ENDED: frozenset(),
}
GIVES = frozenset({S.TRIALING, S.ACTIVE, S.PAST_DUE, S.CANCELED})  # what the plan gives can be used
CHANGES = frozenset({S.TRIALING, S.ACTIVE, S.PAST_DUE})  # plan, quantity, add-ons and coupons may change
UNBEGUN = frozenset({S.SCHEDULED, S.INCOMPLETE})  # nothing was given yet, so ending it bills nothing
_WAY_OUT = {
    S.SCHEDULED: "Wait until it begins, or cancel it and start another.",
    S.INCOMPLETE: "Pay its first invoice.",
    S.TRIALING: "Wait for its trial to end, or cancel it.",
    S.ACTIVE: "It goes on as it is.",
    S.PAST_DUE: "Pay what is overdue.",
    S.PAUSED: "Resume it first.",
    S.CANCELED: "Take it up again first.",
    S.ENDED: "Start a new one.",
}


class SubscriptionStateConflict(Conflict):
    """What was asked for does not fit the state that the subscription is in."""

    code = "subscription_state"
    title = "The subscription is not in a state for this"


def require_transition(now: SubscriptionState, wanted: SubscriptionState) -> None:
    """Raises SubscriptionStateConflict for what the table does not have; also for a state that is there already."""
    if wanted not in TRANSITIONS[now]:
        raise refused(now, f"cannot become {wanted}")


def require_changes(now: SubscriptionState) -> None:
    """Raises SubscriptionStateConflict for one whose terms do not change any more, or not now."""
    if now not in CHANGES:
        raise refused(now, "does not change")


def refused(now: SubscriptionState, what: str) -> SubscriptionStateConflict:
    return SubscriptionStateConflict(
        f"This subscription is {now.replace('_', ' ')} and {what}.",
        next_step=_WAY_OUT[now],
        state=now.value,
    )
