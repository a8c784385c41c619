"""A subscription as its rules see it: prices, items, and what a moment makes of it. Pure.

Source: docs/decisions/0029-subscriptions.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from typing import Any

from models.plans import ChargeKind, ChargeTiming
from models.subscriptions import SubscriptionState
from models.types import ProrationBehaviour
from models.values import value
from services.billing.changes import Billed, Direction, Undoable
from services.billing.lines import Debited, Line, Terms
from services.billing.periods import Calendar, Span, calendar_of
from services.billing.proration import Ruler
from services.catalog import charge_json
from services.catalog.plan_rules import Length, PlannedCharge
from services.catalog.rating import rate
from services.core.errors import Invalid

ITEMS_MAX = 100  # of one subscription
TERMS_KEPT = 10_000  # prices in a quantity that were asked for lately


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
    version_id: str
    charge: PlannedCharge
    addon: bool = False
    tax_code: str = ""

    def __hash__(self) -> int:
        """As that of a SoldPrice."""
        return hash(self.id)

    @property
    def slot(self) -> str:
        """By which a change of plan finds the item that it changes."""
        return f"{self.plan_id}/{self.charge.key}" if self.addon else self.charge.key

    @property
    def in_advance(self) -> bool:
        """Whether it is charged for time, before that."""
        return self.for_time and self.charge.timing is ChargeTiming.ADVANCE

    @property
    def for_time(self) -> bool:
        """Whether it is charged for time, and not for what was used or done."""
        return self.charge.kind in (ChargeKind.FLAT, ChargeKind.SEAT)

    def terms(self, quantity: Decimal) -> Terms:
        """Raises Invalid for a price that is charged once."""
        return _terms(self, str(quantity))

    def rated(self, quantity: Decimal) -> Mapping[str, Any]:
        """What a line keeps of how `terms` came to their amount."""
        return _rated(self, str(quantity))


# Many subscriptions have the same few prices in the same quantities. By their text: 1 and 1.0 are kept as they are.
@lru_cache(maxsize=TERMS_KEPT)
def _terms(price: Price, quantity: str) -> Terms:
    charge, number = price.charge, Decimal(quantity)
    if charge.length is None:
        raise Invalid(f"'{charge.key}' is charged once and not for time.", field="price")
    return Terms(
        price.id,
        number,
        Fraction(rate(charge.charge, number).amount),
        charge.currency,
        charge.length.interval,
        charge.length.count,
        charge.tax_inclusive,
    )


@lru_cache(maxsize=TERMS_KEPT)
def _rated(price: Price, quantity: str) -> Mapping[str, Any]:
    return charge_json.facts_of(price.charge.charge, Decimal(quantity))


@dataclass(frozen=True, slots=True)
class Choice:
    """A price, and how much of it is taken: seats or pieces, 1 of what is flat, 0 of what a meter counts."""

    price: Price
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Selection:
    """All that is chosen together: what a subscription consists of from some moment on. `length` is that of its
    billing period; usage may have a shorter one. `moved_by` is the migration that staff moves it with, empty for what
    its own organisation chose."""

    plan_id: str
    version_id: str
    currency: str
    length: Length
    choices: tuple[Choice, ...]
    moved_by: str = ""


@dataclass(frozen=True, slots=True)
class Credited:
    """A credit of the last change, and the line that it credited, as it stood before: together they undo it."""

    undoable: Undoable
    before: Debited


@value
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


@value
class Made:
    """A line that a moment made. `key` names it for good; `item` is as it was when it was made.

    Of time, `line` says all. Of usage, `span` is the time whose usage is to be read, in the period of `ruler`. Of a
    one-off neither.
    """

    key: str
    source: Source
    item: Item
    line: Line | None = None
    span: Span | None = None
    ruler: Ruler | None = None


@value
class Subscribed:
    """A subscription as it stands. `scheduled` comes at `scheduled_at`. One that is incomplete ends at `pay_until`."""

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
    pay_until: datetime | None = None

    def calendar(self, length: Length | None = None) -> Calendar:
        length = length or self.length
        return calendar_of(self.anchor, self.timezone, length.interval, length.count)

    def period_end(self, at: datetime) -> datetime:
        """When what is paid for ends: the trial, or the billing period that `at` falls in."""
        if self.trial_end is not None and at < self.trial_end:
            return self.trial_end
        return self.calendar().period_at(at).end

    @property
    def running(self) -> Iterator[Item]:
        return (item for item in self.items if item.ended_at is None)


@value
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
