"""Days in a page's address, as `YYYY-MM-DD` in an organisation's zone, and the instants they begin and end at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo


def midnight(day: str, zone: ZoneInfo) -> datetime | None:
    """When `day` begins; None for what is no day."""
    try:
        return datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def midnight_after(day: str, zone: ZoneInfo) -> datetime | None:
    """When `day` is over; None for what is no day."""
    start = midnight(day, zone)
    if start is None:
        return None
    try:
        # By the calendar, not by 24 hours: the day on which clocks change is shorter or longer.
        following = start.astimezone(zone).date() + timedelta(days=1)
    except OverflowError:
        return None
    return datetime(following.year, following.month, following.day, tzinfo=zone).astimezone(UTC)
