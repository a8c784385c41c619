"""What a trial gives free: of which meters, and from when to when. Pure.

A plan that meters something in its trial takes that from the price list and asks nothing for it. What is used before a
trial comes to such a plan, or after it has left it, stays with the list (services/billing/usage_billing.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from services.subscriptions.subscribed import Subscribed


def tried(before: Sequence[dict[str, Any]], now: Subscribed, at: datetime) -> list[dict[str, Any]]:
    """As Subscription.tried has it, once the subscription stands as it does `now`, from `at` on."""
    metered: set[str] = set()
    if now.trial_end is not None and at < now.trial_end:
        metered = {one.price.charge.meter for one in now.running if one.price.charge.meter is not None}
    kept = [
        one if one["until"] is not None or one["meter"] in metered else {**one, "until": at.isoformat()}
        for one in before
    ]
    known = {one["meter"] for one in kept if one["until"] is None}
    new = [{"meter": one, "since": at.isoformat(), "until": None} for one in sorted(metered - known)]
    return [*kept, *new]
