"""What is used of budgets: counted when calls are settled, and held before calls by processes of the gateway where a
budget stops.

Shares are held as of wallets (services/wallets/usage.py): what a process holds nobody else may use, so a budget that
stops is not exceeded, however many processes and callers there are. All but `begin` crosses tenants.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from models.budgets import Budget, BudgetAction, BudgetMeasure, BudgetPeriod
from services.budgets import rules
from services.budgets.events import BudgetThresholdReached
from services.budgets.rules import Terms, Throttle, Window
from services.core.database import database
from services.core.wakeups import KEYS_CHANGED
from services.core.work import UnitOfWork
from services.metering.rules import GATEWAY_SOURCE, GATEWAY_TYPE
from services.wallets.rules import share_to_hold
from services.wallets.usage import FORGOTTEN_AFTER_S, NOTHING_HELD, Holding

_NOTHING = Decimal(0)
_TERMS = """
select b.id, b.organization_id, b.name, b.key_id, b.model, b.measure, b.period, b.limit_amount, b.action,
  b.thresholds, b.requests_per_minute, o.timezone, o.currency
from budget b join organization o on o.id = b.organization_id where b.archived_at is null
"""
_USED_BEFORE = """
select coalesce(sum(cost), 0) as cost,
  coalesce(sum(cast(properties ->> 'prompt_tokens' as numeric)
    + cast(properties ->> 'completion_tokens' as numeric)), 0) as tokens
from usage_event where type = :type and source = :source and organization_id = :organization_id
  and time >= :starts_at and time < :ends_at
  and (cast(:key_id as text) is null or key_id = :key_id) and (cast(:model as text) is null or model = :model)
"""
_BEGIN = """
insert into budget_spending (budget_id, starts_at, organization_id, ends_at, spent, held, told)
values (:budget_id, :starts_at, :organization_id, :ends_at, :spent, 0, 0) on conflict do nothing
"""
_LOCK = "select spent, held, told from budget_spending where budget_id = :id and starts_at = :at for update"
_HOLD = """
insert into budget_hold as h (budget_id, starts_at, holder, organization_id, amount, version, changed_at)
values (:id, :at, :holder, :organization_id, :amount, 1, :now)
on conflict (budget_id, starts_at, holder) do update set amount = h.amount + excluded.amount,
  version = h.version + 1, changed_at = excluded.changed_at
returning amount, version
"""
_LESS = """
update budget_hold set amount = greatest(amount - :less, 0), version = version + 1, changed_at = :now
where budget_id = :id and starts_at = :at and holder = :holder returning amount, version
"""


async def begin(uow: UnitOfWork, budget: Budget) -> None:
    """Count what was used in the running period before there was this budget. Nobody is told of thresholds that were
    reached by then until something is used again."""
    organization = await uow.execute(
        "select timezone from organization where id = :id", id=budget.organization_id
    )
    window = rules.window_of(uow.wall_now, BudgetPeriod(budget.period), organization.scalar_one())
    used = await uow.execute(
        _USED_BEFORE,
        type=GATEWAY_TYPE,
        source=GATEWAY_SOURCE,
        organization_id=budget.organization_id,
        starts_at=window.starts_at,
        ends_at=window.ends_at,
        key_id=budget.key_id,
        model=budget.model,
    )
    row = used.one()
    await uow.execute(
        _BEGIN,
        budget_id=budget.id,
        starts_at=window.starts_at,
        organization_id=budget.organization_id,
        ends_at=window.ends_at,
        spent=row.cost if budget.measure == BudgetMeasure.COST else row.tokens,
    )


async def stopping(uow: UnitOfWork) -> dict[str, tuple[Terms, ...]]:
    """All budgets that stop, by organisation: what a gateway has to know before it lets a call through."""
    found: dict[str, tuple[Terms, ...]] = {}
    for row in (await uow.execute(f"{_TERMS} and b.action = 'stop' order by b.id")).mappings():
        terms = _terms(row)
        found[terms.organization_id] = (*found.get(terms.organization_id, ()), terms)
    return found


_USED_UP = """
select t.*, s.ends_at from ({terms}) t join budget_spending s on s.budget_id = t.id
  and s.starts_at <= :now and s.ends_at > :now
where t.action = 'throttle' and s.spent >= t.limit_amount order by t.id
"""


async def throttling(uow: UnitOfWork) -> dict[str, tuple[Throttle, ...]]:
    """All budgets that slow calls down at the moment, by organisation."""
    found: dict[str, tuple[Throttle, ...]] = {}
    for row in (await uow.execute(_USED_UP.format(terms=_TERMS), now=uow.wall_now)).mappings():
        one = Throttle(_terms(row), row["requests_per_minute"], row["ends_at"])
        organization_id = one.terms.organization_id
        found[organization_id] = (*found.get(organization_id, ()), one)
    return found


def _terms(row: Any) -> Terms:
    return Terms(
        row["id"],
        row["organization_id"],
        row["name"],
        row["key_id"],
        row["model"],
        BudgetMeasure(row["measure"]),
        BudgetPeriod(row["period"]),
        row["limit_amount"],
        row["timezone"],
        row["currency"],
    )


async def hold(
    uow: UnitOfWork, budget: Terms, window: Window, holder: str, *, need: Decimal, more: Decimal
) -> Holding:
    """Hold `need` of a budget in a period, and some of `more` if there is plenty; or nothing besides what is held."""
    known = await uow.execute(
        "select limit_amount, action from budget where id = :id and archived_at is null", id=budget.id
    )
    terms = known.one_or_none()
    if terms is None or terms.action != BudgetAction.STOP:
        limit = (
            rules.LIMIT_MAX * rules.LIMIT_MAX
        )  # it stops nobody any more; the gateway will know in a moment
    else:
        limit = terms.limit_amount
    await uow.execute(_BEGIN, **_named(budget, window), spent=_NOTHING)
    place = {"id": budget.id, "at": window.starts_at}
    there = (await uow.execute(_LOCK, place)).one()
    free = rules.free(limit, spent=there.spent, held=there.held)
    given = share_to_hold(free, need=need, more=more)
    others = await uow.execute(
        "select exists (select from budget_hold where budget_id = :id and starts_at = :at and holder <> :holder"
        " and amount > 0)",
        {**place, "holder": holder},
    )
    held = await uow.execute(
        _HOLD,
        {
            **place,
            "holder": holder,
            "organization_id": budget.organization_id,
            "amount": given,
            "now": uow.wall_now,
        },
    )
    row = held.one()
    return Holding(row.amount, row.version, free - given, others.scalar_one())


async def give_back(
    uow: UnitOfWork, budget_id: str, starts_at: datetime, holder: str, amount: Decimal
) -> Holding:
    """Hold `amount` less."""
    place = {"id": budget_id, "at": starts_at}
    await uow.execute(_LOCK, place)
    held = await uow.execute(_LESS, {**place, "holder": holder, "less": amount, "now": uow.wall_now})
    row = held.one_or_none()
    return Holding(row.amount, row.version) if row is not None else NOTHING_HELD


async def release(uow: UnitOfWork, holders_like: str, *, but: str = "") -> None:
    """End what processes of this name held. `but` lives."""
    await _delete(uow, "starts_with(holder, :like) and holder <> :but", {"like": holders_like, "but": but})


async def holders(uow: UnitOfWork, like: str) -> list[str]:
    """Processes of this name that hold something."""
    found = await uow.execute(
        "select distinct holder from budget_hold where starts_with(holder, :like) order by 1 limit 1000",
        like=like,
    )
    return list(found.scalars())


async def sweep(uow: UnitOfWork) -> None:
    """End what was held by processes that are gone with their machine, and rows that hold nothing."""
    old = "changed_at < :now - make_interval(secs => :age_s)"
    await _delete(uow, old, {"now": uow.wall_now, "age_s": FORGOTTEN_AFTER_S})


async def _delete(uow: UnitOfWork, which: str, named: dict[str, Any]) -> None:
    await uow.execute(
        "select from budget_spending s where (s.budget_id, s.starts_at) in"
        f" (select budget_id, starts_at from budget_hold where {which})"
        " order by s.budget_id, s.starts_at for update",
        named,
    )
    await uow.execute(f"delete from budget_hold where {which}", named)


@dataclass(frozen=True, slots=True)
class Counted:
    """A call that is settled. `held` is what was reserved for it of budgets, by budget and period."""

    organization_id: str
    key_id: str
    model: str
    at: datetime
    cost: Decimal | None
    tokens: int
    holder: str
    held: dict[tuple[str, datetime], Decimal]
    is_new: bool


BudgetPlace = tuple[str, datetime, str]  # budget, start of its period, holder


@dataclass(slots=True)
class _Change:
    """What a settlement changes in one period of one budget."""

    spent: Decimal = _NOTHING
    less: dict[str, Decimal] = field(default_factory=dict[str, Decimal])  # by holder


async def count(uow: UnitOfWork, calls: Sequence[Counted]) -> dict[BudgetPlace, Holding]:
    """Add calls that are new to the budgets that they count in, hold no longer what was reserved for them, and tell of
    thresholds. Returns what processes hold then."""
    organizations = sorted({call.organization_id for call in calls})
    rows = (
        await uow.execute(f"{_TERMS} and b.organization_id = any(:ids) order by b.id", ids=organizations)
    ).mappings()
    budgets = {row["id"]: (_terms(row), row["thresholds"], row["action"]) for row in rows}
    changes: dict[tuple[str, datetime], _Change] = {}
    for call in calls:
        for place, reserved in call.held.items():
            less = changes.setdefault(place, _Change()).less
            less[call.holder] = less.get(call.holder, _NOTHING) + (reserved if call.is_new else _NOTHING)
        for terms, _, _ in budgets.values():
            if call.is_new and terms.organization_id == call.organization_id:
                _add(changes, terms, call)
    held: dict[BudgetPlace, Holding] = {}
    for (budget_id, starts_at), change in sorted(changes.items()):
        for holder, less in sorted(change.less.items()):
            held[budget_id, starts_at, holder] = await give_back(uow, budget_id, starts_at, holder, less)
        if change.spent and budget_id in budgets:
            await _spend(uow, *budgets[budget_id], starts_at, change.spent)
    return held


def _add(changes: dict[tuple[str, datetime], _Change], terms: Terms, call: Counted) -> None:
    used = (call.cost or _NOTHING) if terms.measure is BudgetMeasure.COST else Decimal(call.tokens)
    if used and terms.covers(key_id=call.key_id, model=call.model):
        window = rules.window_of(call.at, terms.period, terms.zone)
        changes.setdefault((terms.id, window.starts_at), _Change()).spent += used


async def _spend(
    uow: UnitOfWork, terms: Terms, thresholds: Sequence[int], action: str, starts_at: datetime, used: Decimal
) -> None:
    await uow.execute(
        _BEGIN, **_named(terms, rules.window_of(starts_at, terms.period, terms.zone)), spent=_NOTHING
    )
    place = {"id": terms.id, "at": starts_at}
    there = (await uow.execute(_LOCK, place)).one()
    spent = there.spent + used
    reached = rules.reached(spent, terms.limit, thresholds, told=there.told)
    await uow.execute(
        "update budget_spending set spent = :spent, told = :told where budget_id = :id and starts_at = :at",
        {**place, "spent": spent, "told": max([there.told, *reached])},
    )
    if action == BudgetAction.THROTTLE and there.spent < terms.limit <= spent:
        uow.after_commit(lambda: database().wakeups.poke(KEYS_CHANGED, "budgets"))
    for percent in reached:
        uow.record(
            BudgetThresholdReached(
                aggregate_id=terms.id,
                organization_id=terms.organization_id,
                name=terms.name,
                percent=percent,
                spent=f"{spent.normalize():f}",
                limit=f"{terms.limit.normalize():f}",
                measure=terms.measure.value,
                currency=terms.currency,
                stops=action == BudgetAction.STOP,
                throttles=action == BudgetAction.THROTTLE,
                period_start=starts_at,
            )
        )


def _named(terms: Terms, window: Window) -> dict[str, Any]:
    return {
        "budget_id": terms.id,
        "starts_at": window.starts_at,
        "organization_id": terms.organization_id,
        "ends_at": window.ends_at,
    }
