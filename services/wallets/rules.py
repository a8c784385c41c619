"""What a wallet does as arithmetic: which lots a debit burns, what expires, how usage becomes whole minor units, and
when a top-up is due.

Money is integer minor units of the wallet's currency, costs of usage are exact decimals of its major unit. Nothing
here is rounded: what usage costs beyond whole minor units is carried on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_DOWN, Decimal
from zoneinfo import ZoneInfo

from models.money import EXACT, EXACT_PLACES

LOT_MINOR_MAX = 10**12 - 1  # of one lot: a thousand lots fit into one entry of the ledger
LOTS_MAX = 1_000  # of one wallet with something left
PRIORITY_MAX = 100
USUAL_PRIORITY = 50
INCLUDED_PRIORITY = 5  # what a plan includes ends with its period: it is burnt before all else
GIVEN_PRIORITY = 10  # what was given away is burnt before what was paid
IDLE_PART = 16  # of what is free, one process is given this part for calls to come
_NOTHING = Decimal(0)
_STEP = Decimal(1).scaleb(-EXACT_PLACES)


class NotEnough(ValueError):
    """More was asked of lots than is left of them."""


@dataclass(frozen=True, slots=True)
class Lot:
    id: str
    priority: int
    expires_at: datetime | None
    created_at: datetime
    left: int
    usage_only: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """`minor` units, above zero, of one lot."""

    lot_id: str
    minor: int


def in_burn_order(lots: Sequence[Lot]) -> list[Lot]:
    """By priority, then what expires first (never is last), then what is older, then by id."""
    return sorted(
        lots,
        key=lambda lot: (
            lot.priority,
            lot.expires_at is None,
            lot.expires_at or lot.created_at,
            lot.created_at,
            lot.id,
        ),
    )


def is_live(lot: Lot, now: datetime) -> bool:
    """The instant at which a lot expires does not belong to it any more."""
    return lot.expires_at is None or now < lot.expires_at


def burn(lots: Sequence[Lot], minor: int) -> tuple[Part, ...]:
    """What a debit of `minor` takes of which lot. Raises NotEnough; then nothing may be taken."""
    if minor < 0:
        raise ValueError(f"A debit is not negative, and {minor} is.")
    parts: list[Part] = []
    wanted = minor
    for lot in in_burn_order(lots):
        taken = min(lot.left, wanted)
        if taken > 0:
            parts.append(Part(lot.id, taken))
            wanted -= taken
    if wanted:
        raise NotEnough(f"{minor} minor units were asked for, and {minor - wanted} are left.")
    return tuple(parts)


def latest_first(lots: Sequence[Lot], most: int, now: datetime) -> tuple[Part, ...]:
    """Up to `most` minor units of lots that have not ended, of the latest ones first."""
    parts: list[Part] = []
    for lot in sorted(lots, key=lambda lot: (lot.created_at, lot.id), reverse=True):
        taken = min(lot.left, most)
        if taken > 0 and is_live(lot, now):
            parts.append(Part(lot.id, taken))
            most -= taken
    return tuple(parts)


def expired(lots: Sequence[Lot], now: datetime, *, promised: int) -> tuple[Part, ...]:
    """What is lost of lots whose time has come.

    `promised` minor units are kept, in the order in which they will be burnt: usage that has begun, and is not debited
    yet, may still take them.
    """
    parts: list[Part] = []
    kept = promised
    for lot in in_burn_order(lots):
        stays = min(lot.left, kept)
        kept -= stays
        if not is_live(lot, now) and lot.left > stays:
            parts.append(Part(lot.id, lot.left - stays))
    return tuple(parts)


def whole_minor_up(amount: Decimal, minor_per_major: int) -> int:
    """Minor units that hold `amount`, a part of one counted as one."""
    scaled = EXACT.multiply(amount, Decimal(minor_per_major))
    whole = int(scaled)
    return whole + (scaled > whole)


@dataclass(frozen=True, slots=True)
class Taken:
    """What becomes of a cost: `minor` whole units are debited now, `accrued` is carried on, and for `uncovered` there
    is nothing left."""

    minor: int
    accrued: Decimal
    uncovered: Decimal


def take_usage(cost: Decimal, *, accrued: Decimal, held: Decimal, left: int, minor_per_major: int) -> Taken:
    """Of a cost, not negative, of a wallet where `left` minor units are and `held` is promised to other calls."""
    spendable = _major(left, minor_per_major) - accrued - held
    covered = min(cost, max(spendable, _NOTHING))
    reached = accrued + covered
    minor = int(EXACT.multiply(reached, Decimal(minor_per_major)))
    return Taken(minor, reached - _major(minor, minor_per_major), cost - covered)


def share_to_hold(free: Decimal, *, need: Decimal, more: Decimal) -> Decimal:
    """What one process is given of `free`: what it needs, and of the `more` that it would like at most a small part of
    the rest, so that others find something. Near the end nothing but the need; nothing, when not even that is there."""
    if need > free:
        return _NOTHING
    extra = EXACT.divide(free - need, Decimal(IDLE_PART)).quantize(_STEP, rounding=ROUND_DOWN, context=EXACT)
    extra = min(more, extra)
    return need + extra if extra >= need else need


def spendable(lots: Sequence[Lot], now: datetime, *, promised: Decimal, minor_per_major: int) -> Decimal:
    """What may be promised next, in major units; `promised` is accrued or held already."""
    live = sum(lot.left for lot in lots if is_live(lot, now))
    return max(_major(live, minor_per_major) - promised, _NOTHING)


def payable(lots: Sequence[Lot], now: datetime, *, promised: Decimal, minor_per_major: int) -> int:
    """Whole minor units that are promised to nobody."""
    return int(
        EXACT.multiply(
            spendable(lots, now, promised=promised, minor_per_major=minor_per_major), Decimal(minor_per_major)
        )
    )


def for_invoices(lots: Sequence[Lot]) -> list[Lot]:
    """Those that invoices may be paid with."""
    return [lot for lot in lots if not lot.usage_only]


def _major(minor: int, minor_per_major: int) -> Decimal:
    return EXACT.divide(Decimal(minor), Decimal(minor_per_major))


@dataclass(frozen=True, slots=True)
class TopUpRule:
    """Below `threshold` minor units `refill` are to come in, at most `ceiling` in a calendar month."""

    threshold: int
    refill: int
    ceiling: int


def top_up_due(rule: TopUpRule, *, left: int, this_month: int) -> bool:
    """Whether to ask for a refill, with `this_month` minor units asked for in this month so far."""
    return left < rule.threshold and this_month + rule.refill <= rule.ceiling


def month_of(now: datetime, timezone: str) -> date:
    """The first day of the month that it is in a timezone."""
    return now.astimezone(ZoneInfo(timezone)).date().replace(day=1)
