"""What moving a subscription to another version of its plan comes to: the same for a preview of all, and for each as
it is moved. Nothing is read or written here.

It keeps its currency, interval, seats and add-ons. What the new version does not have ends, and what it has in
addition is taken as little as can be. Source: docs/decisions/0035-plan-migrations.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from models.plans import ChargeKind
from models.subscriptions import SubscriptionState
from services.catalog.plan_rules import Length
from services.catalog.sold_prices import SoldPrice
from services.core.errors import Conflict, MatrixError
from services.subscriptions import states as subscription_states
from services.subscriptions.changes import NetShares, yearly
from services.subscriptions.selecting import Wanted, choices_of
from services.subscriptions.subscribed import Choice, Price, Selection, Subscribed

SharesOf = Callable[[Sequence[Price]], NetShares]  # see services/subscriptions/net_prices.py


class WaitingChanges(StrEnum):
    """What becomes of a change that a subscription has scheduled."""

    KEEP = "keep"  # it stays, and the subscription is not moved
    REPLACE = "replace"  # it gives way


class Way(StrEnum):
    """How the price of a year moves."""

    RISES = "rises"
    FALLS = "falls"
    STAYS = "stays"


class ChangeWaits(Conflict):
    """A change is scheduled, and the migration was told to leave those alone."""

    code = "change_waits"
    title = "A change of the subscription waits already"


@dataclass(frozen=True, slots=True)
class Having:
    """What a subscription consists of, as far as a move cares. `waits`: a change is scheduled."""

    state: SubscriptionState
    currency: str
    length: Length
    choices: tuple[Choice, ...]
    waits: bool


@dataclass(frozen=True, slots=True)
class Target:
    """The version to move to, with its prices."""

    plan_id: str
    version_id: str
    prices: Sequence[SoldPrice]
    waiting_changes: WaitingChanges


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a move comes to, exact and in major units of a year: without taxes, where not all prices have them in them
    alike. `refused` says why it does not come to anything."""

    old: Fraction
    new: Fraction | None
    refused: MatrixError | None

    @property
    def way(self) -> Way | None:
        if self.new is None:
            return None
        return Way.STAYS if self.new == self.old else Way.RISES if self.new > self.old else Way.FALLS


def having(now: Subscribed) -> Having:
    choices = tuple(Choice(item.price, item.quantity) for item in now.running)
    return Having(now.state, now.currency, now.length, choices, now.scheduled is not None)


def outlook(of: Having, target: Target, shares: SharesOf) -> Outlook:
    """`shares` says how the customer is taxed; what it raises, this gives as `refused`."""
    try:
        to = selection(of, target)
        net = shares([one.price for one in (*of.choices, *to.choices)])
    except MatrixError as refused:
        return Outlook(yearly(of.choices, {}), None, refused)
    return Outlook(yearly(of.choices, net), yearly(to.choices, net), None)


def selection(of: Having, target: Target) -> Selection:
    """What it consists of by the new version. Raises SubscriptionStateConflict, ChangeWaits, and Invalid for a price
    that the version does not have and for seats that it does not sell."""
    if of.state is not SubscriptionState.SCHEDULED:
        subscription_states.require_changes(of.state)
    if of.waits and target.waiting_changes is WaitingChanges.KEEP:
        raise ChangeWaits(
            "A change of this subscription waits already.", next_step="Let it come, or have it replaced."
        )
    seats = {one.charge.key for one in target.prices if one.charge.kind is ChargeKind.SEAT}
    quantities = {
        one.price.charge.key: one.quantity
        for one in of.choices
        if not one.price.addon and one.price.charge.kind is ChargeKind.SEAT and one.price.charge.key in seats
    }
    wanted = Wanted(target.plan_id, of.currency, of.length.interval, of.length.count)
    chosen = choices_of(target.prices, target.version_id, wanted, of.length, quantities)
    addons = [one for one in of.choices if one.price.addon]
    return Selection(target.plan_id, target.version_id, of.currency, of.length, (*chosen, *addons))
