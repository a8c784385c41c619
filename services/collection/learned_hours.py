"""In which hour of which weekday a retry worked best, for each kind of decline: counted, and smoothed. Pure.

Rates are Decimal. With little history every hour is much like the kind's average, so little is moved.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from services.payments.providers.values import DeclineKind

PRIOR_RETRIES = 50  # of the kind's average that every hour is given, so that a few retries do not decide
HOURS_AHEAD_MAX = 24  # a retry waits no longer than that for a better hour
GAIN_MIN = Decimal("0.02")  # a better hour is one that works so much more often
HELD_OUT_MIN = 500  # retries, before a score says something; and of those AGREEING_MIN in hours of the model
AGREEING_MIN = 100


@dataclass(frozen=True, slots=True)
class Retry:
    """A retry after a decline of `kind`, at `at` (aware, in the timezone that hours are counted in)."""

    kind: DeclineKind
    at: datetime
    succeeded: bool


@dataclass(slots=True)
class _Count:
    tried: int = 0
    succeeded: int = 0


Slot = tuple[DeclineKind, int, int]  # kind, weekday from Monday = 0, hour


@dataclass(frozen=True, slots=True)
class Habits:
    """What was counted."""

    slots: Mapping[Slot, _Count] = field(default_factory=dict[Slot, _Count])
    kinds: Mapping[DeclineKind, _Count] = field(default_factory=dict[DeclineKind, _Count])

    def rate(self, kind: DeclineKind, at: datetime) -> Decimal:
        """How often a retry at such a time works."""
        usual = self.kinds.get(kind, _Count())
        average = Decimal(usual.succeeded + 1) / (usual.tried + 2)
        slot = self.slots.get((kind, at.weekday(), at.hour), _Count())
        return (slot.succeeded + average * PRIOR_RETRIES) / (slot.tried + PRIOR_RETRIES)

    def best(self, kind: DeclineKind, at: datetime) -> datetime:
        """`at`, or the beginning of a later hour that is clearly better; the earliest of those that are equal."""
        whole = at.replace(minute=0, second=0, microsecond=0)
        later = [whole + timedelta(hours=hours) for hours in range(1, HOURS_AHEAD_MAX)]
        best = max(later, key=lambda one: self.rate(kind, one))
        return best if self.rate(kind, best) - self.rate(kind, at) >= GAIN_MIN else at


def learn(retries: Iterable[Retry]) -> Habits:
    slots: dict[Slot, _Count] = {}
    kinds: dict[DeclineKind, _Count] = {}
    for one in retries:
        for count in (
            slots.setdefault((one.kind, one.at.weekday(), one.at.hour), _Count()),
            kinds.setdefault(one.kind, _Count()),
        ):
            count.tried += 1
            count.succeeded += one.succeeded
    return Habits(slots, kinds)


@dataclass(frozen=True, slots=True)
class Score:
    """Of history that was not learned from: how many of a hundred retries worked, in all, and of those that were made
    in an hour that the model would not have moved."""

    fixed_percent: Decimal
    learned_percent: Decimal
    retries: int
    agreeing: int


def score(habits: Habits, held_out: Sequence[Retry]) -> Score:
    """The fixed schedule is all of it; the model's is what happened to be tried when the model would have."""
    stays: dict[Slot, bool] = {}
    for one in held_out:  # whether it moves says the hour alone
        slot = (one.kind, one.at.weekday(), one.at.hour)
        if slot not in stays:
            stays[slot] = habits.best(one.kind, one.at) == one.at
    agreeing = [one for one in held_out if stays[one.kind, one.at.weekday(), one.at.hour]]
    return Score(_percent(held_out), _percent(agreeing), len(held_out), len(agreeing))


# Of history that a seed made, as tests/unit/test_learned_hours.py makes it again.
SYNTHETIC = Score(Decimal("20.0"), Decimal("23.9"), retries=10_000, agreeing=1_118)


@dataclass(frozen=True, slots=True)
class Judged:
    """What learned hours are worth. `is_synthetic` until there are retries enough to tell; `known` are there now."""

    score: Score
    is_synthetic: bool
    known: int


def judge(retries: Iterable[Retry]) -> Judged:
    """Learned from the older three quarters, and held against the newest quarter, which nothing was learned from."""
    history = sorted(retries, key=lambda one: one.at)
    cut = len(history) - len(history) // 4
    held_out = history[cut:]
    if len(held_out) < HELD_OUT_MIN:
        return Judged(SYNTHETIC, is_synthetic=True, known=len(history))
    found = score(learn(history[:cut]), held_out)
    if found.agreeing < AGREEING_MIN:
        return Judged(SYNTHETIC, is_synthetic=True, known=len(history))
    return Judged(found, is_synthetic=False, known=len(history))


def _percent(retries: Sequence[Retry]) -> Decimal:
    if not retries:
        return Decimal(0)
    worked = sum(one.succeeded for one in retries)
    return (Decimal(100 * worked) / len(retries)).quantize(Decimal("0.1"))
