"""Moments that people ask for: when something begins, when it counts, and for how long a preview holds.

Whole seconds, so that what people see is what is computed with.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from services.billing.periods import in_utc
from services.core.errors import Invalid
from services.core.work import UnitOfWork

PREVIEW_HOLDS = timedelta(minutes=15)  # how long a moment that was shown may be agreed to
BACKDATED_MAX = timedelta(days=3 * 366)
AHEAD_MAX = timedelta(days=2 * 366)


def start(uow: UnitOfWork, asked: datetime | None) -> datetime:
    """Now, or when it is asked to begin. Raises Invalid."""
    at = in_utc(asked, "started_at").replace(microsecond=0) if asked else uow.now.replace(microsecond=0)
    if not uow.now - BACKDATED_MAX <= at <= uow.now + AHEAD_MAX:
        raise Invalid(
            f"A subscription begins within the last {BACKDATED_MAX.days // 366} years, or the next"
            f" {AHEAD_MAX.days // 366}.",
            field="started_at",
        )
    return at


def agreed(uow: UnitOfWork, asked: datetime | None) -> datetime:
    """Now, or the moment that was shown a while ago. Raises Invalid."""
    at = in_utc(asked, "at") if asked else uow.now.replace(microsecond=0)
    if not uow.now - PREVIEW_HOLDS <= at <= uow.now:
        raise Invalid(
            "What was shown is not valid any more.",
            field="at",
            code="preview_expired",
            next_step="Look at the preview again.",
        )
    return at


def near(asked: datetime, at: datetime, field: str) -> datetime:
    """One within AHEAD_MAX of `at`. Raises Invalid."""
    moment = in_utc(asked, field).replace(microsecond=0)
    if not at - AHEAD_MAX <= moment <= at + AHEAD_MAX:
        raise Invalid(f"Choose a time within {AHEAD_MAX.days // 366} years.", field=field)
    return moment
