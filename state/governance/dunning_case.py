"""One overdue invoice in a campaign, with what each step brought in."""

from __future__ import annotations

from typing import Any

import reflex as rx

from models.money import Money
from services.core.permissions import Capability
from services.dunning import queries
from services.dunning.queries import StepRow
from state.base import PageState, page_event
from state.format import decimal_text, instant_text
from state.governance.dunning import case_shown


class DunningCaseState(PageState, rx.State):
    """A case and its steps, also those to come, and when it had calls refused."""

    case: dict[str, Any] = {}
    steps: list[dict[str, Any]] = []
    blocks: list[dict[str, Any]] = []

    @page_event(Capability.STAFF_PAYMENTS_READ, reads=True)
    async def load(self) -> None:
        self.case, self.steps, self.blocks = {}, [], []
        case_id = self._address_id
        async with self._staff_work() as uow:
            found = await queries.case(uow, case_id)
            steps = await queries.steps_of(uow, found.id)
            blocks = await queries.blocks_of(uow, found.id)
        self.steps = [_step_shown(step, found.currency) for step in steps]
        self.blocks = [
            {
                "id": one.started_at.isoformat(),
                "started_at": instant_text(one.started_at),
                "ended_at": instant_text(one.ended_at),
            }
            for one in blocks
        ]
        self.case = case_shown(found)


def _step_shown(step: StepRow, currency: str) -> dict[str, Any]:
    return {
        "id": str(step.position),
        "number": step.position + 1,
        "after_days": step.after_days,
        "action": step.action,
        "done_at": instant_text(step.done_at),
        "currency": currency,
        "recovered": decimal_text(Money(step.recovered_minor, currency).amount),
    }
