"""Where time comes from. Nothing else in services reads a clock.

Business time is the organisation's: wall time, or what its test clock shows. Security (sessions,
signatures, rate limits, audit) always uses wall time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


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


@dataclass(frozen=True, slots=True)
class ShownClock:
    """What a test clock shows. `target_at` is where it is being turned to; None while it is not turned."""

    now_at: datetime
    follows_wall: bool
    target_at: datetime | None


def business_now(wall: datetime, shown: datetime, *, follows_wall: bool) -> datetime:
    """Business time by a test clock that shows `shown`; a following clock that has caught up is wall time."""
    return wall if follows_wall and shown >= wall else shown
