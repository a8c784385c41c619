"""Double entry as arithmetic: what a journal may be, which side an account grows on, and when revenue is earned.

Amounts are integer minor units of their currency: a debit is above zero, a credit below.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import lru_cache
from zoneinfo import ZoneInfo

import orjson

from models.ledger import AccountKind, JournalKind, Measure, Purpose, Step
from models.money import Money, round_half_away
from models.values import value

ENTRIES_MAX = 1_000  # of one journal
MINOR_MAX = 10**15  # of one entry: balances of thousands of those fit in 64 bits
KEY_CHARACTERS_MAX = 200
NOTE_CHARACTERS_MAX = 1_000
SLICES_MAX = 4_000  # of one deferral: ten years of days
PERIODS_KEPT = 1_000  # that revenue was deferred over lately
INSTANT = timedelta(microseconds=1)  # the smallest that the database tells apart

KIND_OF: dict[Purpose, AccountKind] = {
    Purpose.RECEIVABLE: AccountKind.ASSET,
    Purpose.CASH: AccountKind.ASSET,
    Purpose.CLEARING: AccountKind.ASSET,
    Purpose.DEFERRED_REVENUE: AccountKind.LIABILITY,
    Purpose.REVENUE: AccountKind.REVENUE,
    Purpose.TAX_OWED: AccountKind.LIABILITY,
    Purpose.CUSTOMER_CREDIT: AccountKind.LIABILITY,
    Purpose.PREPAID_WALLET: AccountKind.LIABILITY,
    Purpose.BREAKAGE: AccountKind.REVENUE,
    Purpose.FEES: AccountKind.EXPENSE,
    Purpose.WRITE_OFFS: AccountKind.EXPENSE,
    Purpose.ROUNDING: AccountKind.EXPENSE,
    Purpose.PROMOTIONS: AccountKind.EXPENSE,
    Purpose.SUSPENSE: AccountKind.LIABILITY,
}
GROWS_BY_DEBITS = frozenset({AccountKind.ASSET, AccountKind.EXPENSE})


_LEAST = {Step.MONTH: timedelta(days=28), Step.DAY: timedelta(days=1)}  # of a whole slice


class BadJournal(ValueError):
    """A journal that no ledger takes: it does not balance, moves nothing, or says more than there is room for."""


class BadDeferral(ValueError):
    """Revenue that is earned over no time, or over more of it than a deferral is made for."""


@value
class Entry:
    purpose: Purpose
    minor: int
    currency: str


@value
class Draft:
    """A journal as it is asked for. `organization_id` says whose book; None is the platform's own.

    `key` names the act and `cause_id` what it is booked for; `at` is business time, now if it is left out.
    """

    organization_id: str | None
    key: str
    kind: JournalKind
    cause_id: str
    entries: tuple[Entry, ...]
    at: datetime | None = None
    note: str = ""
    reverses: str | None = None


def debit(purpose: Purpose, money: Money) -> Entry:
    """What comes to an asset or expense, or is taken from a liability or revenue; below zero the other way round."""
    return Entry(purpose, money.minor, money.currency)


def credit(purpose: Purpose, money: Money) -> Entry:
    return Entry(purpose, -money.minor, money.currency)


def in_own_sense(kind: AccountKind, minor: int) -> int:
    """A sum of entries as the account's balance: above zero on the side that it grows on."""
    return minor if kind in GROWS_BY_DEBITS else -minor


def sound(draft: Draft) -> Draft:
    """The draft without entries of nothing. Raises BadJournal."""
    entries = tuple(entry for entry in draft.entries if entry.minor)
    if not 2 <= len(entries) <= ENTRIES_MAX:
        raise BadJournal(f"{draft.key!r} has {len(entries)} entries; a journal has 2 to {ENTRIES_MAX:,}.")
    if not 1 <= len(draft.key) <= KEY_CHARACTERS_MAX or not 1 <= len(draft.cause_id) <= KEY_CHARACTERS_MAX:
        raise BadJournal(f"A key and a cause have 1 to {KEY_CHARACTERS_MAX} characters: {draft.key[:80]!r}.")
    if len(draft.note) > NOTE_CHARACTERS_MAX:
        raise BadJournal(f"The note of {draft.key!r} has more than {NOTE_CHARACTERS_MAX:,} characters.")
    for entry in entries:
        # Which also says that there is such a currency, and that nothing is a float.
        if abs(Money(entry.minor, entry.currency).minor) > MINOR_MAX:
            raise BadJournal(f"{draft.key!r} moves more than {MINOR_MAX:,} minor units at once.")
    unbalanced = {currency: minor for currency, minor in _sums(entries).items() if minor}
    if unbalanced:
        raise BadJournal(f"{draft.key!r} does not balance: {unbalanced}.")
    return draft if len(entries) == len(draft.entries) else replace(draft, entries=entries)


def _sums(entries: tuple[Entry, ...]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for entry in entries:
        sums[entry.currency] = sums.get(entry.currency, 0) + entry.minor
    return sums


def content_hash(draft: Draft) -> bytes:
    """Of what is booked for what. Not of when: the same act tried again later is the same act."""
    entries = sorted((entry.purpose, entry.currency, entry.minor) for entry in draft.entries)
    said = [draft.kind, draft.cause_id, draft.reverses, entries]
    return hashlib.sha256(orjson.dumps(said)).digest()


@value
class Deferral:
    """Revenue of one line, earned over [starts_at, ends_at). `money` below zero takes revenue back.

    `measure` says what earns it, `step` where it is cut, both by the calendar of `zone`.
    """

    line_id: str
    money: Money
    starts_at: datetime
    ends_at: datetime
    measure: Measure = Measure.SECOND
    step: Step = Step.MONTH
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Slice:
    """What is earned in [starts_at, ends_at), a whole day or month or the part of one. `money` may be nothing."""

    number: int  # from 0
    starts_at: datetime
    ends_at: datetime
    money: Money

    @property
    def booked_at(self) -> datetime:
        """The last instant of the slice: a month's revenue counts in that month, not in the next."""
        return self.ends_at - INSTANT


def schedule(deferral: Deferral) -> tuple[Slice, ...]:
    """Slices in order that add up to the whole. Raises BadDeferral.

    What is earned by a moment is rounded once, half away from zero, and a slice is the difference of two such sums:
    so no slice runs against the others, and the last takes what is left.
    """
    _require_sound(deferral)
    cuts = _cuts(deferral.starts_at, deferral.ends_at, deferral.step, deferral.zone)
    edges = [deferral.starts_at, *cuts, deferral.ends_at]
    earned = [round_half_away(deferral.money.minor * _share(deferral, edge)) for edge in edges[:-1]] + [
        deferral.money.minor
    ]
    return tuple(
        Slice(
            number,
            edges[number],
            edges[number + 1],
            Money(earned[number + 1] - earned[number], deferral.money.currency),
        )
        for number in range(len(edges) - 1)
    )


def first_slice_end(deferral: Deferral) -> datetime:
    """When the first slice of the schedule is over. Raises BadDeferral."""
    _require_sound(deferral)
    return _first_slice_end(deferral.starts_at, deferral.ends_at, deferral.step, deferral.zone)


@lru_cache(maxsize=PERIODS_KEPT)
def _first_slice_end(starts_at: datetime, ends_at: datetime, step: Step, zone: str) -> datetime:
    """Every line of a subscription asks for the same one."""
    return next(_cuts(starts_at, ends_at, step, zone), ends_at)


def _require_sound(deferral: Deferral) -> None:
    lasts = deferral.ends_at - deferral.starts_at
    if lasts <= timedelta(0):
        raise BadDeferral(f"{deferral.line_id!r} ends before it begins.")
    if lasts > _LEAST[deferral.step] * (SLICES_MAX - 1):
        raise BadDeferral(f"{deferral.line_id!r} would have more than {SLICES_MAX:,} slices.")


def _share(deferral: Deferral, until: datetime) -> Fraction:
    """How much of the whole is earned by `until`, the start or a cut: 0 up to, but not, 1."""
    if deferral.measure is Measure.SECOND:
        whole = deferral.ends_at - deferral.starts_at
        return Fraction((until - deferral.starts_at) // INSTANT, whole // INSTANT)
    zone = ZoneInfo(deferral.zone)
    first = deferral.starts_at.astimezone(zone).date()
    last = (deferral.ends_at - INSTANT).astimezone(zone).date()
    return Fraction((until.astimezone(zone).date() - first).days, (last - first).days + 1)


def _cuts(starts_at: datetime, ends_at: datetime, step: Step, zone: str) -> Iterator[datetime]:
    """The midnights between which slices lie, strictly within the period."""
    place = ZoneInfo(zone)
    day = starts_at.astimezone(place).date()
    while True:
        day = _first_of_next_month(day) if step is Step.MONTH else day + timedelta(days=1)
        cut = datetime(day.year, day.month, day.day, tzinfo=place).astimezone(UTC)
        if cut >= ends_at:
            return
        yield cut


def _first_of_next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def recognition(organization_id: str, deferral: Deferral, piece: Slice) -> Draft:
    """The journal that earns one slice."""
    return Draft(
        organization_id,
        key=recognition_key(deferral.line_id, piece.number),
        kind=JournalKind.RECOGNITION,
        cause_id=deferral.line_id,
        entries=(debit(Purpose.DEFERRED_REVENUE, piece.money), credit(Purpose.REVENUE, piece.money)),
        at=piece.booked_at,
    )


def recognition_key(line_id: str, number: int) -> str:
    return f"recognize:{line_id}:{number}"


def reversal_key(journal_id: str) -> str:
    return f"reverse:{journal_id}"
