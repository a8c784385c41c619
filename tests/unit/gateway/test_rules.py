"""Limits as arithmetic: what can never happen, whatever the order and the size of calls."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from services.gateway import rules
from services.gateway.rules import Claim

shares = st.integers(1, 100_000)
moments = st.floats(0, 10_000, allow_nan=False)
arrivals = st.lists(st.tuples(st.floats(0, 30), st.integers(1, 50)), min_size=1, max_size=60)


def passes(arrivals: list[tuple[float, int]], share: int) -> list[tuple[float, int]]:
    """The calls (moment, cost) that a fresh share lets through, of calls (seconds since the last, cost)."""
    full_at, now, passed = 0.0, 1_000.0, []
    for pause, cost in arrivals:
        now += pause
        if rules.judge(full_at, now, cost=cost, share=share, limit=share).allowed:
            full_at = rules.take(full_at, now, cost=cost, share=share)
            passed.append((now, cost))
    return passed


@given(arrivals=arrivals, share=st.integers(50, 2_000))
def test_no_window_lets_through_more_than_its_time_and_one_burst(
    arrivals: list[tuple[float, int]], share: int
) -> None:
    passed = passes(arrivals, share)
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            window_s = passed[last][0] - passed[first][0]
            units = sum(cost for _, cost in passed[first : last + 1])
            assert units <= share * (1 + window_s / rules.WINDOW_S) + 1e-3


@given(full_at=moments, now=moments, cost=st.integers(1, 5_000), share=shares)
def test_who_waits_as_long_as_told_is_let_through_and_not_before(
    full_at: float, now: float, cost: int, share: int
) -> None:
    assume(cost <= share)
    verdict = rules.judge(full_at, now, cost=cost, share=share, limit=share)
    wait_s = verdict.retry_after_s
    assert rules.judge(full_at, now + wait_s + 1e-6, cost=cost, share=share, limit=share).allowed
    if wait_s > 1e-3:
        assert not rules.judge(full_at, now + wait_s / 2, cost=cost, share=share, limit=share).allowed


@given(full_at=moments, now=moments, reserved=st.integers(0, 5_000), used=st.integers(0, 5_000), share=shares)
def test_a_settled_reservation_costs_what_was_used(
    full_at: float, now: float, reserved: int, used: int, share: int
) -> None:
    after = rules.take(full_at, now, cost=reserved, share=share)
    settled = rules.take(after, now, cost=used - reserved, share=share)
    straight = rules.take(full_at, now, cost=used, share=share)
    assert settled == pytest.approx(straight, abs=1e-6)


@given(full_at=moments, now=moments, before=shares, after=shares)
def test_another_share_keeps_the_units_outstanding(
    full_at: float, now: float, before: int, after: int
) -> None:
    rescaled = rules.rescale(full_at, now, share_before=before, share=after)
    assert max(0.0, rescaled - now) * after == pytest.approx(
        max(0.0, full_at - now) * before, rel=1e-6, abs=1e-3
    )


@given(full_at=moments, now=moments, cost=st.integers(1, 10_000), share=st.integers(0, 1_000), limit=shares)
@example(full_at=0.0, now=0.0, cost=1, share=0, limit=1)
def test_a_verdict_is_never_absurd(full_at: float, now: float, cost: int, share: int, limit: int) -> None:
    verdict = rules.judge(full_at, now, cost=cost, share=share, limit=limit)
    assert 0 <= verdict.remaining <= share
    assert verdict.reset_s >= 0
    assert verdict.allowed == (verdict.retry_after_s == 0.0)
    assert math.isinf(verdict.retry_after_s) == (cost > limit)


def test_a_cost_above_the_share_passes_once_the_share_is_untouched() -> None:
    assert rules.judge(0.0, 100.0, cost=80, share=50, limit=100).allowed
    debt = rules.take(0.0, 100.0, cost=80, share=50)
    assert debt == pytest.approx(196.0)  # the mean stays within the share: 80 units take 96 seconds
    assert not rules.judge(debt, 150.0, cost=80, share=50, limit=100).allowed


processes = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 1_000)), max_size=8)


@given(limit=st.integers(1, 1_000), demand=st.integers(0, 10_000), others=processes)
def test_shares_held_never_add_up_to_more_than_the_limit(
    limit: int, demand: int, others: list[tuple[int, int]]
) -> None:
    claims = [Claim(*other) for other in others]
    held = sum(claim.share for claim in claims)
    assume(held <= limit)
    assert 0 <= rules.divide(limit, demand, claims) <= limit - held


@given(limit=st.integers(10, 100_000), demands=st.lists(st.integers(0, 10_000), min_size=1, max_size=6))
def test_renewing_in_turns_ends_at_shares_by_demand(limit: int, demands: list[int]) -> None:
    held = [0] * len(demands)
    for turn in range(4 * len(demands)):
        own = turn % len(demands)
        others = [Claim(demands[n], held[n]) for n in range(len(demands)) if n != own]
        held[own] = rules.divide(limit, demands[own], others)
        assert sum(held) <= limit
    assert sum(held) >= limit - len(demands)  # nothing to speak of lies idle
    ranked = sorted(zip(demands, held, strict=True))
    assert all(more[1] >= less[1] - len(demands) for less, more in pairwise(ranked))


def test_alone_a_process_holds_the_whole_limit() -> None:
    assert rules.divide(1, 0, []) == 1
    assert rules.divide(60, 5, []) == 60


@pytest.mark.parametrize(
    ("failures", "open_s"), [(0, 0.0), (4, 0.0), (5, 1.0), (6, 2.0), (9, 16.0), (10, 30.0), (10_000, 30.0)]
)
def test_an_upstream_is_left_alone_longer_the_more_it_fails(failures: int, open_s: float) -> None:
    assert rules.circuit_open_s(failures) == open_s


@given(text=st.text(max_size=500))
def test_no_prompt_is_refused_unsent_that_could_fit(text: str) -> None:
    size = len(text.encode())
    # A token is at least one byte of text, so a prompt of n bytes that is refused has more than n / 12 tokens
    # in any tokeniser we know; one at the bound is let through for the upstream to count.
    assert rules.surely_above(size // rules.BYTES_PER_TOKEN_MAX, size) == (
        size % rules.BYTES_PER_TOKEN_MAX > 0
    )
