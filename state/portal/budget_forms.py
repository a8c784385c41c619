"""A budget between its form and its rules: text in, text out. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from models.budgets import BudgetAction, BudgetMeasure, BudgetPeriod
from services.budgets.budgets import USUAL_THRESHOLDS, NewBudget
from services.core.errors import Invalid

FIELDS = (
    "name", "key_id", "model", "measure", "period", "limit", "action", "requests_per_minute", "thresholds",
)  # fmt: skip
# Fields of the rules that have another name here, or none of their own.
CHOICES: dict[str, type[BudgetMeasure] | type[BudgetPeriod] | type[BudgetAction]] = {
    "measure": BudgetMeasure,
    "period": BudgetPeriod,
    "action": BudgetAction,
}
BLANK: dict[str, str] = dict.fromkeys(FIELDS, "") | {
    "measure": BudgetMeasure.COST.value,
    "period": BudgetPeriod.MONTH.value,
    "action": BudgetAction.NOTIFY.value,
    "thresholds": ", ".join(map(str, USUAL_THRESHOLDS)),
}
_NUMBER = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,20})?")
_RATE = re.compile(r"[0-9]{1,7}")
_PERCENT = re.compile(r"[0-9]{1,4}")


def budget_of(values: Mapping[str, Any]) -> NewBudget:
    """What the form says, to be checked by the rules. Raises Invalid for what has not the shape of its field."""
    text = {name: str(values.get(name) or "").strip() for name in FIELDS}
    chosen: dict[str, Any] = {name: _chosen(name, text[name]) for name in CHOICES}
    return NewBudget(
        name=text["name"],
        limit=_limit(text["limit"]),
        thresholds=_thresholds(text["thresholds"]),
        key_id=text["key_id"] or None,
        model=text["model"] or None,
        requests_per_minute=_rate(text["requests_per_minute"], chosen["action"]),
        **chosen,
    )


def _chosen(name: str, text: str) -> BudgetMeasure | BudgetPeriod | BudgetAction:
    try:
        return CHOICES[name](text)
    except ValueError:
        raise Invalid("This is none of the choices.", field=name) from None


def _limit(text: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise Invalid(f"{text[:40]!r} is no limit.", field="limit", next_step="Write it like 50 or 50.25.")
    return Decimal(text)


def _rate(text: str, action: BudgetAction) -> int | None:
    """What is typed counts only where calls are slowed down."""
    if action is not BudgetAction.THROTTLE or not text:
        return None
    if not _RATE.fullmatch(text):
        raise Invalid(
            f"{text[:20]!r} is no number of calls.",
            field="requests_per_minute",
            next_step="Write it like 60.",
        )
    return int(text)


def _thresholds(text: str) -> list[int]:
    said = [word for word in re.split(r"[\s,;%]+", text) if word]
    if wrong := [word for word in said if not _PERCENT.fullmatch(word)]:
        raise Invalid(
            f"{wrong[0][:20]!r} is no whole percentage.",
            field="thresholds",
            next_step="Write them like 80, 100.",
        )
    return [int(word) for word in said]
