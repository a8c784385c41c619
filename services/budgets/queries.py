"""Reads of budgets: of one's own organisation, with what is used of each in the running period."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from models.budgets import BudgetAction, BudgetMeasure, BudgetPeriod
from services.core import listing_sql
from services.core.errors import not_found
from services.core.listing import Column, Kind, Listing
from services.core.permissions import Capability
from services.core.work import UnitOfWork


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """Amounts in tokens, or in major units of `currency` where it is about cost. `used_percent` is rounded down."""

    id: str
    name: str
    key_id: str | None
    key_name: str
    model: str | None
    measure: str
    period: str
    limit_amount: Decimal
    currency: str
    action: str
    requests_per_minute: int | None
    state: str
    thresholds: list[int]
    spent: Decimal
    used_percent: int
    period_start: datetime
    created_at: datetime
    version: int


_SPENT = "coalesce(s.spent, 0)"
_STATE = (
    f"case when b.archived_at is not null then 'archived' when {_SPENT} < b.limit_amount then 'open'"
    " when b.action = 'throttle' then 'throttled' else 'used_up' end"
)
# The running period, by the clock on the wall: calls are made by that one.
_START = "date_trunc(b.period, cast(:now as timestamptz), o.timezone)"

BUDGETS = Listing(
    "budgets",
    row=BudgetRow,
    needs=Capability.BUDGETS_READ,
    source="budget b join organization o on o.id = b.organization_id left join api_key k on k.id = b.key_id"
    f" left join budget_spending s on s.budget_id = b.id and s.starts_at = {_START}",
    where="b.organization_id = :organization_id",
    columns=(
        Column("id", "b.id", Kind.ID, filterable=True),
        Column("name", "b.name", sortable=True, filterable=True),
        Column("key_id", "b.key_id", Kind.ID, nullable=True, filterable=True),
        Column("key_name", "coalesce(k.name, '')"),
        Column("model", "b.model", Kind.ID, nullable=True, filterable=True),
        Column("measure", "b.measure", Kind.ENUM, values=tuple(BudgetMeasure), filterable=True),
        Column("period", "b.period", Kind.ENUM, values=tuple(BudgetPeriod), filterable=True),
        Column("limit_amount", "b.limit_amount", Kind.DECIMAL),
        Column("currency", "o.currency"),
        Column("action", "b.action", Kind.ENUM, values=tuple(BudgetAction), filterable=True),
        Column("requests_per_minute", "b.requests_per_minute", Kind.INTEGER, nullable=True),
        Column(
            "state", _STATE, Kind.ENUM, values=("open", "used_up", "throttled", "archived"), filterable=True
        ),
        Column("thresholds", "b.thresholds", Kind.LIST),
        Column("spent", _SPENT, Kind.DECIMAL),
        Column("used_percent", f"cast(floor({_SPENT} * 100 / b.limit_amount) as int)", Kind.INTEGER),
        Column("period_start", _START, Kind.INSTANT),
        Column("created_at", "b.created_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
        Column("version", "b.version", Kind.INTEGER, exported=False),
    ),
    sort="-created_at",
)
COUNTING = ("state[in]", "open,used_up,throttled")


async def budget(uow: UnitOfWork, budget_id: str) -> BudgetRow:
    """One budget. Raises Forbidden, and NotFound also for another's."""
    row = await listing_sql.find(uow, BUDGETS, budget_id)
    if row is None:
        raise not_found("budget", budget_id)
    return row
