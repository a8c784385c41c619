"""Codes of authenticator apps: when they are taken, and that none is taken twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.identity import totp
from services.identity.authenticators import looks_like_recovery_code

# RFC 6238, appendix B, by the last six digits.
RFC_SEED = b"12345678901234567890"
RFC_CODES = {59: "287082", 1111111109: "081804", 1234567890: "005924", 2000000000: "279037"}

NOW = datetime(2026, 5, 4, 9, 0, 15, tzinfo=UTC)
STEP = int(NOW.timestamp()) // totp.STEP_S


@pytest.mark.parametrize(("second", "code"), RFC_CODES.items())
def test_codes_are_those_of_the_standard(second: int, code: str) -> None:
    at = datetime.fromtimestamp(second, UTC)
    assert totp.code_at(RFC_SEED, at) == code
    assert totp.matching_step(RFC_SEED, code, now=at, after=-1) == second // totp.STEP_S


@given(seed=st.binary(min_size=20, max_size=20), late_s=st.integers(-3_600, 3_600))
def test_a_code_counts_one_step_before_and_after_its_own(seed: bytes, late_s: int) -> None:
    code, now = totp.code_at(seed, NOW), NOW + timedelta(seconds=late_s)
    steps_off = abs(int(now.timestamp()) // totp.STEP_S - STEP)
    found = totp.matching_step(seed, code, now=now, after=-1)
    if steps_off <= totp.DRIFT_STEPS:
        assert found == STEP
    else:
        assert found is None or totp.code_at(seed, datetime.fromtimestamp(found * totp.STEP_S, UTC)) == code


@given(
    seed=st.binary(min_size=20, max_size=20), seconds=st.lists(st.integers(0, 300), min_size=1, max_size=20)
)
def test_whatever_is_typed_when_no_code_is_taken_twice_or_backwards(seed: bytes, seconds: list[int]) -> None:
    last, taken = -1, []
    for second in seconds:  # the clock jumps, too
        now = NOW + timedelta(seconds=second)
        found = totp.matching_step(seed, totp.code_at(seed, now), now=now, after=last)
        if found is not None:
            taken.append(found)
            last = found
    assert taken == sorted(set(taken))


@pytest.mark.parametrize(
    "typed", ["", "12345", "1234567", "abcdef", "12345\u00b2", "x" * 100, "0" * 100, "\ud800" * 6]
)
def test_what_is_no_code_is_never_right(typed: str) -> None:
    assert totp.matching_step(RFC_SEED, typed, now=NOW, after=-1) is None


def test_codes_may_be_typed_in_groups_and_in_other_digits() -> None:
    code = totp.code_at(RFC_SEED, NOW)
    arabic = "".join(chr(0x0660 + int(digit)) for digit in code)
    for typed in (f" {code[:3]} {code[3:]} ", arabic):
        assert totp.matching_step(RFC_SEED, typed, now=NOW, after=-1) == STEP


def test_recovery_codes_are_told_from_codes_of_the_app() -> None:
    assert looks_like_recovery_code("ABCD-efgh 2345")
    assert not looks_like_recovery_code("123 456")
