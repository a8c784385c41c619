"""Steps of campaigns: which there may be, and when each is due. Pure.

Days are counted from a base date in the timezone of the document: its due date, or later for what was overdue already
when its campaign began, so that whoever comes into a campaign late is not cancelled at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from models.dunning import StepAction
from services.billing.periods import day_begins
from services.core.errors import Invalid

STEPS_MAX = 20
AFTER_DAYS_MAX = 365
FIRST_HOUR = 8  # of the day on which a step is due: nobody is reminded at midnight
_LAST = (StepAction.CANCEL, StepAction.WRITE_OFF)


@dataclass(frozen=True, slots=True)
class Step:
    after_days: int
    action: StepAction

    def to_json(self) -> dict[str, Any]:
        return {"after_days": self.after_days, "action": self.action.value}


def steps_from(kept: Sequence[dict[str, Any]]) -> tuple[Step, ...]:
    """As they are kept."""
    return tuple(Step(int(one["after_days"]), StepAction(one["action"])) for one in kept)


def require_steps(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Raises Invalid for none or too many, for days that go back, and for what nothing can follow."""
    if not 1 <= len(steps) <= STEPS_MAX:
        raise Invalid(f"A campaign has 1 to {STEPS_MAX} steps.", field="steps")
    before = 1
    for number, step in enumerate(steps):
        if not before <= step.after_days <= AFTER_DAYS_MAX:
            raise Invalid(
                f"Step {number + 1} comes {step.after_days} days after the due date: it must be {before} to"
                f" {AFTER_DAYS_MAX}.",
                field=f"steps.{number}.after_days",
                next_step="Put the steps in the order in which they come.",
            )
        before = step.after_days
        if step.action is StepAction.WRITE_OFF and number != len(steps) - 1:
            raise Invalid("Nothing comes after an invoice is written off.", field=f"steps.{number}.action")
    for action in (StepAction.RESTRICT, StepAction.SUSPEND, *_LAST):
        if sum(step.action is action for step in steps) > 1:
            raise Invalid(f"A campaign does {action.value.replace('_', ' ')} once.", field="steps")
    return tuple(steps)


def base_date(due: date, today: date, steps: Sequence[Step]) -> date:
    """What days are counted from: the first step is not due before `today`."""
    return max(due, today - timedelta(days=steps[0].after_days))


def step_at(base: date, step: Step, timezone: str) -> datetime:
    return day_begins(base + timedelta(days=step.after_days), timezone, hour=FIRST_HOUR)
