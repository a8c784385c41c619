"""The task that moves subscriptions to a newer version of their plan: each by itself, in its own organisation and by
its clock, with the same verb that a change is made with.

What was done is written down with each move, so whoever goes on after a crash moves nobody twice. Who cannot be moved
is written down with the reason, and holds up nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from models.money import Money
from models.plan_migrations import PlanMigration
from models.subscriptions import SubscriptionState
from models.types import ProrationBehaviour
from services.billing import policies
from services.billing.events import SubscriptionMoved
from services.core.actor import Actor
from services.core.crossing import Reason, crossing
from services.core.errors import Conflict, MatrixError, Unavailable, not_found
from services.core.ids import new_id
from services.core.logs import get_logger
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.plan_migrations import moves as plan_moves
from services.plan_migrations.moves import Target, WaitingChanges
from services.plan_migrations.queries import WHOSE, target_of
from services.plan_migrations.records import MOVES
from services.subscriptions import billing as subscription_billing
from services.subscriptions import changes as subscription_changes
from services.subscriptions import moments, net_prices, subscriptions
from services.subscriptions.changes import NetShares
from services.subscriptions.subscribed import Change, Selection, Subscribed
from services.tasks.work import Made, Work

log = get_logger(__name__)

BATCH = 25  # subscriptions between two steps: so many may be looked at again after a crash
REASON_CHARACTERS_MAX = 500
_WRITE = Capability.STAFF_SUBSCRIPTIONS_WRITE
# Who was moved, or will be, has another version by now or is passed by.
_LEFT = f"""
select s.id, s.organization_id from subscription s
where {WHOSE} and s.id > :after and not exists (
  select from plan_migration_move m where m.migration_id = :migration_id and m.subscription_id = s.id
    and m.state in ('moved', 'scheduled'))
order by s.id limit :most
"""
_KEEP = """
insert into plan_migration_move
  (id, migration_id, subscription_id, state, old_minor, new_minor, effective_at, code, reason, created_at)
values (:id, :migration_id, :subscription_id, :state, :old_minor, :new_minor, :effective_at, :code, :reason, :now)
on conflict (migration_id, subscription_id) do update set state = excluded.state, old_minor = excluded.old_minor,
  new_minor = excluded.new_minor, effective_at = excluded.effective_at, code = excluded.code, reason = excluded.reason
where plan_migration_move.state in ('refused', 'failed')
"""


class VersionLeft(Conflict):
    """Between being listed and being moved it came to another version or plan by itself."""

    code = "version_left"
    title = "The subscription has another version by now"


@dataclass(frozen=True, slots=True)
class Left:
    id: str
    organization_id: str


def admit(actor: Actor, parameters: dict[str, Any]) -> dict[str, Any]:
    """Raises Forbidden. What it names was made by the verb that asks for the task."""
    actor.require(_WRITE)
    return {"migration": str(parameters["migration"]), "title": str(parameters["title"])}


def title(parameters: dict[str, Any]) -> str:
    """The plan's name and its versions."""
    return str(parameters.get("title", ""))


async def run(work: Work) -> Made:
    """Move all that are left, a batch a step. Raises Forbidden when the asker may not do this any more."""
    async with _across(work) as uow:
        migration = await _migration(uow, work.parameters["migration"])
        target = await target_of(
            uow, migration.plan_id, migration.to_version_id, WaitingChanges(migration.waiting_changes)
        )
        if work.total is None:
            work.total = await _count(uow, migration)
    while "over" not in work.checkpoint:
        async with _across(work) as uow:
            batch = await _left(uow, migration, str(work.checkpoint.get("after", "")))
        for one in batch:
            await _move(work, migration, target, one)
        async with work.step():
            work.done += len(batch)
            work.total = max(work.total, work.done)
            work.checkpoint = {"after": batch[-1].id} if len(batch) == BATCH else {"over": True}
    async with _across(work) as uow:
        return Made(await _counts(uow, migration.id))


def _across(work: Work, organization_id: str | None = None) -> AbstractAsyncContextManager[UnitOfWork]:
    """Work in the asker's name across tenants, or within one organisation and by its clock."""
    actor = work.actor if organization_id is None else replace(work.actor, organization_id=organization_id)
    return crossing(Reason.STAFF, actor=actor, on=work.on, clock=work.clock, target=organization_id)


async def _migration(uow: UnitOfWork, migration_id: str) -> PlanMigration:
    uow.actor.require(_WRITE)
    row = await uow.get(PlanMigration, migration_id)
    if row is None:
        raise not_found("migration", migration_id)
    return row


def _whose(migration: PlanMigration) -> dict[str, Any]:
    return {
        "from_id": migration.from_version_id,
        "currency": migration.currency,
        "interval": migration.interval,
        "interval_count": migration.interval_count,
    }


async def _count(uow: UnitOfWork, migration: PlanMigration) -> int:
    found = await uow.execute(f"select count(*) from subscription s where {WHOSE}", _whose(migration))
    count: int = found.scalar_one()
    return count


async def _left(uow: UnitOfWork, migration: PlanMigration, after: str) -> Sequence[Left]:
    named = {**_whose(migration), "migration_id": migration.id, "after": after, "most": BATCH}
    return [Left(row.id, row.organization_id) for row in await uow.execute(_LEFT, named)]


async def _counts(uow: UnitOfWork, migration_id: str) -> dict[str, Any]:
    found = await uow.execute(
        "select state, count(*) as moves from plan_migration_move where migration_id = :id group by state",
        id=migration_id,
    )
    counts = {row.state: row.moves for row in found}
    return {state: counts.get(state, 0) for state in MOVES}


async def _move(work: Work, migration: PlanMigration, target: Target, one: Left) -> None:
    """Move one, or write down why not. Raises Unavailable: a database that is away says nothing about it."""
    try:
        async with _across(work, one.organization_id) as uow:
            await move(uow, migration, target, one.id)
    except Unavailable:
        raise
    except Exception as error:
        refused = isinstance(error, MatrixError) and error.status < 500
        if not refused:
            log.error("subscription_not_moved", subscription_id=one.id, exc_info=error)
        async with _across(work, one.organization_id) as uow:
            code, reason = _in_words(error)
            await _keep(
                uow, migration, one.id, state="refused" if refused else "failed", code=code, reason=reason
            )


async def move(uow: UnitOfWork, migration: PlanMigration, target: Target, subscription_id: str) -> None:
    """Move one subscription of the organisation that the work is bound to, and write it down; nothing where that was
    done already. Raises Forbidden, VersionLeft, what `plan_moves.selection` raises, and what an invoice raises."""
    uow.actor.require(_WRITE)
    await policies.subscription_for(uow, subscription_id, subscriptions.WRITE)  # locked: one at a time
    done = await uow.execute(
        "select from plan_migration_move where migration_id = :id and subscription_id = :subscription_id"
        " and state in ('moved', 'scheduled')",
        id=migration.id,
        subscription_id=subscription_id,
    )
    if done.first() is not None:
        return
    row, held, now = await subscriptions.standing(uow, subscription_id)
    if now.version_id != migration.from_version_id:
        raise VersionLeft("This subscription has another version by now.")
    having = plan_moves.having(now)
    to = replace(plan_moves.selection(having, target), moved_by=migration.id)
    at, net = moments.agreed(uow, None), await net_prices.shares(uow, now, to)
    made = _made(migration, now, to, at, net)
    uow.record(
        SubscriptionMoved(
            aggregate_id=row.id,
            organization_id=row.organization_id,
            plan_id=to.plan_id,
            migration_id=migration.id,
            direction=made.direction.value,
            effective_at=made.effective_at.isoformat(),
        )
    )
    await subscription_billing.book(uow, held, now, made.turn, subscriptions.WRITE, at=at)
    await _keep(
        uow,
        migration,
        row.id,
        state="scheduled" if made.turn.subscribed.scheduled is not None else "moved",
        old_minor=Money.of(subscription_changes.yearly(having.choices, net), row.currency).minor,
        new_minor=Money.of(subscription_changes.yearly(to.choices, net), row.currency).minor,
        effective_at=made.effective_at,
    )


def _made(migration: PlanMigration, now: Subscribed, to: Selection, at: datetime, net: NetShares) -> Change:
    """What moving one comes to. With the next period, nobody pays the new price before the notice is over."""
    until = at + timedelta(days=migration.notice_days)
    if now.state is SubscriptionState.SCHEDULED:
        return subscription_changes.before_it_begins(now, to, until=until)
    behaviour = ProrationBehaviour(migration.behaviour)
    made = subscription_changes.change(now, to, at=at, behaviour=behaviour, net_shares=net)
    waits = made.behaviour is ProrationBehaviour.NEXT_PERIOD
    return subscription_changes.put_off(made, now, until=until) if waits else made


async def _keep(uow: UnitOfWork, migration: PlanMigration, subscription_id: str, **said: Any) -> None:
    usual = {"old_minor": None, "new_minor": None, "effective_at": None, "code": "", "reason": ""}
    await uow.execute(
        _KEEP,
        {
            **usual,
            **said,
            "id": new_id("pmov"),
            "migration_id": migration.id,
            "subscription_id": subscription_id,
            "now": uow.wall_now,
        },
    )


def _in_words(error: Exception) -> tuple[str, str]:
    if isinstance(error, MatrixError) and error.status < 500:
        return error.error_code, f"{error.message} {error.next_step}".strip()[:REASON_CHARACTERS_MAX]
    return "internal_error", "Something went wrong on our side; the log of the worker says what."
