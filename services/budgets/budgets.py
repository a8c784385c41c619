"""Making, changing and ending budgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from models.budgets import Budget, BudgetAction, BudgetMeasure, BudgetPeriod
from models.money import exact
from services.budgets import policies, rules, spending
from services.budgets.events import BudgetArchived, BudgetChanged, BudgetCreated
from services.core.database import database
from services.core.errors import Conflict, Invalid
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.wakeups import KEYS_CHANGED
from services.core.work import UnitOfWork
from services.identity import policies as identity
from services.identity.rules import clean_text
from services.metering import locks
from services.metering.rules import GATEWAY_TYPE

WRITE = Capability.BUDGETS_WRITE
USUAL_THRESHOLDS = (80, 100)
_ASKED = (BudgetAction.STOP, BudgetAction.THROTTLE)  # before each call


class TooManyBudgets(Conflict):
    code = "too_many_budgets"
    title = "The organisation has too many budgets"


@dataclass(frozen=True, slots=True)
class NewBudget:
    """Of which calls what may be used in which period. `limit` is in tokens or in major units of the currency."""

    name: str
    measure: BudgetMeasure
    period: BudgetPeriod
    limit: Decimal
    action: BudgetAction = BudgetAction.NOTIFY
    thresholds: Sequence[int] = USUAL_THRESHOLDS
    key_id: str | None = None
    model: str | None = None
    requests_per_minute: int | None = None  # of one that throttles


async def create_budget(uow: UnitOfWork, given: NewBudget) -> Budget:
    """Count calls from now on, and those of the running day or month before.

    Raises Forbidden, NotFound for a key or a model, TooManyBudgets, and Invalid.
    """
    uow.actor.require(WRITE)
    # Until commit no call of the organisation is booked: none is counted twice, and none is missed.
    await locks.hold_meters(uow, uow.organization_id, GATEWAY_TYPE)
    await _require_room(uow, given.action)
    if given.key_id is not None:
        await identity.key_for(uow, given.key_id, WRITE)
    if given.model is not None:
        await _require_model(uow, given.model)
    row = Budget(
        id=new_id("bud"),
        organization_id=uow.organization_id,
        name=_name(given.name),
        key_id=given.key_id,
        model=given.model,
        measure=given.measure.value,
        period=given.period.value,
        limit_amount=_limit(given.limit, given.measure),
        action=given.action.value,
        thresholds=_thresholds(given.thresholds),
        requests_per_minute=_rate(given.action, given.requests_per_minute),
        created_at=uow.wall_now,
    )
    uow.add(row)
    await uow.session.flush()
    await spending.begin(uow, row)
    uow.record(
        BudgetCreated(
            aggregate_id=row.id, organization_id=row.organization_id, name=row.name, action=row.action
        )
    )
    _tell_gateways(uow)
    return row


async def change_budget(
    uow: UnitOfWork,
    budget_id: str,
    *,
    name: str | None = None,
    limit: Decimal | None = None,
    action: BudgetAction | None = None,
    thresholds: Sequence[int] | None = None,
    requests_per_minute: int | None = None,
    version: int | None = None,
) -> Budget:
    """Change what is given; what it counts stays. Changing nothing records nothing.

    Raises Forbidden, NotFound, StaleVersion, TooManyBudgets, Conflict for one that was archived, and Invalid.
    """
    row = await policies.budget_for(uow, budget_id, WRITE, version=version)
    wanted: dict[str, object] = {}
    if name is not None:
        wanted["name"] = _name(name)
    if limit is not None:
        wanted["limit_amount"] = _limit(limit, BudgetMeasure(row.measure))
    if action is not None:
        if action in _ASKED and row.action not in _ASKED:
            await _require_room(uow, action, besides=row.id)
        wanted["action"] = action.value
    if action is not None or requests_per_minute is not None:
        slows = (action or BudgetAction(row.action)) is BudgetAction.THROTTLE
        kept = row.requests_per_minute if slows and requests_per_minute is None else requests_per_minute
        wanted["requests_per_minute"] = _rate(action or BudgetAction(row.action), kept)
    if thresholds is not None:
        wanted["thresholds"] = _thresholds(thresholds)
    changed = [field for field, value in wanted.items() if getattr(row, field) != value]
    if not changed:
        return row
    for field in changed:
        setattr(row, field, wanted[field])
    row.version += 1
    uow.add(row)
    await uow.session.flush()
    uow.record(
        BudgetChanged(
            aggregate_id=row.id, organization_id=row.organization_id, name=row.name, changed=changed
        )
    )
    _tell_gateways(uow)
    return row


async def archive_budget(uow: UnitOfWork, budget_id: str) -> None:
    """Count and stop nothing by it any more. Raises as `change_budget`."""
    row = await policies.budget_for(uow, budget_id, WRITE)
    row.archived_at = uow.wall_now
    row.version += 1
    uow.add(row)
    await uow.session.flush()
    uow.record(BudgetArchived(aggregate_id=row.id, organization_id=row.organization_id, name=row.name))
    _tell_gateways(uow)


def _tell_gateways(uow: UnitOfWork) -> None:
    uow.after_commit(lambda: database().wakeups.poke(KEYS_CHANGED, "budgets"))


async def _require_room(uow: UnitOfWork, action: BudgetAction, *, besides: str = "") -> None:
    found = await uow.execute(
        "select count(*) as budgets, count(*) filter (where action in ('stop', 'throttle'))"
        " as stopping from budget"
        " where organization_id = :organization_id and archived_at is null and id <> :besides",
        organization_id=uow.organization_id,
        besides=besides,
    )
    there = found.one()
    stopping = action in _ASKED and there.stopping >= rules.STOPPING_MAX
    if there.budgets >= rules.BUDGETS_MAX or stopping:
        most = f"{rules.STOPPING_MAX} that stop or slow down" if stopping else str(rules.BUDGETS_MAX)
        raise TooManyBudgets(
            f"An organisation has at most {most} budgets.",
            next_step="Archive one that is not needed any more.",
        )


async def _require_model(uow: UnitOfWork, slug: str) -> None:
    found = await uow.execute("select from model where slug = :slug", slug=slug)
    if found.first() is None:
        raise Invalid(f"There is no model {slug!r}.", field="model", next_step="See the list of models.")


def _name(text: str) -> str:
    return clean_text(text, field="name", what="The name")


def _limit(limit: Decimal, measure: BudgetMeasure) -> Decimal:
    if not limit.is_finite() or not 0 < limit <= rules.LIMIT_MAX:
        raise Invalid(f"A limit is above 0 and at most {rules.LIMIT_MAX:,}.", field="limit")
    if exact(limit) != limit:
        raise Invalid("A limit has at most 12 decimal places.", field="limit")
    if measure is BudgetMeasure.TOKENS and limit != limit.to_integral_value():
        raise Invalid("Tokens are whole.", field="limit")
    return exact(limit)


def _rate(action: BudgetAction, given: int | None) -> int | None:
    """How many requests a minute a budget leaves; of one that throttles only."""
    if action is not BudgetAction.THROTTLE:
        if given is not None:
            raise Invalid("Only a budget that throttles has a rate.", field="requests_per_minute")
        return None
    if given is None or not 1 <= given <= rules.REQUESTS_PER_MINUTE_MAX:
        raise Invalid(
            f"A budget that throttles leaves 1 to {rules.REQUESTS_PER_MINUTE_MAX:,} requests a minute.",
            field="requests_per_minute",
        )
    return given


def _thresholds(given: Sequence[int]) -> list[int]:
    unique = sorted(set(given))
    if len(unique) > rules.THRESHOLDS_MAX or not all(1 <= one <= rules.PERCENT_MAX for one in unique):
        raise Invalid(
            f"There are at most {rules.THRESHOLDS_MAX} thresholds, of 1 to {rules.PERCENT_MAX} percent.",
            field="thresholds",
        )
    return unique
