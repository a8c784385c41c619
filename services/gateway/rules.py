"""Arithmetic of limits and retries: pure, in seconds and units, without a clock of its own.

A limit is `per_minute` units. A process holds a share of it and lets calls through by GCRA: one number, the
moment at which everything taken so far will have flowed off (`full_at`), is the whole state. The burst is one
minute's share, so that any window of w seconds lets through at most share * (1 + w / 60).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

WINDOW_S = 60.0
DIVIDED_AGAIN_S = 5.0  # who holds no share asks again after this long
IDLE_WEIGHT = 0.05  # of the limit: what a process weighs in a division even while it asks for nothing

BYTES_PER_TOKEN = 4  # of English text and most tokenisers; only for reservations, never for bills
BYTES_PER_TOKEN_MAX = 12  # no text worth sending packs more: below this many tokens a prompt never counts
TOKENS_PER_MESSAGE = 4  # role and separators of a chat template
CIRCUIT_FAILURES = 5
CIRCUIT_OPEN_S = 1.0
CIRCUIT_OPEN_S_MAX = 30.0


class Verdict(NamedTuple):
    """Whether `cost` units may pass now. `reset_s`: until the share is whole again. `retry_after_s`: until the
    same question is answered yes, infinite when it never will be."""

    allowed: bool
    remaining: int
    reset_s: float
    retry_after_s: float


def judge(full_at: float, now: float, *, cost: float, share: int, limit: int) -> Verdict:
    """Answer for a share of `share` units a minute out of `limit`.

    A cost above the share, but not above the limit, passes when the share is untouched: other processes hold
    the rest, and the debt it leaves keeps the mean rate within the share.
    """
    if share <= 0:
        return Verdict(False, 0, WINDOW_S, DIVIDED_AGAIN_S if cost <= limit else math.inf)
    backlog_s = max(0.0, full_at - now)
    remaining = max(0, math.floor(share * (1.0 - backlog_s / WINDOW_S) + 1e-6))
    needed_s = cost * WINDOW_S / share
    room_s = WINDOW_S - min(needed_s, WINDOW_S)
    if cost > limit:
        return Verdict(False, remaining, backlog_s, math.inf)
    if backlog_s <= room_s + 1e-9:
        return Verdict(True, remaining, backlog_s, 0.0)
    return Verdict(False, remaining, backlog_s, backlog_s - room_s)


def take(full_at: float, now: float, *, cost: float, share: int) -> float:
    """The new `full_at` after `cost` units passed. A negative cost gives back what was reserved and not used."""
    if share <= 0:
        return full_at
    return max(now, max(full_at, now) + cost * WINDOW_S / share)


def rescale(full_at: float, now: float, *, share_before: int, share: int) -> float:
    """The same units outstanding, measured by another share."""
    if share_before <= 0 or share <= 0:
        return full_at
    return now + max(0.0, full_at - now) * share_before / share


@dataclass(frozen=True, slots=True)
class Claim:
    """What one process asked for in the last minute, and holds until its lease ends."""

    demand: int
    share: int


def divide(limit: int, demand: int, others: Sequence[Claim]) -> int:
    """The share of `limit` that a process with `demand` may hold beside `others`.

    By demand, rounded up so that a small limit can be used at all, and never more than the others leave:
    they give back when they renew, so the shares held at any moment never add up to more than the limit.
    """
    free = limit - sum(other.share for other in others)
    idle = limit * IDLE_WEIGHT
    own = max(float(demand), idle)
    everybody = own + sum(max(float(other.demand), idle) for other in others)
    fair = math.ceil(limit * own / everybody) if everybody > 0 else limit
    return max(0, min(fair, free))


def prompt_estimate(text_bytes: int, messages: int = 0) -> int:
    """Tokens to reserve for a prompt before anybody has counted them."""
    return -(-text_bytes // BYTES_PER_TOKEN) + messages * TOKENS_PER_MESSAGE


def surely_above(context_tokens: int, text_bytes: int) -> bool:
    """Whether a prompt cannot fit, however well its text packs into tokens."""
    return text_bytes > context_tokens * BYTES_PER_TOKEN_MAX


def circuit_open_s(failures: int) -> float:
    """How long an upstream is left alone after this many failures in a row; 0 while it may be called."""
    if failures < CIRCUIT_FAILURES:
        return 0.0
    return min(CIRCUIT_OPEN_S * 2.0 ** min(failures - CIRCUIT_FAILURES, 16), CIRCUIT_OPEN_S_MAX)


def retry_delay_s(attempt: int, *, base_s: float, most_s: float) -> float:
    """Wait before attempt number `attempt` (the first retry is 1), doubling up to `most_s`."""
    return min(base_s * 2.0 ** min(attempt - 1, 30), most_s)
