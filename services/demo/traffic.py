"""Ninety days of calls, made up but the same each time: pure, seeded by organisation and day.

A day's calls depend on the story and on how many days ago it was, never on the hour at which the demo is
made; that hour only decides which of today's calls have happened already.
"""

from __future__ import annotations

import calendar
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from typeid import TypeID

from services.demo.stories import Episode, Habit, Story, Traffic
from services.gateway.calls import Call
from services.gateway.refusals import STATUS_AND_TYPE, Code

SEED = "matrix-demo-1"
CONTEXT_TOKENS = 2_048
EMBEDDING_TOKENS_MAX = 512
MONTH_END_DAYS = 3
SESSION_GAP_S = 9.0
OVERHEAD_MS = 38.0
MS_PER_PROMPT_TOKEN = 0.55
MS_PER_COMPLETION_TOKEN = 9.4

_CARELESS = (Code.RATE_LIMIT, Code.RATE_LIMIT, Code.UPSTREAM_REJECTED)
_AWAY = (Code.UPSTREAM_AWAY, Code.UPSTREAM_AWAY, Code.UPSTREAM_AWAY, Code.UPSTREAM_TIMEOUT)
_HANGUP_SHARE = 0.008  # of streams: the reader closed the page


@dataclass(frozen=True, slots=True)
class KeySpan:
    """A key that answers to `name` from `start` on, until the next of that name."""

    name: str
    key_id: str
    start: datetime


@dataclass(frozen=True, slots=True)
class Place:
    """Where the calls of one organisation are booked."""

    organization_id: str
    models: dict[str, str]  # slug that answers each endpoint
    upstream_id: str
    keys: tuple[KeySpan, ...]  # by start

    def key_at(self, name: str, moment: datetime) -> str | None:
        """The id of the key called `name` at `moment`; None before there was one."""
        found = [span.key_id for span in self.keys if span.name == name and span.start <= moment]
        return found[-1] if found else None


def calls_of(story: Story, place: Place, *, until: datetime, days: range) -> list[Call]:
    """The story's calls on local days `days` (counted back from the day of `until`), oldest first."""
    traffic = story.traffic
    if traffic is None:
        return []
    zone = ZoneInfo(story.timezone)
    today = until.astimezone(zone).date()
    made = (
        call
        for days_ago in days
        for call in _day(story.domain, traffic, place, zone, today - timedelta(days=days_ago), days_ago)
    )
    return sorted((call for call in made if call.started_at < until), key=lambda call: call.started_at)


def _day(
    seed: str, traffic: Traffic, place: Place, zone: ZoneInfo, day: date, days_ago: int
) -> Iterator[Call]:
    dice = random.Random(f"{SEED}:{seed}:{days_ago}")
    expected = _expected(traffic, day, days_ago)
    sessions = max(0, round(dice.gauss(expected, math.sqrt(expected)) / traffic.session_calls))
    for _ in range(sessions):
        hour = dice.choices(range(24), traffic.hours)[0]
        # Clocks that jump: an hour that does not exist is read as the one after it.
        moment = datetime.combine(day, time(hour), zone).astimezone(UTC)
        moment += timedelta(seconds=dice.uniform(0, 3_600))
        habit = dice.choices(traffic.habits, [habit.share for habit in traffic.habits])[0]
        address = f"{traffic.network}.{dice.randint(2, 40)}"
        for _ in range(1 + _geometric(dice, traffic.session_calls)):
            key_id = place.key_at(habit.key, moment)
            if key_id is not None:
                call = _call(dice, habit, place, key_id, moment, address)
                failing = _failing(traffic.episodes, days_ago, moment.astimezone(zone).hour)
                _settle(dice, traffic, call, failing)
                yield call
            moment += timedelta(seconds=dice.expovariate(1 / SESSION_GAP_S))


def _expected(traffic: Traffic, day: date, days_ago: int) -> float:
    """How many calls the day should see, give or take chance."""
    calls = traffic.calls_per_day / (1 + traffic.weekly_growth) ** (days_ago / 7)
    if day.weekday() >= 5:
        calls *= traffic.weekend
    if day.day > calendar.monthrange(day.year, day.month)[1] - MONTH_END_DAYS:
        calls *= traffic.month_end
    for episode in traffic.episodes:
        if episode.covers(days_ago):
            calls *= episode.factor
    return calls


def _failing(episodes: tuple[Episode, ...], days_ago: int, hour: int) -> float:
    return max(
        (e.failing for e in episodes if e.covers(days_ago) and e.hours[0] <= hour < e.hours[1]), default=0.0
    )


def _geometric(dice: random.Random, mean: float) -> int:
    """A count from 0 up whose mean is `mean` - 1."""
    return int(math.log(1.0 - dice.random()) / math.log(1.0 - 1.0 / mean)) if mean > 1 else 0


def _call(
    dice: random.Random, habit: Habit, place: Place, key_id: str, moment: datetime, address: str
) -> Call:
    embeds = habit.endpoint == "embeddings"
    prompt = _tokens(dice, habit.prompt_tokens, habit.spread, EMBEDDING_TOKENS_MAX if embeds else 1_500)
    answer = 0 if embeds else _tokens(dice, habit.completion_tokens, habit.spread, CONTEXT_TOKENS - prompt)
    return Call(
        id=_request_id(dice, moment),
        organization_id=place.organization_id,
        key_id=key_id,
        account_id="",
        endpoint=habit.endpoint,
        started_at=moment,
        address=address,
        trace_id=f"{dice.getrandbits(128):032x}",
        model=place.models[habit.endpoint],
        upstream_id=place.upstream_id,
        streamed=habit.streamed,
        prompt_estimate=prompt,
        prompt_tokens=prompt,
        completion_tokens=answer,
        attempts=1,
    )


def _settle(dice: random.Random, traffic: Traffic, call: Call, failing: float) -> None:
    """How the call ended, and how long that took."""
    jitter = dice.lognormvariate(0, 0.22)
    first_token = (OVERHEAD_MS + MS_PER_PROMPT_TOKEN * call.prompt_tokens) * jitter
    call.status = 200
    chance = dice.random()
    if chance < failing:
        _refuse(call, dice.choice(_AWAY), latency_ms=5_000 * jitter)
        call.attempts = 3
    elif chance < failing + traffic.careless:
        code = dice.choice(_CARELESS)
        _refuse(call, code, latency_ms=4 * jitter)
        call.attempts = 1 if code is Code.UPSTREAM_REJECTED else 0
    elif call.streamed and chance > 1 - _HANGUP_SHARE:
        sent = dice.randint(1, call.completion_tokens)
        call.broke_off(Code.CLIENT_GONE, sent=sent, prompt=call.prompt_tokens)
    if call.completion_tokens or call.status == 200:
        call.latency_ms = round(first_token + MS_PER_COMPLETION_TOKEN * call.completion_tokens * jitter)
        call.first_token_ms = round(first_token) if call.streamed else None


def _refuse(call: Call, code: Code, *, latency_ms: float) -> None:
    call.status, call.error_code = STATUS_AND_TYPE[code][0], code.value
    call.prompt_tokens = call.completion_tokens = 0
    call.latency_ms = 30_000 if code is Code.UPSTREAM_TIMEOUT else round(latency_ms)


def _tokens(dice: random.Random, median: int, spread: float, most: int) -> int:
    return max(1, min(most, round(median * dice.lognormvariate(0, spread))))


def _request_id(dice: random.Random, moment: datetime) -> str:
    """An identifier as the gateway would have given at `moment`, but from the dice."""
    milliseconds = int(moment.timestamp() * 1_000)
    version_7 = milliseconds << 80 | 7 << 76 | dice.getrandbits(12) << 64 | 2 << 62 | dice.getrandbits(62)
    return str(cast(Any, TypeID).from_uuid(UUID(int=version_7), prefix="req"))
