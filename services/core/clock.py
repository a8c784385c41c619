"""Where time comes from. Nothing else in services reads a clock.

Business time is the organisation's: wall time, or what its test clock shows. Security (sessions,
signatures, rate limits, audit) always uses wall time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from models.clock import TestClock


class Clock(Protocol):
    def now(self) -> datetime:
        """An aware UTC instant."""
        ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass(slots=True)
class FixedClock:
    """Stands still until it is moved."""

    at: datetime

    def now(self) -> datetime:
        return self.at


def business_now(wall: datetime, test_clock: TestClock | None) -> datetime:
    """Business time of an organisation whose test clock, if any, is `test_clock`."""
    if test_clock is None:
        return wall
    if test_clock.follows_wall and test_clock.now_at >= wall:
        return wall
    return test_clock.now_at
