"""Having all who have a version of a plan moved to a newer one: asked for by staff, ended, tried again.

The work is a task of the organisation that staff works in (services/plan_migrations/migrating.py). All verbs are in
work across tenants, bound to that organisation.
"""

from __future__ import annotations

from models.plan_migrations import PlanMigration
from services.billing import invoices
from services.billing.events import PlanMigrationStarted
from services.core import listing_sql
from services.core.errors import Conflict, not_found
from services.core.ids import is_id, new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.plan_migrations import queries as plan_migration_queries
from services.plan_migrations.queries import Plans
from services.plan_migrations.records import MIGRATIONS, MigrationRow
from services.tasks import service as tasks
from services.tasks.kinds import PLAN_MIGRATION

WRITE = Capability.STAFF_SUBSCRIPTIONS_WRITE


class MigrationUnderWay(Conflict):
    """Two at once would move the same subscriptions."""

    code = "migration_under_way"
    title = "This version is being migrated"


async def start(uow: UnitOfWork, plans: Plans, *, key: str) -> PlanMigration:
    """Have it done. The same key is the migration that is there. Raises Forbidden, NotFound, Invalid, and
    MigrationUnderWay."""
    uow.actor.require(WRITE)
    invoices.require_key(key)
    await uow.execute(
        "select pg_advisory_xact_lock(hashtextextended(:key, 53))", key=f"migration {plans.from_version_id}"
    )
    known = await uow.execute("select id from plan_migration where key = :key", key=key)
    if (there := known.scalar_one_or_none()) is not None:
        return await migration_for(uow, there)
    old, new = await plan_migration_queries.versions_of(uow, plans)
    await _require_none_under_way(uow, old.id)
    migration_id = new_id("pmig")
    name = (await uow.execute("select name from plan where id = :id", id=new.plan_id)).scalar_one()
    title = f"{name}: {old.number} → {new.number}"
    task = await tasks.ask(uow, PLAN_MIGRATION.name, {"migration": migration_id, "title": title})
    whose = plans.whose
    row = PlanMigration(
        id=migration_id,
        key=key,
        plan_id=new.plan_id,
        from_version_id=old.id,
        to_version_id=new.id,
        currency=whose["currency"],
        interval=whose["interval"],
        interval_count=whose["interval_count"],
        behaviour=plans.behaviour.value,
        notice_days=plans.notice_days,
        waiting_changes=plans.waiting_changes.value,
        task_id=task.id,
        created_by=uow.actor.account_id,
        created_at=uow.wall_now,
    )
    uow.add(row)
    await uow.session.flush()
    uow.record(
        PlanMigrationStarted(
            aggregate_id=row.id,
            organization_id=None,
            plan_id=row.plan_id,
            from_number=old.number,
            to_number=new.number,
            behaviour=row.behaviour,
        )
    )
    return row


async def cancel(uow: UnitOfWork, migration_id: str) -> None:
    """Move nobody else; who was moved stays so. Raises Forbidden, NotFound and TaskEnded."""
    uow.actor.require(WRITE)
    await tasks.cancel(uow, (await migration_for(uow, migration_id)).task_id)


async def retry(uow: UnitOfWork, migration_id: str) -> None:
    """Go through those again who were not moved, after it was cancelled or failed. Raises Forbidden, NotFound,
    TaskNotOver, TooManyTasks and MigrationUnderWay."""
    uow.actor.require(WRITE)
    row = await migration_for(uow, migration_id)
    await _require_none_under_way(uow, row.from_version_id)
    await tasks.retry(uow, row.task_id)


async def migration_for(uow: UnitOfWork, migration_id: str) -> PlanMigration:
    """Raises Forbidden and NotFound."""
    uow.actor.require(Capability.STAFF_SUBSCRIPTIONS_READ)
    row = await uow.get(PlanMigration, migration_id) if is_id(str(migration_id), "pmig") else None
    if row is None:
        raise not_found("migration", migration_id)
    return row


async def shown(uow: UnitOfWork, migration_id: str) -> MigrationRow:
    """One with how far it is. Raises Forbidden and NotFound."""
    await migration_for(uow, migration_id)
    row = await listing_sql.find(uow, MIGRATIONS, migration_id)
    if row is None:
        raise not_found("migration", migration_id)
    return row


async def _require_none_under_way(uow: UnitOfWork, from_version_id: str) -> None:
    found = await uow.execute(
        "select m.id from plan_migration m join task k on k.id = m.task_id"
        " where m.from_version_id = :id and k.state in ('waiting', 'running') limit 1",
        id=from_version_id,
    )
    if (there := found.scalar_one_or_none()) is not None:
        raise MigrationUnderWay(
            "A migration of this version is under way.",
            next_step="Wait for it, or cancel it.",
            migration_id=there,
        )
