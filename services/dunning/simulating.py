"""What a campaign would have done about failures that there were. Pure.

It assumes that a retry works as often as retries after that kind of decline did before, and a reminder by mail as often
as MAIL_WORKS says; that nothing else the customer did would have changed; and that whoever pays does so once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from models.dunning import StepAction
from services.collection import retry_rules
from services.collection.learned_hours import Habits
from services.collection.retry_rules import Tried
from services.dunning.rules import Step
from services.payments.providers.values import Advice, DeclineKind

MAIL_WORKS = Decimal("0.05")


@dataclass(frozen=True, slots=True)
class Failure:
    """An invoice whose first payment failed. `open_days` is how long it stayed unpaid, None while it does."""

    currency: str
    minor: int
    at: datetime
    code: str
    hard: bool
    open_days: int | None
    kind: DeclineKind | None = None
    advice: Advice | None = None


@dataclass(slots=True)
class Sum:
    """Of one currency, in minor units. `came` is what really came; `expected` what would have, by the assumption."""

    failed: int = 0
    came: int = 0
    expected: int = 0


@dataclass(slots=True)
class Simulated:
    invoices: int = 0
    retries: int = 0
    mails: int = 0
    restricted: int = 0
    suspended: int = 0
    cancelled: int = 0
    written_off: int = 0
    sums: dict[str, Sum] = field(default_factory=dict[str, Sum])


_COUNTED = {
    StepAction.MAIL: "mails",
    StepAction.RESTRICT: "restricted",
    StepAction.SUSPEND: "suspended",
    StepAction.CANCEL: "cancelled",
    StepAction.WRITE_OFF: "written_off",
}


def simulate(
    failures: Iterable[Failure], steps: Sequence[Step], retry_days: Sequence[int], habits: Habits
) -> Simulated:
    """Steps and retries count as long as the invoice was open; what is expected is at least what really came."""
    made = Simulated()
    for one in failures:
        made.invoices += 1
        tried = Tried(None, one.at, one.code, one.hard, kind=one.kind, advice=one.advice)
        days = retry_days if retry_rules.helps_to_wait(tried) else ()
        retries = [day for day in days if _is_open(one, day)]
        done = [step for step in steps if _is_open(one, step.after_days)]
        made.retries += len(retries)
        for step in done:
            if (counted := _COUNTED.get(step.action)) is not None:
                setattr(made, counted, getattr(made, counted) + 1)
        stays = Decimal(1)
        for _ in retries:
            stays *= 1 - habits.rate(retry_rules.kind_of(tried), one.at) if habits.kinds else Decimal("0.9")
        for step in done:
            stays *= 1 - MAIL_WORKS if step.action is StepAction.MAIL else 1
        total = made.sums.setdefault(one.currency, Sum())
        total.failed += one.minor
        if one.open_days is not None:
            total.came += one.minor
            total.expected += one.minor
        else:
            total.expected += int((one.minor * (1 - stays)).to_integral_value(ROUND_HALF_UP))
    return made


def _is_open(one: Failure, day: int) -> bool:
    return one.open_days is None or day <= one.open_days
