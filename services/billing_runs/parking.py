"""What cannot be billed waits, longer each time, with the reason in words: subscriptions, and months of usage."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from services.core.errors import MatrixError

RETRY_WAITS = tuple(timedelta(minutes=minutes) for minutes in (5, 30, 120, 480, 1_440))  # the last goes on
REASON_CHARACTERS_MAX = 500


class Parkable(Protocol):
    """A row that is parked with `parked_reason`, to be tried again at `retry_at`."""

    parked_at: datetime | None
    parked_reason: str | None
    retry_at: datetime | None
    attempts: int


def park(row: Parkable, error: Exception, *, now: datetime) -> str | None:
    """Have it wait. Returns the reason if it is a new one."""
    reason = in_words(error)
    is_new = row.parked_reason != reason
    row.parked_at = row.parked_at or now
    row.parked_reason = reason
    row.retry_at = now + RETRY_WAITS[min(row.attempts, len(RETRY_WAITS) - 1)]
    row.attempts += 1
    return reason if is_new else None


def release(row: Parkable) -> None:
    """It was billed."""
    row.parked_at = row.parked_reason = row.retry_at = None
    row.attempts = 0


def in_words(error: Exception) -> str:
    """For people; what is our own fault is told to the log."""
    if isinstance(error, MatrixError) and error.status < 500:
        return f"{error.message} {error.next_step}".strip()[:REASON_CHARACTERS_MAX]
    return "Something went wrong on our side; the log of the worker says what. It is tried again."
