"""Budgets: how much may be used or spent in a day or a month, and what happens then."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import Request, Response
from pydantic import AwareDatetime, BeforeValidator, Field

from matrix_app.api.deps import Member
from matrix_app.api.v1.etag import IfMatch, showing_current
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.repeat import RepeatOnce
from matrix_app.api.v1.route import failures
from matrix_app.api.v1.shape import Body, Exact, Shown, resource
from models.budgets import BudgetAction, BudgetMeasure, BudgetPeriod
from services.budgets import budgets, queries, rules
from services.core.work import UnitOfWork, unit_of_work

router = resource("budgets", prefix="/budgets")

Limit = Annotated[
    Exact,
    Field(description="In tokens, or in major units of the organisation's currency", examples=["50.00"]),
]
Thresholds = Annotated[
    list[int],
    BeforeValidator(lambda said: _percents(said)),
    Field(max_length=rules.THRESHOLDS_MAX, description="Percent of the limit at which people are told"),
]


def _percents(said: Any) -> Any:
    """Also as people type them into a form: 80, 100."""
    return [one for one in re.split(r"[\s,;%]+", said) if one] if isinstance(said, str) else said


class BudgetShown(Shown):
    """What calls use in the running day or month of the organisation's timezone."""

    id: str
    name: str
    key_id: str | None = Field(description="Of this key; of all if null")
    key_name: str
    model: str | None = Field(description="Of this model; of all if null")
    measure: BudgetMeasure
    period: BudgetPeriod
    limit_amount: Limit
    currency: str
    action: BudgetAction = Field(
        description="`stop` refuses calls that may go beyond the limit; `throttle` lets some a minute pass after it"
    )
    requests_per_minute: int | None = Field(description="What `throttle` leaves once the limit is used up")
    state: str = Field(description="open, used_up, throttled, archived")
    thresholds: list[int]
    spent: Exact
    used_percent: int
    period_start: AwareDatetime
    created_at: AwareDatetime
    version: int


class NewBudget(Body):
    name: str
    measure: BudgetMeasure
    period: BudgetPeriod
    limit: Limit
    action: BudgetAction = BudgetAction.NOTIFY
    thresholds: Thresholds = Field(default_factory=lambda: list(budgets.USUAL_THRESHOLDS))
    key_id: str | None = None
    model: str | None = None
    requests_per_minute: int | None = Field(None, description="With `throttle`, which needs it")


class BudgetChange(Body):
    """What is left out stays. What is counted never changes: make another budget for that."""

    name: str | None = None
    limit: Limit | None = None
    action: BudgetAction | None = None
    thresholds: Thresholds | None = None
    requests_per_minute: Annotated[int | None, BeforeValidator(lambda said: said or None)] = None
    version: int | None = Field(None, description="As it was read; or send it as If-Match")


@router.get("", **listed(queries.BUDGETS, BudgetShown))
async def list_budgets(request: Request, who: Member, asked: Asked) -> Answer:
    """Budgets, the newest first, with what is used of each."""
    return await answer(request, queries.BUDGETS, BudgetShown, asked, lambda: unit_of_work(who.actor))


@router.post("", status_code=201, response_model=BudgetShown, responses=failures(404, 409))
async def create_budget(who: Member, body: NewBudget, repeat: RepeatOnce) -> Response:
    """Count calls from now on, and those of the running period before."""

    async def create(uow: UnitOfWork) -> BudgetShown:
        made = await budgets.create_budget(uow, budgets.NewBudget(**body.model_dump()))
        return await _budget(uow, made.id)

    return await repeat.once(unit_of_work(who.actor), create, owner=who.actor.organization_id or "")


@router.get("/{budget_id}")
async def get_budget(who: Member, budget_id: str) -> BudgetShown:
    """One budget."""
    async with unit_of_work(who.actor) as uow:
        return await _budget(uow, budget_id)


@router.patch("/{budget_id}", responses=failures(409))
async def change_budget(who: Member, budget_id: str, body: BudgetChange, expected: IfMatch) -> BudgetShown:
    """Change its name, limit, thresholds, or what happens at the limit."""
    given, version = body.model_dump(exclude={"version"}), expected.version(body.version)
    async with unit_of_work(who.actor) as uow, showing_current(lambda: _budget(uow, budget_id)):
        await budgets.change_budget(uow, budget_id, **given, version=version)
        return await _budget(uow, budget_id)


async def _budget(uow: UnitOfWork, budget_id: str) -> BudgetShown:
    return BudgetShown.model_validate(await queries.budget(uow, budget_id))


@router.post("/{budget_id}/archive", responses=failures(409), response_model=BudgetShown)
async def archive_budget(who: Member, budget_id: str, repeat: RepeatOnce) -> Response:
    """Count and stop nothing by it any more."""

    async def act(uow: UnitOfWork) -> BudgetShown:
        await budgets.archive_budget(uow, budget_id)
        return await _budget(uow, budget_id)

    return await repeat.once(unit_of_work(who.actor), act, owner=who.actor.organization_id or "", status=200)
