"""What a change of an item does: when it counts, what is credited and debited, and when that is billed. Pure.

Nothing is carried out here: the answer is a list of lines and a calendar, which a preview shows and a verb
books, so that both are the same. Source: docs/decisions/0021-billing-periods.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fractions import Fraction

from models.types import ProrationBehaviour, ProrationPolicy
from services.billing.lines import Debited, Line, Terms, credit, debit, restore
from services.billing.periods import DAYS, MONTHS, Calendar, Span, in_utc
from services.billing.proration import Ending, Ruler
from services.core.errors import Invalid

YEAR_DAYS = 365  # when a price by days or weeks is compared with one by months

_IMMEDIATE = frozenset(
    {ProrationBehaviour.INVOICE_NOW, ProrationBehaviour.NEXT_INVOICE, ProrationBehaviour.RESET_CYCLE}
)


class Direction(StrEnum):
    UPGRADE = "upgrade"
    DOWNGRADE = "downgrade"


class Billed(StrEnum):
    """Where the lines of a change go."""

    NOW = "now"  # an invoice of their own, at once
    NEXT_INVOICE = "next_invoice"  # they wait for the one that is due anyway
    RENEWAL = "renewal"  # there are none: the next period to be billed has the new terms


@dataclass(frozen=True, slots=True)
class Undoable:
    """A credit that ended the item's terms, and the calendar the item had until then."""

    credit_id: str
    line: Line
    calendar: Calendar


@dataclass(frozen=True, slots=True)
class Item:
    """An item of a subscription as it stands. `policy` measures what is debited from now on.

    `live` is the last line that was debited for it, also one that waits for the next invoice; None while
    nothing was. `undoable` are the credits of earlier changes or of a termination that were not taken back;
    only those of the moment of the change matter. Before `trial_end` nothing is billed.
    """

    terms: Terms
    calendar: Calendar
    policy: ProrationPolicy
    live: Debited | None = None
    undoable: Sequence[Undoable] = ()
    trial_end: datetime | None = None


@dataclass(frozen=True, slots=True)
class ChangePlan:
    """What a change comes to. `lines` are in the order credit, debit. `calendar` is the item's from
    `effective_at` on, and `resets_cycle` says that its periods start elsewhere than before."""

    direction: Direction
    behaviour: ProrationBehaviour
    effective_at: datetime
    lines: tuple[Line, ...]
    billed: Billed
    calendar: Calendar
    resets_cycle: bool


def yearly(terms: Terms) -> Fraction:
    """The price of `terms` over a year, in major units, exact: 12 months, or YEAR_DAYS days."""
    months = MONTHS.get(terms.interval)
    if months is not None:
        return terms.period_amount * Fraction(12, months * terms.count)
    return terms.period_amount * Fraction(YEAR_DAYS, DAYS[terms.interval] * terms.count)


def direction(old: Terms, new: Terms) -> Direction:
    """Up or down by the price of a year; equal is up. Raises Invalid for two currencies."""
    if old.currency != new.currency:
        raise Invalid(
            f"This subscription is billed in {old.currency}, and the new price is in {new.currency}.",
            field="currency",
            next_step="End this subscription and start one in the other currency.",
        )
    return Direction.UPGRADE if yearly(new) >= yearly(old) else Direction.DOWNGRADE


def usual_behaviour(way: Direction) -> ProrationBehaviour:
    """What happens unless asked otherwise: more at once, less when the period that was paid for ends."""
    return ProrationBehaviour.INVOICE_NOW if way is Direction.UPGRADE else ProrationBehaviour.NEXT_PERIOD


def plan_change(
    item: Item, to: Terms, *, at: datetime, behaviour: ProrationBehaviour | None = None
) -> ChangePlan:
    """What changing `item` to other terms (plan, quantity, or both) at `at` comes to.

    - `invoice_now`, `next_invoice`: credit of what is unused, debit of the rest of the period at the new terms.
    - `next_period`: the new terms begin when the period ends. Nothing is credited or debited.
    - `reset_cycle`: credit of what is unused, debit of a whole new period that begins at `at`.
    - `none`: the new terms count at once and are billed from the next period on.

    A change of interval resets the cycle, and a new period is billed at once whatever the behaviour; under
    `none` without a credit. A change back to what was credited at the same moment (by the policy's unit: under
    `day` on the same day) takes the credit back, so that both cost and grant nothing. In a trial nothing is
    billed and no cycle is reset.

    Raises Invalid for a change of currency, and for a moment before the last one that was billed or after what
    was billed: bill the period first.
    """
    at = in_utc(at, "at")
    way = direction(item.terms, to)
    chosen = behaviour or usual_behaviour(way)
    if chosen is ProrationBehaviour.NEXT_PERIOD:
        return _at_period_end(item, to, at=at, way=way)
    if _trial_after(item, at):
        calendar = _recounted(item.calendar, to, item.calendar.anchor)
        return ChangePlan(way, chosen, at, (), Billed.RENEWAL, calendar, resets_cycle=False)
    if item.live is not None and not item.live.line.span.contains(at):
        raise Invalid(
            f"{at.isoformat()} is outside the time that was billed last.",
            field="at",
            next_step="Bill the period first, or choose a moment after the last change.",
        )
    if chosen in _IMMEDIATE and (undone := _undone(item, to, at)):
        return _back(item, undone, at=at, way=way, chosen=chosen)
    if chosen is ProrationBehaviour.RESET_CYCLE or not _same_length(item.calendar, to):
        return _from_a_new_cycle(item, to, at=at, way=way, chosen=chosen)
    return _within_the_period(item, to, at=at, way=way, chosen=chosen)


def termination_credit(live: Debited, at: datetime) -> Line:
    """The credit for what is unused when an item ends at `at`; the unit it ends in is consumed.

    Raises Invalid for `at` outside the time the line paid for.
    """
    return credit(live, at, Ending.TERMINATION)


def _at_period_end(item: Item, to: Terms, *, at: datetime, way: Direction) -> ChangePlan:
    trial_end = _trial_after(item, at)
    end = trial_end or item.calendar.period_at(at).end
    resets = trial_end is None and not _same_length(item.calendar, to)
    calendar = _recounted(item.calendar, to, end if resets else item.calendar.anchor)
    return ChangePlan(
        way, ProrationBehaviour.NEXT_PERIOD, end, (), Billed.RENEWAL, calendar, resets_cycle=resets
    )


def _back(
    item: Item, undone: Undoable, *, at: datetime, way: Direction, chosen: ProrationBehaviour
) -> ChangePlan:
    lines = (*_credit_of(item, at), restore(undone.credit_id, undone.line))
    resets = undone.calendar != item.calendar
    return ChangePlan(way, chosen, at, lines, _billed(chosen, resets), undone.calendar, resets_cycle=resets)


def _from_a_new_cycle(
    item: Item, to: Terms, *, at: datetime, way: Direction, chosen: ProrationBehaviour
) -> ChangePlan:
    calendar = _recounted(item.calendar, to, at)
    first = calendar.period(0)
    credits_ = () if chosen is ProrationBehaviour.NONE else _credit_of(item, at)
    lines = (*credits_, debit(to, Ruler(item.policy, calendar, first), Span(first.start, first.end)))
    return ChangePlan(way, chosen, at, lines, Billed.NOW, calendar, resets_cycle=True)


def _within_the_period(
    item: Item, to: Terms, *, at: datetime, way: Direction, chosen: ProrationBehaviour
) -> ChangePlan:
    calendar = _recounted(item.calendar, to, item.calendar.anchor)
    nothing_to_bill = item.live is not None and item.live.line.terms == to
    if chosen is ProrationBehaviour.NONE or nothing_to_bill:
        return ChangePlan(way, chosen, at, (), Billed.RENEWAL, calendar, resets_cycle=False)
    period = calendar.period_at(at)
    rest = debit(to, Ruler(item.policy, calendar, period), Span(at, period.end))
    lines = (*_credit_of(item, at), rest)
    return ChangePlan(way, chosen, at, lines, _billed(chosen, resets=False), calendar, resets_cycle=False)


def _credit_of(item: Item, at: datetime) -> tuple[Line, ...]:
    return () if item.live is None else (credit(item.live, at, Ending.CHANGE),)


def _undone(item: Item, to: Terms, at: datetime) -> Undoable | None:
    """The credit that a change at the same moment made for the very terms that are wanted back."""
    for earlier in item.undoable:
        line = earlier.line
        if line.terms != to or not line.span.start <= at <= line.ruler.period.end:
            continue
        if line.ruler.before(at) == line.ruler.before(line.span.start):
            return earlier
    return None


def _trial_after(item: Item, at: datetime) -> datetime | None:
    """When the trial ends that `at` falls in, if any."""
    return item.trial_end if item.trial_end is not None and at < item.trial_end else None


def _same_length(calendar: Calendar, to: Terms) -> bool:
    return _recounted(calendar, to, calendar.anchor).same_length == calendar.same_length


def _recounted(calendar: Calendar, to: Terms, anchor: datetime) -> Calendar:
    return Calendar(anchor, calendar.timezone, to.interval, to.count)


def _billed(chosen: ProrationBehaviour, resets: bool) -> Billed:
    waits = chosen is ProrationBehaviour.NEXT_INVOICE and not resets
    return Billed.NEXT_INVOICE if waits else Billed.NOW
