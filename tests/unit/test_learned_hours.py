"""When retries work is learned from what worked. The history here is synthetic: a seed makes it."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from services.collection.learned_hours import (
    HELD_OUT_MIN,
    SYNTHETIC,
    Habits,
    Judged,
    Retry,
    judge,
    learn,
    score,
)
from services.payments.providers.values import DeclineKind

MONDAY = datetime(2026, 3, 9, tzinfo=UTC)
FUNDS, LATER = DeclineKind.FUNDS, DeclineKind.TRY_LATER


def synthetic_history(seed: int, retries: int) -> list[Retry]:
    """Wages come on Friday morning: who lacked funds pays then. Banks that were away are back at any hour."""
    chance = random.Random(seed)
    made: list[Retry] = []
    for number in range(retries):
        at = MONDAY + timedelta(hours=chance.randrange(26 * 7 * 24))
        kind = FUNDS if number % 2 else LATER
        wages = kind is FUNDS and at.weekday() == 4 and 6 <= at.hour < 12
        made.append(Retry(kind, at, chance.random() < (0.6 if wages else 0.2)))
    return sorted(made, key=lambda one: one.at)


def test_of_synthetic_history_it_learns_friday_mornings_and_beats_a_fixed_hour_on_what_it_never_saw() -> None:
    history = synthetic_history(seed=6, retries=40_000)
    learned_from, held_out = history[:30_000], history[30_000:]

    habits = learn(learned_from)
    thursday = MONDAY + timedelta(days=3, hours=15)
    best = habits.best(FUNDS, thursday)
    told = score(habits, held_out)

    assert (best.weekday(), 6 <= best.hour < 12) == (4, True)
    assert 0 < told.agreeing < told.retries == 10_000
    # Synthetic, as docs/dunning.md tells it.
    assert (told.fixed_percent, told.learned_percent) == (Decimal("20.0"), Decimal("23.9"))
    assert told == SYNTHETIC
    judged = judge(history)
    assert (judged.score, judged.is_synthetic, judged.known) == (told, False, 40_000)


def test_too_little_history_says_nothing_and_the_synthetic_score_is_called_so() -> None:
    few = synthetic_history(seed=6, retries=4 * HELD_OUT_MIN - 4)
    assert judge(few) == Judged(SYNTHETIC, is_synthetic=True, known=len(few))


def test_without_history_nothing_is_moved_and_a_few_lucky_retries_move_nothing() -> None:
    at = MONDAY + timedelta(hours=15, minutes=30)
    assert Habits().best(FUNDS, at) == at
    lucky = learn([Retry(FUNDS, MONDAY + timedelta(hours=20), succeeded=True)])
    assert lucky.best(FUNDS, at) == at
    assert Habits().rate(FUNDS, at) == Decimal("0.5")
