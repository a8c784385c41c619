"""What staff may arrange with a customer for one subscription as it starts. What is left out is as it is sold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from models.subscriptions import Collection


@dataclass(frozen=True, slots=True)
class Arrangement:
    """It begins in the past or later (`started_at`), with another trial than the plan's; its periods are counted from
    `anchor` and not from where billing begins; it is of a `plan_version` that is sold no more; its invoices are sent,
    to be paid within `payment_days`."""

    started_at: datetime | None = None
    trial_days: int | None = None
    anchor: datetime | None = None
    plan_version: int | None = None
    collection: Collection | None = None
    payment_days: int | None = None


AS_SOLD = Arrangement()
